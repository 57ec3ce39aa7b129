"""Assembles Gemini's function calls: sent whole, continued without a name, or on Vertex in pieces by JSON path."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import orjson

from llmproxy.adapter_kit import Json, Malformed

from .json_types import an_object, objects, text

_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\['([^']*)'\]")
_LONGEST = 10_000  # items of a list that is built by index


class Calls:
    """The calls of one candidate; each is returned once it is known to be complete."""

    def __init__(self) -> None:
        self.open: Json | None = None  # a call whose arguments may still come
        self._will_continue = False  # Gemini announced that more arguments will come

    def feed(self, part: Json) -> Json | None:
        """`{id, name, args, signatures}` of the previous call, if this part begins another one."""
        call = an_object(part["functionCall"])
        ended = None if self._continues(call) else self.flush()
        if self.open is None:
            self.open = {"id": None, "name": "", "args": {}, "signatures": []}
        self._will_continue = call.get("willContinue") is True
        self._add(self.open, call, text(part.get("thoughtSignature")))
        return ended

    def flush(self) -> Json | None:
        """Ends the open call and returns it, if there is one. Raises Malformed for arguments without a call."""
        call, self.open, self._will_continue = self.open, None, False
        if call is not None and not call["name"]:
            if call["args"]:
                raise Malformed("The provider sent arguments of a function call without its name.")
            return None
        return call

    def _continues(self, call: Json) -> bool:
        """Whether a part continues the open call: it has no name, or repeats the name and more was announced."""
        if self.open is None:
            return False
        name, id, open_id = text(call.get("name")), text(call.get("id")), self.open["id"]
        if id and open_id and id != open_id:
            return False
        return not name or (self._will_continue and name == self.open["name"])

    def _add(self, to: Json, call: Json, signature: str) -> None:
        to.update((key, value) for key in ("id", "name") if (value := text(call.get(key))))
        if signature and signature not in to["signatures"]:
            to["signatures"].append(signature)
        to["args"].update(an_object(call.get("args")))
        for piece in objects(call.get("partialArgs")):
            _put(to["args"], piece)


def arguments(call: Json) -> str:
    return orjson.dumps(call["args"]).decode()


def _put(root: Json, piece: Json) -> None:
    """Sets the value at a path like `$.items[0].name`; text that goes on is appended."""
    path = [int(index) if index else key or quoted for key, index, quoted in _STEP.findall(str(piece.get("jsonPath")))]
    if not path:
        return
    holder: Any = root
    for step, following in pairwise(path):
        holder = _enter(holder, step, [] if isinstance(following, int) else {})
    if isinstance(piece_text := piece.get("stringValue"), str):
        before = _enter(holder, path[-1], "")
        holder[path[-1]] = before + piece_text if isinstance(before, str) else piece_text
    else:
        _enter(holder, path[-1], None)
        holder[path[-1]] = piece.get("numberValue", piece.get("boolValue"))


def _enter(holder: Any, step: str | int, fresh: Any) -> Any:
    """The value at one step of a path, created if it is missing."""
    if isinstance(step, str) and isinstance(holder, dict):
        return holder.setdefault(step, fresh)
    if isinstance(step, int) and isinstance(holder, list) and step < _LONGEST:
        holder.extend([None] * (step + 1 - len(holder)))
        holder[step] = fresh if holder[step] is None else holder[step]
        return holder[step]
    raise Malformed("The provider sent arguments of a function call that do not fit together.")
