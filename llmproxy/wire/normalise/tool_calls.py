"""Tool calls with dense indexes and one id each, however the provider cuts and numbers them."""

from __future__ import annotations

from collections.abc import Iterable

import orjson

from llmproxy.core.chat import Chat, Json

from .deltas import deltas, same, with_delta

_CUT = ("length", "content_filter")


class ToolCalls:
    """Tool calls with dense indexes from 0, one id each, and arguments that are pieces of one string.

    Keyed by the provider's index; by id where a new id comes under an old index or no index comes at all
    (Google's compatible endpoint sends parallel calls without index, one a chunk: recorded).
    """

    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self._calls: dict[int, _Calls] = {}
        self._cut: set[int] = set()  # choices that ended before the model wanted to

    def feed(self, chunk: Json) -> Iterable[Json]:
        for choice, delta in deltas(chunk):
            if choice.get("finish_reason") in _CUT:
                self._cut.add(choice.get("index") or 0)
            calls = delta.get("tool_calls")
            if calls is None and "tool_calls" not in delta:
                continue
            seen = self._calls.setdefault(
                choice.get("index") or 0, _Calls(self._chat.trace.id, choice.get("index") or 0)
            )
            tidy = [seen.place(call) for call in calls or () if isinstance(call, dict)]
            if not tidy:
                chunk = with_delta(chunk, same(chunk, choice), {k: v for k, v in delta.items() if k != "tool_calls"})
            elif tidy != calls:
                chunk = with_delta(chunk, same(chunk, choice), {**delta, "tool_calls": tidy})
        return (chunk,)

    def finish(self) -> Iterable[Json]:
        """A call without arguments has `{}` as its arguments: some providers send nothing, which is no JSON."""
        for index, seen in self._calls.items():
            if seen.without and index not in self._cut:
                pieces = [{"index": call, "function": {"arguments": "{}"}} for call in sorted(seen.without)]
                yield {"choices": [{"index": index, "delta": {"tool_calls": pieces}, "finish_reason": None}]}


class _Calls:
    """The tool calls of one choice so far."""

    def __init__(self, request: str, choice: int) -> None:
        self._prefix = f"call_{request}_{choice}_"
        self._ids: list[str] = []  # by our index
        self._name = self._said = ""  # of the last call: its name, and its arguments so far
        self._by_index: dict[object, int] = {}  # the provider's index -> ours
        self.without: set[int] = set()  # functions whose arguments have not begun

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
            if arguments:
                self.without.discard(known)
            tidy["function"] = {**rest, "arguments": arguments}
        return tidy

    def _find(self, given: str | None, theirs: object, function: Json) -> int | None:
        if given is not None and given in self._ids:
            # One id for two calls, each of them whole and at an index of its own: two calls.
            elsewhere = theirs is not None and theirs not in self._by_index
            return None if elsewhere and _is_whole(self._said) else self._ids.index(given)
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
        id = given if given and given not in self._ids else f"{self._prefix}{ours}"
        self._ids.append(id)
        self._by_index[theirs if theirs is not None else ("none", ours)] = ours
        tidy: Json = {**call, "index": ours, "id": id, "type": call.get("type") or "function"}
        if function is not None:
            self._name, self._said = function.get("name") or "", _arguments(function)
            tidy["function"] = {**function, "name": self._name, "arguments": self._said}
            if not self._said:
                self.without.add(ours)
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
