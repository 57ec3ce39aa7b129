"""The response object: it repeats the request, and has the answer and its state."""

from __future__ import annotations

from collections.abc import Mapping

from llmproxy.core.chat import Chat, Json

# Members of a request that a response repeats, with their defaults.
_ECHOED: Mapping[str, object] = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "prompt_cache_retention": None,
    "safety_identifier": None,
    "service_tier": "default",
    "temperature": 1.0,
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
    "metadata": {},
    "frequency_penalty": 0.0,
    "presence_penalty": 0.0,
}

_FUNCTION: Mapping[str, object] = {"description": None, "parameters": None, "strict": None}


def echo(body: Json, *, stored: bool) -> Json:
    """The members that repeat the request."""
    echoed: Json = {name: usual if body.get(name) is None else body[name] for name, usual in _ECHOED.items()}
    reasoning, text = body.get("reasoning") or {}, body.get("text") or {}
    return {
        **echoed,
        "tools": [{**_FUNCTION, **one} if one.get("type") == "function" else one for one in echoed["tools"]],
        "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")},
        "text": {"verbosity": "medium", **text, "format": _format(text.get("format"))},
        "store": stored,
    }


def _format(given: object) -> Json:
    if not isinstance(given, dict):
        return {"type": "text"}
    return {"description": None, "strict": False, **given} if given.get("type") == "json_schema" else given


def usage_of(counted: Json) -> Json:
    """A usage object from OpenAI's chat form; both details are always present."""
    prompt, completion = _count(counted.get("prompt_tokens")), _count(counted.get("completion_tokens"))
    into, out = _object(counted.get("prompt_tokens_details")), _object(counted.get("completion_tokens_details"))
    return {
        "input_tokens": prompt,
        "input_tokens_details": {
            "cached_tokens": _count(into.get("cached_tokens")),
            "cache_write_tokens": _count(into.get("cache_write_tokens")),
        },
        "output_tokens": completion,
        "output_tokens_details": {"reasoning_tokens": _count(out.get("reasoning_tokens"))},
        "total_tokens": _count(counted.get("total_tokens")) or prompt + completion,
    }


def chat_usage(usage: Json) -> Json:
    """The chat form of a response's usage; further members (`cost`) are kept."""
    into, out = _object(usage.get("input_tokens_details")), _object(usage.get("output_tokens_details"))
    more = {name: value for name, value in usage.items() if not name.startswith(("input_tokens", "output_tokens"))}
    return {
        **more,
        "prompt_tokens": _count(usage.get("input_tokens")),
        "completion_tokens": _count(usage.get("output_tokens")),
        "prompt_tokens_details": into,
        "completion_tokens_details": out,
    }


def _object(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def queued(chat: Chat, id: str) -> Json:
    """The response object of a background request that has not begun."""
    head = {"id": id, "object": "response", "created_at": chat.trace.created, "status": "queued", "completed_at": None}
    rest: Json = {
        "error": None,
        "incomplete_details": None,
        "model": chat.body.get("model") or chat.model,
        "output": [],
    }
    return {**head, **rest, **echo(chat.body, stored=True), "usage": None}
