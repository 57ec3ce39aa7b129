"""OpenAI's Agents SDK, over Responses or over chat completions: it runs the tools, and keeps the conversation as items."""
# mypy: disable-error-code="import-not-found, no-any-return, untyped-decorator"

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from typing import Any

from agents import (
    Agent,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    RunConfig,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from openai import AsyncOpenAI
from speak import cancelled, speak, weather

Json = dict[str, Any]

set_tracing_disabled(True)


@function_tool
def get_weather(city: str) -> str:
    """The weather of one city."""
    return weather(city)


def _agent(base_url: str, key: str, model: str) -> Any:
    client = AsyncOpenAI(base_url=base_url, api_key=key, max_retries=0)
    make = OpenAIResponsesModel if sys.argv[1] == "responses" else OpenAIChatCompletionsModel
    settings = ModelSettings(include_usage=True)
    return Agent(name="A", tools=[get_weather], model=make(model, openai_client=client), model_settings=settings)


def _counted(result: Any) -> list[int]:
    usage = result.context_wrapper.usage
    return [usage.input_tokens, usage.output_tokens]


async def chat(text: str, **where: str) -> Json:
    result = await Runner.run(_agent(**where), text, run_config=RunConfig(tracing_disabled=True))
    return {"text": result.final_output, "usage": _counted(result)}


async def image(text: str, data: str, **where: str) -> Json:
    picture = {"type": "input_image", "detail": "auto", "image_url": f"data:image/png;base64,{data}"}
    asked = [{"role": "user", "content": [{"type": "input_text", "text": text}, picture]}]
    result = await Runner.run(_agent(**where), asked)
    calls = [item.raw_item for item in result.new_items if item.type == "tool_call_item"]
    return {"calls": [call.arguments.split('"')[3] for call in calls]}


async def _deltas(result: Any) -> AsyncIterator[str]:
    async for event in result.stream_events():
        if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
            yield event.data.delta


async def stream(text: str, **where: str) -> Json:
    result = Runner.run_streamed(_agent(**where), text)
    pieces = [piece async for piece in _deltas(result)]
    return {"text": result.final_output, "pieces": len(pieces), "usage": _counted(result)}


async def tools(questions: list[str], streamed: bool, **where: str) -> Json:
    agent, answers = _agent(**where), []
    items: list[Any] = []
    for question in questions:
        asked = [*items, {"role": "user", "content": question}]
        if streamed:
            result = Runner.run_streamed(agent, asked)
            async for _ in result.stream_events():
                pass
        else:
            result = await Runner.run(agent, asked)
        answers.append(result.final_output)
        items = result.to_input_list()
    return {"answers": answers}


async def cancel(text: str, until: str, **where: str) -> Json:
    result = Runner.run_streamed(_agent(**where), text)
    said = await cancelled(_deltas(result), until)
    result.cancel()
    return said


if __name__ == "__main__":
    speak({"chat": chat, "image": image, "stream": stream, "tools": tools, "cancel": cancel})
