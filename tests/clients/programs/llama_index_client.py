"""LlamaIndex: OpenAILike, its class for OpenAI-compatible servers, with a tool called by hand."""
# mypy: disable-error-code="import-not-found, no-any-return, untyped-decorator"

from __future__ import annotations

import gc
from typing import Any

from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel
from speak import cancelled, speak, weather

Json = dict[str, Any]


class Forecast(BaseModel):
    city: str
    degrees: int


def get_weather(city: str) -> str:
    """The weather of one city."""
    return weather(city)


TOOL = FunctionTool.from_defaults(get_weather)


def _model(base_url: str, key: str, model: str, **options: Any) -> Any:
    return OpenAILike(
        model=model,
        api_base=base_url,
        api_key=key,
        is_chat_model=True,
        is_function_calling_model=True,
        **options,
        additional_kwargs={"stream_options": {"include_usage": True}},
    )


def _user(text: str) -> list[ChatMessage]:
    return [ChatMessage(role="user", content=text)]


def chat(text: str, **where: str) -> Json:
    answer = _model(**where).chat(_user(text))
    return {"text": answer.message.content, "usage": _usage(answer.raw.usage)}


def stream(text: str, **where: str) -> Json:
    answers = list(_model(**where).stream_chat(_user(text)))
    pieces = [one.delta for one in answers if one.delta]
    return {"text": "".join(pieces), "pieces": len(pieces), "usage": _usage(answers[-1].raw.usage)}


def _usage(usage: Any) -> list[int]:
    return [usage.prompt_tokens, usage.completion_tokens]


def tools(questions: list[str], streamed: bool, **where: str) -> Json:
    model = _model(**where)
    history: list[ChatMessage] = []
    answers = []
    for question in questions:
        history += _user(question)
        while calls := _calls(model, answer := _said(model, history, streamed)):
            history += [answer.message, *map(_result, calls)]
        history.append(answer.message)
        answers.append(answer.message.content)
    return {"answers": answers}


def _said(model: Any, history: list[ChatMessage], streamed: bool) -> Any:
    if not streamed:
        return model.chat_with_tools([TOOL], chat_history=history, allow_parallel_tool_calls=True)
    return [*model.stream_chat_with_tools([TOOL], chat_history=history, allow_parallel_tool_calls=True)][-1]


def _calls(model: Any, answer: Any) -> Any:
    return model.get_tool_calls_from_response(answer, error_on_no_tool_call=False)


def _result(call: Any) -> ChatMessage:
    said = str(TOOL(**call.tool_kwargs))
    return ChatMessage(role="tool", content=said, additional_kwargs={"tool_call_id": call.tool_id})


def parse(text: str, **where: str) -> Json:
    asking = _model(should_use_structured_outputs=True, **where).as_structured_llm(Forecast)
    return {"parsed": asking.chat(_user(text)).raw.model_dump()}


def stop(text: str, **where: str) -> Json:
    pieces = _model(**where).stream_chat(_user(text))
    first = next(piece.delta for piece in pieces if piece.delta)
    pieces.close()
    gc.collect()  # only then the OpenAI client beneath knows that it was left
    return {"text": first}


async def cancel(text: str, until: str, **where: str) -> Json:
    pieces = await _model(**where).astream_chat(_user(text))
    return await cancelled((piece.delta async for piece in pieces), until)


if __name__ == "__main__":
    speak({"chat": chat, "stream": stream, "tools": tools, "parse": parse, "stop": stop, "cancel": cancel})
