"""Normalises tool calls: dense indexes, one ID and one name each, however the provider cuts, numbers and repeats them."""

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


class ToolCalls:
    """Tool calls with indexes 0, 1, 2, ..., and arguments that are pieces of one string.

    Which call a piece belongs to is told by its index, by its id, and where these are missing, repeated or changed with
    every piece, by whether the arguments of the last call are complete JSON. Raises Malformed where that does not decide
    it: a call that would be wrong is worse than an error.
    """

    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self._calls: dict[int, _Calls] = {}
        self._cut: set[int] = set()  # choices that ended before the model wanted to
        self._odd: set[int] = set()  # choices whose last word is none of OpenAI's

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

    def finish(self) -> Iterable[Json]:
        """A call without arguments has `{}` as its arguments: some providers send nothing, which is no JSON.

        Where the end has no word that OpenAI knows, and a call's arguments are open, the answer was cut.
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
            self._cut.add(index)
        if finish in FINISHES:
            self._odd.discard(index)
        else:
            self._odd.add(index)

    def _of(self, choice: Json) -> _Calls:
        index = choice.get("index") or 0
        if index not in self._calls:
            self._calls[index] = _Calls(f"call_{self._chat.trace.id}_{index}_")
        return self._calls[index]


class _Call:
    """One call so far. `said`: how far its arguments are. `held`: what came before its name."""

    __slots__ = ("custom", "given", "held", "id", "index", "name", "pieces", "said", "shown", "tentative")

    def __init__(self, index: int, id: str, given: str | None, custom: bool) -> None:
        self.index = index
        self.id = id
        self.given = given  # the provider's id, if it gave one
        self.custom = custom
        self.name = ""
        self.said = JsonEnd()
        self.pieces: list[str] = []
        self.held: Json = {}
        self.shown = False  # its first piece has gone out
        self.tentative = False  # perhaps only the last call's name, said once more

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
        self._at: dict[int | str, _Call] = {}  # by the provider's index, the last one there

    def place(self, piece: Json) -> Json | None:
        """The piece as OpenAI would send it: id and type only with the first of a call. None: nothing is to be sent."""
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

    def owed(self) -> list[Json]:
        """What calls are still owed at the end. Raises Malformed for one whose name never came."""
        self._calls = [call for call in self._calls if not call.tentative]
        if any(not call.shown for call in self._calls):
            raise Malformed("The provider's tool call has no name.")
        empty = [call for call in self._calls if call.said.state == "empty" and not call.custom]
        return [{"index": call.index, "function": {"arguments": "{}"}} for call in empty]

    @property
    def is_open(self) -> bool:
        """Whether some arguments are not complete."""
        return any(call.said.state == "open" and not call.custom for call in self._calls)

    def _find(self, given: str | None, index: int | str | None, name: str, text: str) -> _Call | None:
        """The call that this piece goes on with; None if it begins another."""
        by_id = self._ids.get(given) if given is not None else None
        at = self._at.get(index) if index is not None else None
        if by_id is not None:
            if index is not None and at is None and name and (by_id.said.state == "whole" or by_id.name != name):
                return None  # one id for two calls, each at an index of its own
            known = by_id if at is None or at is by_id else at
            return None if _begins_again(known, name, text) else known
        last = at if index is not None else (self._calls[-1] if self._calls else None)
        if last is None:
            return None
        if given is not None and last.given is not None:
            # Another id is another call, unless the last one's arguments are not complete: some change it with each piece.
            return last if last.said.state == "open" and name in ("", last.name) else None
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
        if call.said.state == "whole" and text.strip() and not call.custom:
            if text.strip() != call.arguments.strip():
                raise Malformed("The provider's tool call goes on after its arguments have ended.")
            text = ""  # the whole arguments, sent once more at the end
        more = _more(call.name, name)
        call.name += more
        call.pieces.append(text)
        if not call.custom:
            call.said.feed(text)
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
        call.shown = True
        kept = {k: v for k, v in call.held.items() if k != kind}
        whole = {**call.held.get(kind, {}), **inner, "name": call.name, field: call.arguments}
        return {**kept, **extra, "index": call.index, "id": call.id, "type": kind, kind: whole}


_OURS = frozenset(("id", "type", "index", "function", "custom"))


def _begins(known: _Call, name: str, text: str, has_id: bool) -> bool:
    """Whether a piece under no id that is known begins another call."""
    if has_id and known.given is None and known.said.state in ("empty", "open"):
        return False  # the id comes late
    if not name:
        return False
    if known.said.state == "whole":
        return not (name == known.name and text.strip() == known.arguments.strip())
    return known.said.state == "broken"


def _begins_again(known: _Call, name: str, text: str) -> bool:
    """Whether a piece under an id that is known begins another call: a whole one, where the last is whole."""
    if not name or known.said.state != "whole":
        return False
    return bool(text.strip()) and text.strip() != known.arguments.strip()


def _more(known: str, name: str) -> str:
    """What a name adds to the name so far: all of it, or nothing where it is only said again."""
    return "" if name == known or not name else name


def _id(value: object) -> str | None:
    if isinstance(value, bool) or value in _NO_ID:
        return None
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, str):
        return value
    raise Malformed("The provider's tool call has an id that is no text.")


def _name(body: Json) -> str:
    name = body.get("name")
    if name is None or isinstance(name, str):
        return name or ""
    raise Malformed("The provider's tool call has a name that is no text.")


def _text(body: Json, field: str) -> str:
    given = body.get(field)
    if isinstance(given, str):
        return given
    return "" if given is None else orjson.dumps(given).decode()


def _object(value: object) -> Json:
    return value if isinstance(value, dict) else {}
