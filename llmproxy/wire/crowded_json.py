"""JSON texts with very many members, objects and lists, parsed so that other threads continue meanwhile.

orjson holds the interpreter's lock until it has parsed the whole text: 0.6 s for a million members, in any thread. Python's
own parser in its pure form can lose the lock between any two values. It needs several times the CPU, so it is only for
texts where orjson would hold up the event loop.
"""

from __future__ import annotations

import json
import json.decoder
import json.scanner
import math
import re
from collections.abc import Callable
from functools import partial
from typing import Any

CROWDED = 200_000  # members, objects and lists, as far as counting characters can tell: about 0.1 s of orjson
MOST = 5_000_000  # of which a body of 64 MB has one for each 13 bytes; they take some 500 MB of memory
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_BLANK = " \t\n\r"
_blank = re.compile(f"[{_BLANK}]*").match

OnDouble = Callable[[str], None]


def crowd(raw: bytes) -> int:
    """At most so many members, objects and lists are in this text; more where texts in it have their characters."""
    return raw.count(b":") + raw.count(b"[") + raw.count(b"{")


def loads(raw: bytes, on_double: OnDouble | None = None) -> Any:
    """What orjson.loads gives for this text. Raises ValueError, also where the text is nested too deeply.

    on_double: called with a name that one object has twice.
    """
    text = raw.decode()
    try:
        value, end = _scanner(on_double)(text, _after_blank(text, 0))
    except StopIteration as error:
        raise json.JSONDecodeError("a value is missing", text, error.value) from None
    except RecursionError:
        raise json.JSONDecodeError("nested too deeply", text, 0) from None
    if _after_blank(text, end) < len(text):
        raise json.JSONDecodeError("unexpected text after the end", text, end)
    if _SURROGATE.search(raw):
        json.dumps(value, ensure_ascii=False).encode()  # UnicodeEncodeError is a ValueError
    return value


def _integer(digits: str) -> int | float:
    value = int(digits)
    return value if -(2**63) <= value < 2**64 else float(digits)


def _finite(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError(f"{digits} is too large")
    return value


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _scanner(on_double: OnDouble | None) -> Any:
    """The parser that the standard library has for Pythons without its C module."""
    decoder = json.JSONDecoder(parse_int=_integer, parse_float=_finite, parse_constant=_refuse)
    decoder.parse_object = partial(_object, on_double)  # type: ignore[attr-defined]
    decoder.parse_array = json.decoder.JSONArray  # type: ignore[attr-defined]
    return json.scanner.py_make_scanner(decoder)  # type: ignore[attr-defined]


def _object(
    on_double: OnDouble | None, place: tuple[str, int], strict: bool, scan: Callable[[str, int], Any], *_: object
) -> tuple[dict[str, Any], int]:
    """An object whose brace has been read. The standard library's own function makes a list of all members first, and a
    dict of it in one step."""
    text, at = place[0], _after_blank(*place)
    made: dict[str, Any] = {}
    if text[at : at + 1] == "}":
        return made, at + 1
    while True:
        _expect('"', text, at)
        name, at = json.decoder.scanstring(text, at + 1, strict)  # type: ignore[attr-defined]
        at = _after_blank(text, at)
        _expect(":", text, at)
        if on_double is not None and name in made:
            on_double(name)
        made[name], at = scan(text, _after_blank(text, at + 1))
        at = _after_blank(text, at)
        if text[at : at + 1] == "}":
            return made, at + 1
        _expect(",", text, at)
        at = _after_blank(text, at + 1)


def _after_blank(text: str, at: int) -> int:
    found = _blank(text, at)
    return found.end() if found else at


def _expect(sign: str, text: str, at: int) -> None:
    if text[at : at + 1] != sign:
        raise json.JSONDecodeError(f"expected {sign}", text, at)
