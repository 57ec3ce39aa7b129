"""pydantic-ai in the newer APIs: AnthropicModel, OpenAIResponsesModel, GoogleModel. It keeps the conversation itself."""
# mypy: disable-error-code="import-not-found, no-any-return, untyped-decorator"

from __future__ import annotations

import base64
import sys
from collections.abc import AsyncGenerator
from typing import Any

from pydantic_ai import Agent, BinaryContent
from speak import cancelled, speak, weather

Json = dict[str, Any]


def get_weather(city: str) -> str:
    """The weather of one city."""
    return weather(city)


def _model(base_url: str, key: str, model: str) -> Any:
    root = base_url.removesuffix("/v1")
    if sys.argv[1] == "anthropic":
        from anthropic import AsyncAnthropic
        from pydantic_ai.models.anthropic import AnthropicModel
        from pydantic_ai.providers.anthropic import AnthropicProvider

        client = AsyncAnthropic(base_url=root, api_key=key, max_retries=0)
        return AnthropicModel(model, provider=AnthropicProvider(anthropic_client=client))
    if sys.argv[1] == "google":
        from pydantic_ai.models.google import GoogleModel
        from pydantic_ai.providers.google import GoogleProvider

        return GoogleModel(model, provider=GoogleProvider(api_key=key, base_url=root))
    from openai import AsyncOpenAI
    from pydantic_ai.models.openai import OpenAIResponsesModel
    from pydantic_ai.providers.openai import OpenAIProvider

    openai = AsyncOpenAI(base_url=base_url, api_key=key, max_retries=0)
    return OpenAIResponsesModel(model, provider=OpenAIProvider(openai_client=openai))


def _agent(**where: str) -> Any:
    return Agent(_model(**where), tools=[get_weather])


def _counted(usage: Any) -> list[int]:
    return [usage.input_tokens, usage.output_tokens]


async def chat(text: str, **where: str) -> Json:
    result = await _agent(**where).run(text)
    return {"text": result.output, "usage": _counted(result.usage)}


async def image(text: str, data: str, **where: str) -> Json:
    picture = BinaryContent(base64.b64decode(data), media_type="image/png")
    result = await _agent(**where).run([text, picture])
    calls = [part for one in result.all_messages() for part in one.parts if part.part_kind == "tool-call"]
    return {"calls": [part.args_as_dict()["city"] for part in calls]}


async def stream(text: str, **where: str) -> Json:
    async with _agent(**where).run_stream(text) as result:
        pieces = [piece async for piece in result.stream_text(delta=True, debounce_by=None)]
        return {"text": "".join(pieces), "pieces": len(pieces), "usage": _counted(result.usage)}


async def tools(questions: list[str], streamed: bool, **where: str) -> Json:
    agent, answers = _agent(**where), []
    history: list[Any] = []
    for question in questions:
        if streamed:
            async with agent.run_stream(question, message_history=history) as result:
                answers.append(await result.get_output())
        else:
            result = await agent.run(question, message_history=history)
            answers.append(result.output)
        history = result.all_messages()
    return {"answers": answers}


async def _pieces(text: str, **where: str) -> AsyncGenerator[str, None]:
    async with _agent(**where).run_stream(text) as result:
        async for piece in result.stream_text(delta=True, debounce_by=None):
            yield piece


async def cancel(text: str, until: str, **where: str) -> Json:
    return await cancelled(_pieces(text, **where), until)


if __name__ == "__main__":
    speak({"chat": chat, "image": image, "stream": stream, "tools": tools, "cancel": cancel})
