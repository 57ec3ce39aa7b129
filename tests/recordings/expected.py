"""What a recording says, read plainly over its whole body and without any of the product's code."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.recordings.recording import Recording

Json = dict[str, Any]


@dataclass(slots=True)
class Said:
    """One choice. `aside` are texts that may stand in the answer's text in some form (code that was run)."""

    text: str = ""
    reasoning: str = ""
    refusal: str | None = ""  # None: any will do
    calls: list[Json] = field(default_factory=list)  # {"id", "name", "arguments": parsed or text}
    finish: str | None = None
    urls: list[str] = field(default_factory=list)  # cited
    quotes: list[tuple[str, str]] = field(default_factory=list)  # (url, the text it is a source of)
    pictures: int = 0
    tokens: list[str] = field(default_factory=list)  # that have log probabilities
    aside: bool = False
    native: str | None = None


@dataclass(slots=True)
class Expected:
    choices: dict[int, Said] = field(default_factory=dict)
    usage: Json = field(default_factory=dict)  # members that must be in the client's usage
    extras: Json = field(default_factory=dict)  # top-level members that must reach the client
    error: Json | None = None
    may_fail: bool = False  # the provider gave nothing usable: an error is as good as an empty answer

    def choice(self, index: int) -> Said:
        return self.choices.setdefault(index, Said())


def expected(recording: Recording) -> Expected:
    parts = list(_parts(recording.body))
    return _gemini(parts) if recording.native else _openai(parts, recording)


def _parts(body: bytes) -> Iterator[Json]:
    """The JSON objects of a body: of an event stream, of a list, or the one that it is."""
    text = body.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff")
    if not re.search(r"^data:", text, re.MULTILINE):
        whole = json.loads(text)
        yield from whole if isinstance(whole, list) else [whole]
        return
    for block in text.split("\n\n"):
        lines = block.split("\n")
        data = "\n".join(line[5:].removeprefix(" ") for line in lines if line.startswith("data:"))
        if data and data.strip() != "[DONE]":
            yield json.loads(data)
    bare = re.search(r"^\{.*\Z", text, re.MULTILINE | re.DOTALL)
    if bare:
        yield json.loads(bare[0])


# OpenAI's dialect

_HEAD = frozenset(("id", "object", "created", "model", "choices", "usage", "error", "obfuscation"))


def _openai(parts: list[Json], recording: Recording) -> Expected:
    found = Expected()
    for part in parts:
        if part.get("error"):
            found.error = part["error"]
        if part.get("usage"):
            found.usage = _summed(found.usage, part["usage"]) if recording.provider == "llamacpp" else part["usage"]
        if part.get("choices") or not recording.stream:
            found.extras.update((key, value) for key, value in part.items() if key not in _HEAD and value is not None)
        for position, choice in enumerate(part.get("choices") or ()):
            _add_choice(found.choice(choice.get("index", position)), choice, "delta" if recording.stream else "message")
            if choice.get("error"):
                found.error = choice["error"]
    for said in found.choices.values():
        _end(said, found)
    return found


def _summed(usage: Json, more: Json) -> Json:
    """llama.cpp counts each choice by itself, in an event of its own."""
    if not usage:
        return more
    completion = usage["completion_tokens"] + more["completion_tokens"]
    return {**more, "completion_tokens": completion, "total_tokens": more["prompt_tokens"] + completion}


def _add_choice(said: Said, choice: Json, kind: str) -> None:
    piece = choice.get(kind) or {}
    said.text += _text(piece.get("content")) or choice.get("text") or ""
    said.reasoning += _thoughts(piece)
    said.refusal = (said.refusal or "") + (piece.get("refusal") or "")
    said.urls += [one["url_citation"]["url"] for one in piece.get("annotations") or () if "url_citation" in one]
    said.pictures += len(piece.get("images") or ())
    logprobs = choice.get("logprobs")
    said.tokens += [one["token"] for one in (logprobs or {}).get("content") or ()] if isinstance(logprobs, dict) else []
    for position, call in enumerate(piece.get("tool_calls") or ()):
        _add_call(said, call, position)
    said.finish = choice.get("finish_reason") or said.finish
    said.native = choice.get("native_finish_reason") or said.native


def _text(content: Any) -> str:
    return "".join(one.get("text") or "" for one in content) if isinstance(content, list) else content or ""


def _thoughts(piece: Json) -> str:
    plain = piece.get("reasoning_content") or piece.get("reasoning")
    if plain:
        return str(plain)
    details = piece.get("reasoning_details") or ()
    return "".join(one.get("text") or one.get("summary") or "" for one in details)


def _add_call(said: Said, call: Json, position: int) -> None:
    """A call goes on if it has no id, or the id of one that has begun, at an index that has begun."""
    index, id = call.get("index", position), call.get("id")
    function = call.get("function") or {}
    begun = next((one for one in said.calls if one["index"] == index and (not id or one["id"] in (id, ""))), None)
    if begun is None:
        begun = {"index": index, "id": id or "", "name": "", "arguments": ""}
        said.calls.append(begun)
    begun["name"] = begun["name"] or function.get("name") or ""
    arguments = function.get("arguments")
    begun["arguments"] += arguments if isinstance(arguments, str) else json.dumps(arguments) if arguments else ""


def _end(said: Said, found: Expected) -> None:
    if said.calls and said.finish in (None, "stop"):
        said.finish = "tool_calls"
    said.finish = said.finish or "stop"
    if said.finish == "error":
        found.error = found.error or {"message": None}
    said.urls = list(dict.fromkeys(said.urls + list(found.extras.get("citations") or ())))


# Gemini

_FINISH = {"STOP": "stop", "MAX_TOKENS": "length"}
_FILTERED = re.compile(r"SAFETY|RECITATION|BLOCKLIST|PROHIBITED|SPII|MODEL_ARMOR|IMAGE_OTHER")


def _gemini(parts: list[Json]) -> Expected:
    found = Expected()
    for part in parts:
        if part.get("error"):
            found.error = part["error"]
        if part.get("usageMetadata"):
            found.usage = _tokens(part["usageMetadata"]) or found.usage
        for candidate in part.get("candidates") or ():
            _add_candidate(found.choice(candidate.get("index", 0)), candidate)
        if (part.get("promptFeedback") or {}).get("blockReason"):
            found.choice(0).finish, found.choice(0).refusal = "content_filter", None
    for said in found.choices.values():
        _close(said, found)
    if not found.choices and not found.error:
        found.may_fail = True
    return found


def _add_candidate(said: Said, candidate: Json) -> None:
    for part in (candidate.get("content") or {}).get("parts") or ():
        _add_part(said, part)
    reason = candidate.get("finishReason")
    if reason and said.finish != "content_filter":
        said.native = reason
        said.finish = _FINISH.get(reason) or ("content_filter" if _FILTERED.search(str(reason)) else "other")
    grounding = candidate.get("groundingMetadata") or {}
    chunks = grounding.get("groundingChunks") or ()
    for support in grounding.get("groundingSupports") or ():
        for index in support.get("groundingChunkIndices") or ():
            url = (chunks[index].get("web") or {}).get("uri") if index < len(chunks) else None
            if url:
                said.quotes.append((url, (support.get("segment") or {}).get("text") or ""))
    result = candidate.get("logprobsResult") or {}
    said.tokens += [one["token"] for one in result.get("chosenCandidates") or ()]


def _add_part(said: Said, part: Json) -> None:
    if "functionCall" in part:
        _add_function_call(said, part["functionCall"])
    elif part.get("text") and part.get("thought"):
        said.reasoning += part["text"]
    elif part.get("text"):
        said.text += part["text"]
    elif part.get("inlineData"):
        said.pictures += 1
    elif part.get("executableCode") or part.get("codeExecutionResult"):
        said.aside = True


def _add_function_call(said: Said, call: Json) -> None:
    """A whole call, or (Vertex, if asked for) one whose arguments come in pieces, each with its place."""
    if "name" in call:
        said.calls.append(
            {"index": len(said.calls), "id": call.get("id") or "", "name": call["name"], "arguments": "{}"}
        )
    arguments = call.get("args") or json.loads(said.calls[-1]["arguments"])
    for piece in call.get("partialArgs") or ():
        value = next((piece[key] for key in ("stringValue", "numberValue", "boolValue") if key in piece), None)
        _place(arguments, re.findall(r"\.(\w+)|\[(\d+)\]", piece["jsonPath"]), value)
    said.calls[-1]["arguments"] = json.dumps(arguments)


def _place(holder: Any, path: list[tuple[str, str]], value: Any) -> None:
    (name, number), *rest = path
    key: Any = name or int(number)
    if isinstance(holder, list):
        holder.extend([None] * (key + 1 - len(holder)))
    old = holder[key] if isinstance(holder, list) else holder.get(key)
    if not rest:
        holder[key] = old + value if isinstance(old, str) else value
        return
    if old is None:
        holder[key] = {} if rest[0][0] else []
    _place(holder[key], rest, value)


def _close(said: Said, found: Expected) -> None:
    empty = not (said.text or said.calls or said.reasoning or said.pictures)
    if said.calls and said.finish == "stop":
        said.finish = "tool_calls"
    if said.finish in ("other", None) and empty:
        found.may_fail = True
    if said.finish == "other":
        said.finish = None  # any will do


def _tokens(said: Json) -> Json:
    if "promptTokenCount" not in said and "candidatesTokenCount" not in said:
        return {}
    prompt = said.get("promptTokenCount", 0) + said.get("toolUsePromptTokenCount", 0)
    completion = said.get("candidatesTokenCount", 0) + said.get("thoughtsTokenCount", 0)
    usage: Json = {"prompt_tokens": prompt, "completion_tokens": completion}
    if "totalTokenCount" in said:
        usage["total_tokens"] = said["totalTokenCount"]
    if said.get("thoughtsTokenCount"):
        usage["completion_tokens_details"] = {"reasoning_tokens": said["thoughtsTokenCount"]}
    if said.get("cachedContentTokenCount"):
        usage["prompt_tokens_details"] = {"cached_tokens": said["cachedContentTokenCount"]}
    return usage
