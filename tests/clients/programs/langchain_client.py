"""LangChain for Python: ChatOpenAI with a base URL, tools bound, messages kept as LangChain makes them."""
# mypy: disable-error-code="import-not-found, no-any-return, untyped-decorator"

from __future__ import annotations

from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel
from speak import cancelled, speak, weather

Json = dict[str, Any]


class Forecast(BaseModel):
    city: str
    degrees: int


@tool
def get_weather(city: str) -> str:
    """The weather of one city."""
    return weather(city)


def _model(base_url: str, key: str, model: str) -> ChatOpenAI:
    return ChatOpenAI(base_url=base_url, api_key=key, model=model, stream_usage=True)


def _usage(message: AIMessage) -> list[int]:
    return [message.usage_metadata["input_tokens"], message.usage_metadata["output_tokens"]]


def chat(text: str, **where: str) -> Json:
    answer = _model(**where).invoke(text)
    return {"text": answer.content, "usage": _usage(answer)}


async def stream(text: str, **where: str) -> Json:
    whole: Any = AIMessageChunk(content="")
    pieces = 0
    async for piece in _model(**where).astream(text):
        whole += piece
        pieces += bool(piece.content)
    return {"text": whole.content, "pieces": pieces, "usage": _usage(whole)}


def tools(questions: list[str], streamed: bool, **where: str) -> Json:
    model, messages, answers = _model(**where).bind_tools([get_weather]), [], []
    for question in questions:
        messages.append(HumanMessage(question))
        while (message := _said(model, messages, streamed)).tool_calls:
            messages += [message, *_results(message)]
        messages.append(message)
        answers.append(message.content)
    return {"answers": answers}


def _said(model: Any, messages: list[Any], streamed: bool) -> Any:
    if not streamed:
        return model.invoke(messages)
    whole: Any = None
    for piece in model.stream(messages):
        whole = piece if whole is None else whole + piece
    return whole


def _results(message: AIMessage) -> list[ToolMessage]:
    return [get_weather.invoke(call) for call in message.tool_calls]


def parse(text: str, **where: str) -> Json:
    asking = _model(**where).with_structured_output(Forecast, method="json_schema")
    return {"parsed": asking.invoke(text).model_dump()}


def stop(text: str, **where: str) -> Json:
    pieces = _model(**where).stream(text)
    first = next(piece.content for piece in pieces if piece.content)
    pieces.close()
    return {"text": first}


async def cancel(text: str, until: str, **where: str) -> Json:
    return await cancelled((piece.content async for piece in _model(**where).astream(text)), until)


if __name__ == "__main__":
    speak({"chat": chat, "stream": stream, "tools": tools, "parse": parse, "stop": stop, "cancel": cancel})
