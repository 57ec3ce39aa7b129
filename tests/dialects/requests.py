"""One request of each dialect that says nearly everything, and what becomes of it where it is translated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import orjson
from llmproxy.adapters.anthropic import Anthropic
from llmproxy.adapters.gemini import Gemini
from llmproxy.adapters.perplexity import Perplexity

from llmproxy.core.adapter import Account, Adapter
from llmproxy.core.chat import Chat
from llmproxy.core.trace import Trace
from llmproxy.dialects.chat_completions.request import parse_chat
from llmproxy.dialects.gemini.dialect import DIALECT as GEMINI
from llmproxy.dialects.gemini.request import parse_generate
from llmproxy.dialects.messages.dialect import DIALECT as MESSAGES
from llmproxy.dialects.messages.request import parse_messages
from llmproxy.dialects.responses.dialect import DIALECT as RESPONSES
from llmproxy.dialects.responses.request import parse_response

Json = dict[str, Any]
Path = tuple[str | int, ...]

PNG = "iVBORw0K"
SCHEMA: Json = {"type": "object"}

CHAT: Json = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "See"},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "low"}},
                {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PNG}"}},
            ],
        },
        {
            "role": "assistant",
            "content": "Yes",
            "reasoning_content": "Hm.",
            "tool_calls": [{"id": "a", "type": "function", "function": {"name": "look", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "a", "content": "sky"},
    ],
    "tools": [{"type": "function", "function": {"name": "look", "description": "Looks.", "parameters": SCHEMA}}],
    "tool_choice": {"type": "function", "function": {"name": "look"}},
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}},
    "temperature": 0.5,
    "stop": ["x"],
    "max_tokens": 10,
    "reasoning_effort": "low",
    "service_tier": "auto",
    "user": "u",
    "stream": True,
    "stream_options": {"include_usage": True},
}
MESSAGES_REQUEST: Json = {
    "model": "m",
    "max_tokens": 100,
    "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "See"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
                {"type": "document", "title": "T", "context": "C", "source": {"type": "text", "data": "D"}},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": "s"},
                {"type": "tool_use", "id": "a", "name": "look", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "a",
                    "is_error": True,
                    "content": [{"type": "text", "text": "sky"}, {"type": "tool_reference", "tool_name": "look"}],
                }
            ],
        },
    ],
    "tools": [{"name": "look", "description": "Looks.", "input_schema": SCHEMA, "strict": True}],
    "tool_choice": {"type": "tool", "name": "look", "disable_parallel_tool_use": True},
    "thinking": {"type": "enabled", "budget_tokens": 2048},
    "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": SCHEMA}},
    "stop_sequences": ["x"],
    "temperature": 0.5,
    "top_k": 5,
    "metadata": {"user_id": "u"},
    "stream": True,
}
RESPONSES_REQUEST: Json = {
    "model": "m",
    "instructions": "Be brief.",
    "input": [
        {
            "type": "message",
            "role": "user",
            "content": [
                {"type": "input_text", "text": "See"},
                {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "low"},
                {"type": "input_file", "filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PNG}"},
            ],
        },
        {
            "type": "reasoning",
            "id": "rs",
            "summary": [{"type": "summary_text", "text": "Hm."}],
            "encrypted_content": "e",
        },
        {"type": "function_call", "call_id": "a", "name": "look", "namespace": "n", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "a", "output": "sky"},
        {"type": "custom_tool_call", "call_id": "b", "name": "patch", "input": "x"},
        {"type": "custom_tool_call_output", "call_id": "b", "output": "done"},
        {"type": "configuration_update", "reasoning": {"effort": "low"}},
    ],
    "tools": [
        {"type": "function", "name": "look", "description": "Looks.", "parameters": SCHEMA, "strict": True},
        {
            "type": "custom",
            "name": "patch",
            "description": "Patches.",
            "format": {"type": "grammar", "syntax": "lark", "definition": "start: x"},
        },
    ],
    "tool_choice": {"type": "function", "name": "look"},
    "text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": True}, "verbosity": "low"},
    "reasoning": {"effort": "low", "summary": "auto"},
    "include": ["reasoning.encrypted_content"],
    "max_output_tokens": 100,
    "temperature": 0.5,
    "parallel_tool_calls": True,
    "store": False,
    "metadata": {},
    "user": "u",
    "stream": True,
}
GEMINI_REQUEST: Json = {
    "systemInstruction": {"parts": [{"text": "Be brief."}]},
    "contents": [
        {
            "role": "user",
            "parts": [{"text": "See"}, {"inlineData": {"mimeType": "image/png", "data": PNG}}],
        },
        {
            "role": "model",
            "parts": [
                {"text": "Hm.", "thought": True, "thoughtSignature": "s"},
                {"functionCall": {"id": "a", "name": "look", "args": {}}},
            ],
        },
        {"role": "user", "parts": [{"functionResponse": {"id": "a", "name": "look", "response": {"output": "sky"}}}]},
    ],
    "generationConfig": {
        "temperature": 0.5,
        "topK": 5,
        "maxOutputTokens": 100,
        "stopSequences": ["x"],
        "responseMimeType": "application/json",
        "responseJsonSchema": SCHEMA,
        "thinkingConfig": {"includeThoughts": True, "thinkingBudget": 2048},
    },
    "tools": [
        {"functionDeclarations": [{"name": "look", "description": "Looks.", "parametersJsonSchema": SCHEMA}]},
    ],
    "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["look"]}},
    "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}],
}


def messages_chat(body: Json) -> Chat:
    return MESSAGES.as_chat(parse_messages(orjson.dumps(body), Trace("r"), dialect=MESSAGES))


def responses_chat(body: Json) -> Chat:
    return RESPONSES.as_chat(parse_response(orjson.dumps(body), Trace("r"), dialect=RESPONSES))


def gemini_chat(body: Json) -> Chat:
    raw = orjson.dumps(body)
    return GEMINI.as_chat(parse_generate(raw, Trace("r"), model="m", stream=True, dialect=GEMINI))


def asking(adapter: type[Any]) -> Callable[[Json], object]:
    made: Adapter = adapter(Account("up", base_url="http://up", api_key="k"))
    return lambda body: made.request(parse_chat(orjson.dumps(body), Trace("r")))


_DROPPED = ("tools", "tool_choice", "service_tier", "stream_options")  # which Perplexity never sees

READ: dict[str, tuple[Json, Callable[[Json], object]]] = {
    "messages": (MESSAGES_REQUEST, messages_chat),
    "responses": (RESPONSES_REQUEST, responses_chat),
    "gemini": (GEMINI_REQUEST, gemini_chat),
    "chat to Gemini": (CHAT, asking(Gemini)),
    "chat to Anthropic": (CHAT, asking(Anthropic)),
    "chat to Perplexity": ({name: value for name, value in CHAT.items() if name not in _DROPPED}, asking(Perplexity)),
}


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    """Every member and entry, from the outside in."""
    if path:
        yield path
    for name, inner in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        yield from places(inner, (*path, name))


def at(value: Any, path: Path) -> Any:
    for name in path:
        value = value[name]
    return value


def changed(body: Json, path: Path, to: Any) -> Json:
    """A copy with another value in one place."""
    copy: Json = orjson.loads(orjson.dumps(body))
    at(copy, path[:-1])[path[-1]] = to
    return copy
