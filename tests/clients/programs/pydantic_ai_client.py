"""pydantic-ai: an agent over OpenAIChatModel, which runs the tools and keeps the conversation itself."""
# mypy: disable-error-code="import-not-found, no-any-return, untyped-decorator"

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from speak import cancelled, speak, weather

Json = dict[str, Any]


class Forecast(BaseModel):
    city: str
    degrees: int


def get_weather(city: str) -> str:
    """The weather of one city."""
    return weather(city)


def _agent(base_url: str, key: str, model: str) -> Any:
    made = OpenAIChatModel(model, provider=OpenAIProvider(base_url=base_url, api_key=key))
    return Agent(made, tools=[get_weather])


async def chat(text: str, **where: str) -> Json:
    result = await _agent(**where).run(text)
    return {"text": result.output, "usage": [result.usage.input_tokens, result.usage.output_tokens]}


async def stream(text: str, **where: str) -> Json:
    async with _agent(**where).run_stream(text) as result:
        pieces = [piece async for piece in result.stream_text(delta=True, debounce_by=None)]
        usage = result.usage
    return {"text": "".join(pieces), "pieces": len(pieces), "usage": [usage.input_tokens, usage.output_tokens]}


async def tools(questions: list[str], streamed: bool, **where: str) -> Json:
    agent, answers = _agent(**where), []
    history: list[Any] = []
    for question in questions:
        result = await _asked(agent, question, history, streamed)
        history = result.all_messages()
        answers.append(await result.get_output() if streamed else result.output)
    return {"answers": answers}


async def _asked(agent: Any, question: str, history: list[Any], streamed: bool) -> Any:
    if not streamed:
        return await agent.run(question, message_history=history)
    async with agent.run_stream(question, message_history=history) as result:
        await result.get_output()
    return result


async def parse(text: str, **where: str) -> Json:
    result = await _agent(**where).run(text, output_type=NativeOutput(Forecast))
    return {"parsed": result.output.model_dump()}


async def _pieces(text: str, **where: str) -> AsyncGenerator[str, None]:
    async with _agent(**where).run_stream(text) as result:
        async for piece in result.stream_text(delta=True, debounce_by=None):
            yield piece


async def stop(text: str, **where: str) -> Json:
    async with aclosing(_pieces(text, **where)) as pieces:
        return {"text": await anext(pieces)}


async def cancel(text: str, until: str, **where: str) -> Json:
    return await cancelled(_pieces(text, **where), until)


if __name__ == "__main__":
    speak({"chat": chat, "stream": stream, "tools": tools, "parse": parse, "stop": stop, "cancel": cancel})
