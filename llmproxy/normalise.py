"""What every client is promised of a stream of chunks, whatever the provider did: three steps to be piped.

A chunk that needs nothing comes out as the very object that went in, so that its bytes can be kept too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import orjson

from .chat import Chat, Json, Usage
from .errors import Truncated, UpstreamError

FINISHES = frozenset(("stop", "length", "tool_calls", "content_filter", "function_call"))
_ENVELOPE = frozenset(("id", "object", "created", "model", "choices", "usage"))
_OTHER_NAMES = frozenset(("reasoning", "reasoning_details"))
_TEXT = ("content", "reasoning_content", "reasoning", "refusal")
_REAL = (*_TEXT, "tool_calls", "function_call", "audio", "images", "annotations", "reasoning_details")


def deltas(chunk: Json) -> Iterator[tuple[Json, Json]]:
    """Each choice of a chunk with its delta, leaving out what is neither."""
    for choice in chunk.get("choices") or ():
        if isinstance(choice, dict):
            delta = choice.get("delta")
            yield choice, delta if isinstance(delta, dict) else {}


def with_delta(chunk: Json, choice: Json, delta: Json) -> Json:
    """The chunk with another delta in one of its choices."""
    choices = [{**one, "delta": delta} if one is choice else one for one in chunk["choices"]]
    return {**chunk, "choices": choices}


class Reasoning:
    """Thoughts under one name: `reasoning_content`, as DeepSeek, vLLM and llama.cpp call it.

    OpenRouter and Ollama say `reasoning`. Where `reasoning_details` come along, which the client must send back in the
    next turn, `reasoning` stays beside it. Mistral sends content as a list of parts.
    """

    def feed(self, chunk: Json) -> Iterable[Json]:
        for choice, delta in deltas(chunk):
            if not _OTHER_NAMES.isdisjoint(delta) or isinstance(delta.get("content"), list):
                chunk = with_delta(chunk, _same(chunk, choice), _one_name(delta))
        return (chunk,)

    def finish(self) -> Iterable[Json]:
        return ()


def _same(chunk: Json, choice: Json) -> Json:
    """The choice of a rebuilt chunk that stands where this one did."""
    if any(one is choice for one in chunk["choices"]):
        return choice
    found: Json = next(one for one in chunk["choices"] if one.get("index") == choice.get("index"))
    return found


def _one_name(delta: Json) -> Json:
    delta = dict(delta)
    if isinstance(delta.get("content"), list):
        text, thoughts = _parts(delta["content"])
        delta["content"] = text
        if thoughts:
            delta["reasoning_content"] = thoughts
    details = delta.get("reasoning_details")
    reasoning = delta.get("reasoning") or _detailed(details)
    if isinstance(reasoning, str) and reasoning and not delta.get("reasoning_content"):
        delta["reasoning_content"] = reasoning
    if not details:
        delta.pop("reasoning", None)
    return delta


def _detailed(details: object) -> str:
    """The text of reasoning that comes in details alone, as OpenRouter does for some models when not streamed (recorded)."""
    parts = [one for one in details if isinstance(one, dict)] if isinstance(details, list) else []
    return "".join(text for one in parts if isinstance(text := one.get("text") or one.get("summary"), str))


def _parts(parts: list[Any]) -> tuple[str, str]:
    """Text and thoughts of content that came as a list of parts."""
    text, thoughts = [], []
    for part in parts:
        if isinstance(part, str):
            text.append(part)
        elif isinstance(part, dict) and isinstance(part.get("thinking"), list):
            thoughts.append(_parts(part["thinking"])[0])
        elif isinstance(part, dict) and isinstance(part.get("text"), str):
            text.append(part["text"])
    return "".join(text), "".join(thoughts)


class ToolCalls:
    """Tool calls with dense indexes from 0, one id each, and arguments that are pieces of one string.

    Keyed by the provider's index; by id where a new id comes under an old index or no index comes at all
    (Google's compatible endpoint sends parallel calls without index, one a chunk: recorded).
    """

    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self._calls: dict[int, _Calls] = {}

    def feed(self, chunk: Json) -> Iterable[Json]:
        for choice, delta in deltas(chunk):
            calls = delta.get("tool_calls")
            if calls is None and "tool_calls" not in delta:
                continue
            seen = self._calls.setdefault(
                choice.get("index") or 0, _Calls(self._chat.trace.id, choice.get("index") or 0)
            )
            tidy = [seen.place(call) for call in calls or () if isinstance(call, dict)]
            if not tidy:
                chunk = with_delta(chunk, _same(chunk, choice), {k: v for k, v in delta.items() if k != "tool_calls"})
            elif tidy != calls:
                chunk = with_delta(chunk, _same(chunk, choice), {**delta, "tool_calls": tidy})
        return (chunk,)

    def finish(self) -> Iterable[Json]:
        return ()


class _Calls:
    """The tool calls of one choice so far."""

    def __init__(self, request: str, choice: int) -> None:
        self._prefix = f"call_{request}_{choice}_"
        self._ids: list[str] = []  # by our index
        self._name = self._said = ""  # of the last call: its name, and its arguments so far
        self._by_index: dict[object, int] = {}  # the provider's index -> ours

    def place(self, call: Json) -> Json:
        """The call's next piece as OpenAI would send it: id, type and name only with the first."""
        given, theirs = call.get("id") or None, call.get("index")
        function = call.get("function") if isinstance(call.get("function"), dict) else None
        known = self._find(given, theirs, function or {})
        if known is None:
            return self._first(call, given, theirs, function)
        extra = {k: v for k, v in call.items() if k not in ("id", "type", "index", "function") and v is not None}
        tidy: Json = {"index": known, **extra}
        if function is not None:
            rest = {k: v for k, v in function.items() if k not in ("name", "arguments")}
            arguments = _arguments(function)
            self._said += arguments
            tidy["function"] = {**rest, "arguments": arguments}
        return tidy

    def _find(self, given: str | None, theirs: object, function: Json) -> int | None:
        if given is not None and given in self._ids:
            return self._ids.index(given)
        if theirs is None:  # a piece without index and id goes on with the last call, unless it begins another
            goes_on = given is None and self._ids and not self._begins(function.get("name"))
            return len(self._ids) - 1 if goes_on else None
        known = self._by_index.get(theirs)
        return known if given is None else None if known is None else self._replaces(known, given)

    def _begins(self, name: object) -> bool:
        """Whether a name begins another call: some providers say it with every piece, others send each call whole."""
        return bool(name) and (name != self._name or _is_whole(self._said))

    def _replaces(self, known: int, given: str) -> int | None:
        """Another id under an index that is taken is another call, unless we had to invent the first id."""
        if self._ids[known].startswith(self._prefix):
            return known
        return None

    def _first(self, call: Json, given: str | None, theirs: object, function: Json | None) -> Json:
        ours = len(self._ids)
        id = given or f"{self._prefix}{ours}"
        self._ids.append(id)
        self._by_index[theirs if theirs is not None else ("none", ours)] = ours
        tidy: Json = {**call, "index": ours, "id": id, "type": call.get("type") or "function"}
        if function is not None:
            self._name, self._said = function.get("name") or "", _arguments(function)
            tidy["function"] = {**function, "name": self._name, "arguments": self._said}
        return tidy


def _is_whole(arguments: str) -> bool:
    try:
        orjson.loads(arguments)
    except orjson.JSONDecodeError:
        return False
    return True


def _arguments(function: Json) -> str:
    given = function.get("arguments")
    if isinstance(given, str):
        return given
    return "" if given is None else orjson.dumps(given).decode()


class Envelope:
    """One id, `created` and model; one role and one finish per choice, the finish held to the end; one usage chunk, if asked.

    blame: makes the UpstreamError of an error that came inside the stream.
    """

    def __init__(self, chat: Chat, blame: Callable[[Json], UpstreamError]) -> None:
        self._chat = chat
        self._blame = blame
        self._head: Json = {}  # id, object, created, model, once they are known
        self._extras: Json = {}  # members of chunks that have no place of their own
        self._choices: dict[int, _Choice] = {}
        self._usage_extras: Json = {}
        self.usage: Usage | None = None
        self.started = False
        self.produced = 0

    def feed(self, chunk: Json) -> Iterable[Json]:
        if chunk.get("error"):
            raise self._blame(chunk)
        usage = chunk.get("usage")
        if isinstance(usage, dict) and usage:
            self.usage = Usage.parse(usage)
            chunk = {k: v for k, v in chunk.items() if k != "usage"}
        if not chunk.get("choices"):
            return self._choiceless(chunk)
        choices = [
            tidy for one in chunk["choices"] if isinstance(one, dict) and (tidy := self._choice(one)) is not None
        ]
        chunk = self._enveloped(chunk)
        if not choices:  # only a finish: held
            self._keep_extras(chunk)
            return ()
        if len(choices) != len(chunk["choices"]) or any(
            a is not b for a, b in zip(choices, chunk["choices"], strict=True)
        ):
            chunk = {**chunk, "choices": choices}
        return (self._with_extras(chunk),)

    def finish(self, complete: bool = False) -> Iterable[Json]:
        """What is owed at the end. `complete`: the provider said so itself, with `[DONE]`.

        Raises Truncated if neither that nor a finish was seen.
        """
        open_choices = [one for one in self._choices.values() if one.finish is None]
        if not self._choices or (open_choices and not complete):
            raise Truncated("The provider's answer ended before it was complete.")
        chunks = [self._finished(index, one) for index, one in sorted(self._choices.items())]
        if not self._chat.include_usage and self._chat.stream:
            self._extras.update(self._usage_extras)
        chunks[-1] = self._with_extras(chunks[-1])
        if self.usage is not None and (self._chat.include_usage or not self._chat.stream):
            chunks.append({**self._head, **self._usage_extras, "choices": [], "usage": self.usage.raw})
        return chunks

    def _finished(self, index: int, one: _Choice) -> Json:
        delta: Json = {} if one.opened else {"role": "assistant", "content": ""}
        return {
            **self._head,
            "choices": [{**one.extras, "index": index, "delta": delta, "finish_reason": one.reason()}],
        }

    def _choiceless(self, chunk: Json) -> Iterable[Json]:
        rest = {k: v for k, v in chunk.items() if k not in _ENVELOPE and v is not None}
        if self.usage is not None:
            self._enveloped(chunk)
            self._usage_extras.update(rest)
            return ()
        if not chunk.get("id"):  # Azure's first chunk has its prompt_filter_results and no id: recorded
            self._extras.update(rest)
            return ()
        return ({**self._enveloped(chunk), "choices": []},) if rest else ()

    def _enveloped(self, chunk: Json) -> Json:
        head = self._head
        if not head:
            head = self._head = self._first_head(chunk)
        for key, value in head.items():
            if chunk.get(key) != value:
                return {**head, **{k: v for k, v in chunk.items() if k not in head}}
        return chunk

    def _first_head(self, chunk: Json) -> Json:
        created = chunk.get("created")
        return {
            "id": _text(chunk.get("id")) or f"chatcmpl-{self._chat.trace.id}",
            "object": "chat.completion.chunk",
            "created": int(created) if isinstance(created, (int, float)) and created else self._chat.trace.created,
            "model": _text(chunk.get("model")) or self._chat.model,
        }

    def _keep_extras(self, chunk: Json) -> None:
        self._extras.update((k, v) for k, v in chunk.items() if k not in _ENVELOPE and v is not None)

    def _with_extras(self, chunk: Json) -> Json:
        if not self._extras:
            return chunk
        extras, self._extras = self._extras, {}
        return {**extras, **chunk}

    def _choice(self, choice: Json) -> Json | None:
        """The choice as it goes on; None if nothing of it is left to say now."""
        if choice.get("error") or choice.get("finish_reason") == "error":  # OpenRouter, when an upstream of its broke
            raise self._blame(
                {"error": choice.get("error") or {"message": "The provider ended its answer with an error."}}
            )
        index = choice.get("index")
        number = index if isinstance(index, int) else 0
        state = self._choices.get(number)
        if state is None:
            state = self._choices[number] = _Choice()
        given = choice.get("delta")
        delta = given if isinstance(given, dict) else {}
        tidy = state.tidy_delta(delta)
        self._count(tidy)
        if choice.get("finish_reason"):
            self.started = True
            state.take_finish(choice)
            if not any(tidy.values()):
                return None
            choice = {k: v for k, v in choice.items() if k not in state.extras}
            return {**choice, "index": number, "delta": tidy, "finish_reason": None}
        if state.finish is not None and not any(tidy.values()):
            state.keep(choice)
            return None
        if tidy is given and index is number and "finish_reason" in choice and choice["finish_reason"] is None:
            return choice
        return {**choice, "index": number, "delta": tidy, "finish_reason": None}

    def _count(self, delta: Json) -> None:
        for key in _TEXT:
            text = delta.get(key)
            if text and isinstance(text, str):
                self.produced += len(text)
                self.started = True
        if not self.started and any(delta.get(key) for key in _REAL):
            self.started = True


class _Choice:
    """One choice of the answer: whether it was opened, how it ended, what came with the end."""

    def __init__(self) -> None:
        self.opened = False
        self.finish: str | None = None
        self.extras: Json = {}
        self._tools = False
        self._function = False

    def tidy_delta(self, delta: Json) -> Json:
        """The delta with a role in the first one and in no other."""
        if delta.get("tool_calls"):
            self._tools = True
        if delta.get("function_call"):
            self._function = True
        role = delta.get("role")
        if not self.opened:
            if not delta:
                return delta
            self.opened = True
            return (
                delta
                if role == "assistant"
                else {"role": "assistant", **{k: v for k, v in delta.items() if k != "role"}}
            )
        return delta if "role" not in delta else {k: v for k, v in delta.items() if k != "role"}

    def take_finish(self, choice: Json) -> None:
        self.finish = str(choice["finish_reason"])
        self.keep(choice)

    def keep(self, choice: Json) -> None:
        """Members that come with the end go out with it, whatever the chunk they came in."""
        extras = {
            k: v for k, v in choice.items() if k not in ("index", "delta", "message", "finish_reason") and v is not None
        }
        self.extras = {**self.extras, **extras}

    def reason(self) -> str:
        """Why it ended, derived from what was seen: Gemini, OpenRouter and Ollama say `stop` for tool calls (recorded)."""
        said = self.finish or "stop"
        if said not in FINISHES:
            self.extras.setdefault("native_finish_reason", said)
            said = "stop"
        if said in ("stop", "function_call") and self._tools:
            return "tool_calls"
        return "function_call" if said == "stop" and self._function else said


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
