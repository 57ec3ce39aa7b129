"""Official SDKs of every dialect, asked the same and heard in one form."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import anthropic
import openai
import orjson
from google import genai
from google.genai import errors as genai_errors
from google.genai import types

Json = dict[str, Any]
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SCHEMA: Json = {"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"]}


@dataclass
class Heard:
    """What a client was told."""

    text: str = ""
    reasoning: str = ""
    calls: tuple[tuple[str, Json], ...] = ()
    tokens: tuple[int, int] = (0, 0)
    status: int = 200


@dataclass(frozen=True)
class Ask:
    """What is asked."""

    model: str
    tools: bool = False
    image: bool = False


async def chat(url: str, ask: Ask) -> Heard:
    content: Any = [{"type": "text", "text": "Hi"}]
    if ask.image:
        content.append({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}})
    tools: Any = [{"type": "function", "function": {"name": "look", "parameters": SCHEMA}}]
    heard = Heard()
    async with (
        openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="key", max_retries=0) as sdk,
        sdk.chat.completions.stream(
            model=ask.model,
            messages=[{"role": "user", "content": content}],
            stream_options={"include_usage": True},
            **({"tools": tools} if ask.tools else {}),
        ) as stream,
    ):
        async for event in stream:
            if event.type == "chunk":
                for choice in event.chunk.choices:
                    heard.reasoning += getattr(choice.delta, "reasoning_content", None) or ""
        final = await stream.get_final_completion()
    message = final.choices[0].message
    heard.text = message.content or ""
    heard.calls = tuple((one.function.name, orjson.loads(one.function.arguments)) for one in message.tool_calls or ())
    if final.usage is not None:
        heard.tokens = (final.usage.prompt_tokens, final.usage.completion_tokens)
    return heard


async def responses(url: str, ask: Ask) -> Heard:
    content: Any = [{"type": "input_text", "text": "Hi"}]
    if ask.image:
        content.append({"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "auto"})
    tools: Any = [{"type": "function", "name": "look", "parameters": SCHEMA, "strict": False}]
    async with (
        openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="key", max_retries=0) as sdk,
        sdk.responses.stream(
            model=ask.model,
            input=[{"role": "user", "content": content}],
            store=False,
            **({"tools": tools} if ask.tools else {}),
        ) as stream,
    ):
        async for _ in stream:
            pass
        final = await stream.get_final_response()
    heard = Heard(text=final.output_text)
    for item in final.output:
        if item.type == "reasoning":
            heard.reasoning += "".join(part.text for part in item.summary)
        elif item.type == "function_call":
            heard.calls += ((item.name, orjson.loads(item.arguments)),)
    if final.usage is not None:
        heard.tokens = (final.usage.input_tokens, final.usage.output_tokens)
    return heard


async def messages(url: str, ask: Ask) -> Heard:
    content: Any = [{"type": "text", "text": "Hi"}]
    if ask.image:
        source = {"type": "base64", "media_type": "image/png", "data": PNG}
        content.append({"type": "image", "source": source})
    tools: Any = [{"name": "look", "input_schema": SCHEMA}]
    async with (
        anthropic.AsyncAnthropic(base_url=url, api_key="key", max_retries=0) as sdk,
        sdk.messages.stream(
            model=ask.model,
            max_tokens=100,
            messages=[{"role": "user", "content": content}],
            **({"tools": tools} if ask.tools else {}),
        ) as stream,
    ):
        async for _ in stream:
            pass
        final = await stream.get_final_message()
    heard = Heard()
    for block in final.content:
        if block.type == "text":
            heard.text += block.text
        elif block.type == "thinking":
            heard.reasoning += block.thinking
        elif block.type == "tool_use":
            heard.calls += ((block.name, dict(block.input)),)
    heard.tokens = (final.usage.input_tokens, final.usage.output_tokens)
    return heard


async def gemini(url: str, ask: Ask) -> Heard:
    parts = [types.Part.from_text(text="Hi")]
    if ask.image:
        parts.append(types.Part.from_bytes(data=base64.b64decode(PNG), mime_type="image/png"))
    function = types.FunctionDeclaration(name="look", parameters_json_schema=SCHEMA)
    config = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=[function])] if ask.tools else None,
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        thinking_config=types.ThinkingConfig(include_thoughts=True),
    )
    client = genai.Client(api_key="key", http_options=types.HttpOptions(base_url=url))
    heard = Heard()
    content = types.Content(role="user", parts=parts)
    async for event in await client.aio.models.generate_content_stream(
        model=ask.model, contents=content, config=config
    ):
        _hear(event, heard)
    await client.aio.aclose()
    return heard


def _hear(event: types.GenerateContentResponse, heard: Heard) -> None:
    content = event.candidates[0].content if event.candidates else None
    for part in (content.parts if content is not None else None) or ():
        if part.function_call is not None:
            heard.calls += ((part.function_call.name or "", dict(part.function_call.args or {})),)
        elif part.thought:
            heard.reasoning += part.text or ""
        else:
            heard.text += part.text or ""
    if event.usage_metadata is not None:
        said = event.usage_metadata
        heard.tokens = (said.prompt_token_count or 0, said.candidates_token_count or 0)


Client = Callable[[str, Ask], Awaitable[Heard]]
CLIENTS: Mapping[str, Client] = {"chat": chat, "responses": responses, "messages": messages, "gemini": gemini}


async def hears(client: Client, url: str, ask: Ask) -> Heard:
    """What the client is told, a failure as its status."""
    try:
        return await client(url, ask)
    except (openai.APIStatusError, anthropic.APIStatusError) as error:
        return Heard(status=error.status_code)
    except genai_errors.APIError as error:
        return Heard(status=error.code)
