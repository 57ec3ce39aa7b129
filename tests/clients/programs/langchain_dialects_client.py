"""LangChain for Python in the newer APIs: ChatAnthropic, ChatOpenAI over Responses, ChatGoogleGenerativeAI."""
# mypy: disable-error-code="import-not-found, no-any-return, untyped-decorator"

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from typing import Any

from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from speak import cancelled, speak, weather

Json = dict[str, Any]


@tool
def get_weather(city: str) -> str:
    """The weather of one city."""
    return weather(city)


def _model(base_url: str, key: str, model: str) -> Any:
    root = base_url.removesuffix("/v1")
    if sys.argv[1] == "anthropic":
        from langchain_anthropic import ChatAnthropic

        return ChatAnthropic(base_url=root, api_key=key, model=model, max_retries=0, max_tokens=1000)
    if sys.argv[1] == "google":
        from langchain_google_genai import ChatGoogleGenerativeAI

        return ChatGoogleGenerativeAI(base_url=root, api_key=key, model=model, max_retries=0)
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(base_url=base_url, api_key=key, model=model, use_responses_api=True, max_retries=0)


def _usage(message: AIMessage) -> list[int]:
    return [message.usage_metadata["input_tokens"], message.usage_metadata["output_tokens"]]


def chat(text: str, **where: str) -> Json:
    answer = _model(**where).invoke(text)
    return {"text": answer.text, "usage": _usage(answer)}


def image(text: str, data: str, **where: str) -> Json:
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}
    asked = HumanMessage([{"type": "text", "text": text}, picture])
    return {"calls": [call["args"]["city"] for call in _bound(**where).invoke([asked]).tool_calls]}


def _bound(**where: str) -> Any:
    return _model(**where).bind_tools([get_weather])


async def stream(text: str, **where: str) -> Json:
    whole: Any = None
    pieces = 0
    async for piece in _model(**where).astream(text):
        whole = piece if whole is None else whole + piece
        pieces += bool(piece.text)
    return {"text": whole.text, "pieces": pieces, "usage": _usage(whole)}


def tools(questions: list[str], streamed: bool, **where: str) -> Json:
    model, messages, answers = _bound(**where), [], []
    for question in questions:
        messages.append(HumanMessage(question))
        while (message := _said(model, messages, streamed)).tool_calls:
            messages += [message, *_results(message)]
        messages.append(message)
        answers.append(message.text)
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


async def _texts(text: str, **where: str) -> AsyncIterator[str]:
    async for piece in _model(**where).astream(text):
        if piece.text:
            yield piece.text


async def cancel(text: str, until: str, **where: str) -> Json:
    return await cancelled(_texts(text, **where), until)


if __name__ == "__main__":
    speak({"chat": chat, "image": image, "stream": stream, "tools": tools, "cancel": cancel})
