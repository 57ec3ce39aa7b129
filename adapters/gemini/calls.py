"""Function calls as Gemini sends them: whole, or on Vertex if asked, their arguments in pieces by JSON path."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import orjson

from llmproxy.core.chat import Json
from llmproxy.core.errors import Malformed

from .json_types import an_object, objects, text

_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\['([^']*)'\]")
_LONGEST = 10_000  # items of a list that is built by index


class Calls:
    """The calls of one candidate; a call is given once it is complete."""

    def __init__(self) -> None:
        self._open: Json | None = None  # a call whose arguments still come

    def feed(self, part: Json) -> Json | None:
        """`{id, name, args, signature}` of a call that this part completes."""
        call = an_object(part["functionCall"])
        if self._open is None:
            self._open = {"id": None, "name": "", "args": {}, "signature": None}
        self._open.update((key, said) for key in ("id", "name") if (said := text(call.get(key))))
        self._open["signature"] = text(part.get("thoughtSignature")) or self._open["signature"]
        self._open["args"].update(an_object(call.get("args")))
        for piece in objects(call.get("partialArgs")):
            _put(self._open["args"], piece)
        return None if call.get("willContinue") is True else self.flush()

    def flush(self) -> Json | None:
        """The call that was left open, if there is one."""
        call, self._open = self._open, None
        return call if call is None or call["name"] else None


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
    if isinstance(said := piece.get("stringValue"), str):
        before = _enter(holder, path[-1], "")
        holder[path[-1]] = before + said if isinstance(before, str) else said
    else:
        _enter(holder, path[-1], None)
        holder[path[-1]] = piece.get("numberValue", piece.get("boolValue"))


def _enter(holder: Any, step: str | int, fresh: Any) -> Any:
    """What stands at one step, made if it was not there."""
    if isinstance(step, str) and isinstance(holder, dict):
        return holder.setdefault(step, fresh)
    if isinstance(step, int) and isinstance(holder, list) and step < _LONGEST:
        holder.extend([None] * (step + 1 - len(holder)))
        holder[step] = fresh if holder[step] is None else holder[step]
        return holder[step]
    raise Malformed("The provider sent arguments of a function call that do not fit together.")
