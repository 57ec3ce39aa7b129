"""Chat completions, as llama.cpp and OpenAI speak them. Reasoning has no seal here: it comes back as it was, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from llmproxy.testing import Behaviour, chunk, completion, sse

from .turn import JSON, SSE, TOKENS, Call, Heard, Json, Turn, call_id, data_url, halves

_USAGE = {"prompt_tokens": TOKENS[0], "completion_tokens": TOKENS[1], "total_tokens": sum(TOKENS)}


def hear(body: Json) -> Heard:
    heard = Heard(streamed=body.get("stream") is True)
    heard.tools = {tool["function"]["name"] for tool in body.get("tools") or () if tool["type"] == "function"}
    for message in body["messages"]:
        calls = message.get("tool_calls") or ()
        heard.turns += bool(calls)
        heard.calls += [(call["id"], call["function"]["name"]) for call in calls]
        if message.get("reasoning_content"):
            heard.thoughts.append(message["reasoning_content"])
        texts = [*_read(message.get("content"), heard)]
        if message["role"] == "tool":
            heard.results.append(" ".join(texts))
    return heard


def _read(content: Any, heard: Heard) -> Iterator[str]:
    parts: list[Json] = content if isinstance(content, list) else [{"type": "text", "text": content or ""}]
    for part in parts:
        if part["type"] == "image_url":
            heard.images.append(data_url(part["image_url"]["url"]))
        elif part["type"] == "text":
            yield part["text"]


def say(turn: Turn, number: int, *, thinks: bool, streamed: bool) -> Behaviour:
    """thinks: whether this server shows its reasoning, as OpenAI's does not."""
    calls = [_call(number, at, call) for at, call in enumerate(turn.calls)]
    finish = "tool_calls" if calls else "stop"
    thought = turn.thought if thinks else ""
    if not streamed:
        bare = [{name: value for name, value in call.items() if name != "index"} for call in calls]
        message: Json = {"role": "assistant", "content": turn.text or None, **({"tool_calls": bare} if bare else {})}
        if thought:
            message["reasoning_content"] = thought
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
        return Behaviour(
            [orjson.dumps(completion(id=f"chatcmpl-{number}", choices=[choice], usage=_USAGE))],
            headers=JSON,
            framing="length",
        )
    id = f"chatcmpl-{number}"
    deltas: list[Json] = [{"role": "assistant", "content": None}]
    deltas += [{"reasoning_content": piece} for piece in halves(thought)]
    deltas += [{"content": piece} for piece in halves(turn.text)]
    deltas += [delta for call in calls for delta in _pieces(call)]
    frames = [sse(chunk(delta, id=id), done=False) for delta in deltas]
    end = sse(chunk({}, finish=finish, id=id), chunk(None, usage=_USAGE, id=id))
    return Behaviour([*frames, end], headers=SSE)


def begin(text: str) -> list[bytes]:
    """The beginning of an answer, without an end."""
    return [sse(chunk({"role": "assistant", "content": None}), chunk({"content": text}), done=False)]


def _call(number: int, at: int, call: Call) -> Json:
    arguments = {"input": call.text} if call.text else call.arguments
    function = {"name": call.tool, "arguments": orjson.dumps(arguments).decode()}
    return {"index": at, "id": call_id(number, at), "type": "function", "function": function}


def _pieces(call: Json) -> Iterator[Json]:
    """The call with its name, then its arguments in pieces."""
    function = call["function"]
    yield {"tool_calls": [{**call, "function": {**function, "arguments": ""}}]}
    for piece in halves(function["arguments"]):
        yield {"tool_calls": [{"index": call["index"], "function": {"arguments": piece}}]}


def fail(status: int, message: str) -> Json:
    kind, code = ("rate_limit_error", "rate_limit_exceeded") if status == 429 else ("server_error", None)
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}
