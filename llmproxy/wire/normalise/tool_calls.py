"""Normalises tool calls: dense indexes, one ID and one name each, however the provider splits, numbers and repeats them."""

from __future__ import annotations

from collections.abc import Iterable

import orjson

from llmproxy.core.chat import Chat, Json
from llmproxy.core.errors import Malformed
from llmproxy.wire.finish_reasons import FINISHES

from .deltas import deltas, same, with_delta
from .json_end import JsonEnd

_CUT = ("length", "content_filter")
_NO_ID = ("", "null", "None", None)
_NONE: frozenset[int] = frozenset()  # one for all streams


class ToolCalls:
    """Tool calls with indexes 0, 1, 2, ..., and arguments that are pieces of one string.

    The call to which a piece belongs is found by its index, by its ID, and, if these are missing, repeated or different for
    every piece, by whether the arguments of the last call are complete JSON. Raises Malformed if this does not decide it: an
    error is better than a wrong call.
    """

    __slots__ = ("_calls", "_chat", "_cut", "_odd")

    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self._calls: dict[int, _Calls] = {}
        self._cut = _NONE  # choices that ended before the model had finished
        self._odd = _NONE  # choices with an unknown finish reason

    def feed(self, chunk: Json) -> Iterable[Json]:
        for choice, delta in deltas(chunk):
            if finish := choice.get("finish_reason"):
                self._ends(choice.get("index") or 0, finish)
            given = delta.get("tool_calls")
            if given is None and "tool_calls" not in delta:
                continue
            pieces = [one for one in given if isinstance(one, dict)] if isinstance(given, list) else []
            seen = self._of(choice)
            tidy = [placed for piece in pieces if (placed := seen.place(piece)) is not None]
            if not tidy:
                chunk = with_delta(chunk, same(chunk, choice), {k: v for k, v in delta.items() if k != "tool_calls"})
            elif tidy != given:
                chunk = with_delta(chunk, same(chunk, choice), {**delta, "tool_calls": tidy})
        return (chunk,)

    def further(self, choice: int, index: int, text: str) -> bool:
        """Takes a further piece of arguments, if it belongs to a call that is open and goes on as it came."""
        seen = self._calls.get(choice)
        return seen is not None and seen.further(index, text)

    def finish(self) -> Iterable[Json]:
        """Ends the calls. A call without arguments gets `{}`: some providers send nothing, which is not JSON.

        If the finish reason is unknown and the arguments of a call are incomplete, the answer was cut.
        """
        for index, seen in self._calls.items():
            if index in self._cut:
                continue
            if pieces := seen.owed():
                yield {"choices": [{"index": index, "delta": {"tool_calls": pieces}, "finish_reason": None}]}
            if index in self._odd and seen.is_open:
                yield {"choices": [{"index": index, "delta": {}, "finish_reason": "length"}]}

    def _ends(self, index: int, finish: str) -> None:
        if finish in _CUT:
            self._cut |= {index}
        if finish in FINISHES:
            self._odd -= {index}
        else:
            self._odd |= {index}

    def _of(self, choice: Json) -> _Calls:
        index = choice.get("index") or 0
        if index not in self._calls:
            self._calls[index] = _Calls(f"call_{self._chat.trace.id}_{index}_")
        return self._calls[index]


class _Call:
    """One call so far. `json`: the state of its arguments. `held`: pieces that came before its name."""

    __slots__ = ("custom", "given", "held", "id", "index", "json", "name", "pieces", "shown", "tentative")

    def __init__(self, index: int, id: str, given: str | None, custom: bool) -> None:
        self.index = index
        self.id = id
        self.given = given  # the provider's id, if it gave one
        self.custom = custom
        self.name = ""
        self.json = JsonEnd()
        self.pieces: list[str] = []
        self.held: Json = {}
        self.shown = False  # its first piece was sent
        self.tentative = False  # perhaps only the last call's name again

    @property
    def arguments(self) -> str:
        self.pieces = ["".join(self.pieces)]
        return self.pieces[0]


class _Calls:
    """The tool calls of one choice so far."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._calls: list[_Call] = []
        self._ids: dict[str, _Call] = {}
        self._at: dict[int | str, _Call] = {}  # the last call with this index of the provider

    def place(self, piece: Json) -> Json | None:
        """The piece in OpenAI's form: ID and type only in the first piece of a call. None: nothing is sent."""
        given = _id(piece.get("id"))
        index = piece.get("index") if isinstance(piece.get("index"), (int, str)) else None
        custom = isinstance(piece.get("custom"), dict)
        body: Json = piece["custom"] if custom else _object(piece.get("function"))
        name, text = _name(body), _text(body, "input" if custom else "arguments")
        call = self._find(given, index, name, text)
        if call is None:
            last = self._calls[-1] if self._calls else None
            call = self._begin(given, custom)
            again = last is not None and given is None and name == last.name and not text.strip()
            call.tentative = again and (index is None or index in self._at)
            if given is not None:
                self._ids.setdefault(given, call)
        if index is not None:
            self._at[index] = call
        return self._grow(call, piece, body, name, text)

    def further(self, index: int, text: str) -> bool:
        """As `place`, where that would give the piece as it is. False: it was not taken."""
        call = self._at.get(index)
        if call is None or call.index != index or not call.shown or call.custom or call.json.state != "open":
            return False
        call.pieces.append(text)
        call.json.feed(text)
        return True

    def owed(self) -> list[Json]:
        """The pieces that must still be sent at the end. Raises Malformed for a call without a name."""
        self._calls = [call for call in self._calls if not call.tentative]
        if any(not call.shown for call in self._calls):
            raise Malformed("The provider's tool call has no name.")
        empty = [call for call in self._calls if call.json.state == "empty" and not call.custom]
        return [{"index": call.index, "function": {"arguments": "{}"}} for call in empty]

    @property
    def is_open(self) -> bool:
        """Whether some arguments are incomplete."""
        return any(call.json.state == "open" and not call.custom for call in self._calls)

    def _find(self, given: str | None, index: int | str | None, name: str, text: str) -> _Call | None:
        """The call that this piece continues; None if it begins a new one."""
        by_id = self._ids.get(given) if given is not None else None
        at = self._at.get(index) if index is not None else None
        if by_id is not None:
            if index is not None and at is None and name and (by_id.json.state == "whole" or by_id.name != name):
                return None  # one ID for two calls with different indexes
            known = by_id if at is None or at is by_id else at
            return None if _begins_again(known, name, text) else known
        last = at if index is not None else (self._calls[-1] if self._calls else None)
        if last is None:
            return None
        if given is not None and last.given is not None:
            # A new ID means a new call, unless the last call's arguments are incomplete: some providers change the ID with each
            # piece.
            return last if last.json.state == "open" and name in ("", last.name) else None
        return None if _begins(last, name, text, given is not None) else last

    def _begin(self, given: str | None, custom: bool) -> _Call:
        if self._calls and self._calls[-1].tentative:
            self._calls.pop()
        index = len(self._calls)
        id = given if given is not None and given not in self._ids else f"{self._prefix}{index}"
        call = _Call(index, id, given, custom)
        self._calls.append(call)
        return call

    def _grow(self, call: _Call, piece: Json, body: Json, name: str, text: str) -> Json | None:
        if call.json.state == "whole" and text.strip() and not call.custom:
            if text.strip() != call.arguments.strip():
                raise Malformed("The provider's tool call goes on after its arguments have ended.")
            text = ""  # the complete arguments, sent again at the end
        more = _more(call.name, name)
        call.name += more
        call.pieces.append(text)
        if not call.custom:
            call.json.feed(text)
        return self._shown(call, piece, body, more, text)

    def _shown(self, call: _Call, piece: Json, body: Json, name: str, text: str) -> Json | None:
        field, kind = ("input", "custom") if call.custom else ("arguments", "function")
        extra = {k: v for k, v in piece.items() if k not in _OURS and v is not None}
        inner = {k: v for k, v in body.items() if k not in ("name", field)}
        if call.shown:
            if not (text or name or extra or inner):
                return {"index": call.index, kind: {field: ""}} if body or "function" in piece else None
            named = {"name": name} if name else {}
            return {"index": call.index, **extra, **({kind: {**inner, **named, field: text}} if body else {})}
        call.tentative = call.tentative and not text.strip()
        if not call.name or call.tentative:
            call.held |= {**extra, kind: {**call.held.get(kind, {}), **inner}}
            return None
        call.index = sum(one.shown for one in self._calls)  # in the order in which names come
        call.shown = True
        kept = {k: v for k, v in call.held.items() if k != kind}
        whole = {**call.held.get(kind, {}), **inner, "name": call.name, field: call.arguments}
        return {**kept, **extra, "index": call.index, "id": call.id, "type": kind, kind: whole}


_OURS = frozenset(("id", "type", "index", "function", "custom"))


def _begins(known: _Call, name: str, text: str, has_id: bool) -> bool:
    """Whether a piece with an unknown ID begins a new call."""
    if has_id and known.given is None and known.json.state in ("empty", "open"):
        return False  # the ID comes late
    if not name:
        return False
    if known.json.state == "whole":
        return not (name == known.name and text.strip() == known.arguments.strip())
    return known.json.state == "broken"


def _begins_again(known: _Call, name: str, text: str) -> bool:
    """Whether a piece with a known ID begins a new call: it is complete, and the last one is too."""
    if not name or known.json.state != "whole":
        return False
    return bool(text.strip()) and text.strip() != known.arguments.strip()


def _more(known: str, name: str) -> str:
    """The new part of a name: all of it, or nothing if the name is only repeated."""
    return "" if name == known or not name else name


def _id(value: object) -> str | None:
    if isinstance(value, bool) or value in _NO_ID:
        return None
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, str):
        return value
    raise Malformed("The provider's tool call has an id that is not a string.")


def _name(body: Json) -> str:
    name = body.get("name")
    if name is None or isinstance(name, str):
        return name or ""
    raise Malformed("The provider's tool call has a name that is not a string.")


def _text(body: Json, field: str) -> str:
    given = body.get(field)
    if isinstance(given, str):
        return given
    return "" if given is None else orjson.dumps(given).decode()


def _object(value: object) -> Json:
    return value if isinstance(value, dict) else {}
