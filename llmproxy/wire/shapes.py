"""JSON types of a request as data, and a search for the first value with a wrong type.

Members that are not listed are not checked, and null counts as absent. A shape lists what the gateway reads; the code that uses
a value checks whether it makes sense.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from llmproxy.core.errors import BadRequest

Path = tuple[str | int, ...]
Fault = tuple[Path, str]  # the place, and the expected type in words: "a string"


class Shape(Protocol):
    """wanted: the JSON type in words. `fits` checks only the outermost value, `faults` the values inside it."""

    @property
    def wanted(self) -> str: ...

    def fits(self, value: Any) -> bool: ...

    def faults(self, value: Any, path: Path) -> Iterator[Fault]: ...


@dataclass(frozen=True, slots=True)
class Leaf:
    """A value of exactly one of these Python types: a boolean is not a number."""

    kinds: tuple[type, ...]
    wanted: str

    def fits(self, value: Any) -> bool:
        return type(value) in self.kinds

    def faults(self, value: Any, path: Path) -> Iterator[Fault]:
        return iter(())


TEXT = Leaf((str,), "a string")
NUMBER = Leaf((int, float), "a number")
WHOLE = Leaf((int,), "a whole number")
FLAG = Leaf((bool,), "true or false")
OBJECT = Leaf((dict,), "an object")
ANYTHING = Leaf((str, int, float, bool, dict, list), "any value")


@dataclass(frozen=True, slots=True)
class Members:
    """An object whose known members have a shape each. known_as: other spellings of member names."""

    members: Mapping[str, Shape]
    known_as: Callable[[str], str] = str
    wanted: str = "an object"

    def fits(self, value: Any) -> bool:
        return isinstance(value, dict)

    def faults(self, value: Any, path: Path) -> Iterator[Fault]:
        for name, one in value.items():
            if one is not None and (shape := self.members.get(self.known_as(name))) is not None:
                yield from _of(shape, one, (*path, name))


@dataclass(frozen=True, slots=True)
class Kinds:
    """An object whose member `type` decides its shape; for an unlisted type, only `type` is checked."""

    kinds: Mapping[str, Members]
    usual: str = ""  # the default type
    wanted: str = "an object"

    def fits(self, value: Any) -> bool:
        return isinstance(value, dict)

    def faults(self, value: Any, path: Path) -> Iterator[Fault]:
        kind = value.get("type")
        if kind is not None and not isinstance(kind, str):
            yield (*path, "type"), TEXT.wanted
        elif (shape := self.kinds.get(kind or self.usual)) is not None:
            yield from shape.faults(value, path)


@dataclass(frozen=True, slots=True)
class Listed:
    """A list of values of one shape."""

    of: Shape
    wanted: str = "a list"

    def fits(self, value: Any) -> bool:
        return isinstance(value, list)

    def faults(self, value: Any, path: Path) -> Iterator[Fault]:
        for at, one in enumerate(value):
            yield from _of(self.of, one, (*path, at))


@dataclass(frozen=True, slots=True)
class Either:
    """The first of these shapes that fits."""

    shapes: Sequence[Shape]
    wanted: str = field(default="")

    def fits(self, value: Any) -> bool:
        return any(shape.fits(value) for shape in self.shapes)

    def faults(self, value: Any, path: Path) -> Iterator[Fault]:
        yield from next(shape for shape in self.shapes if shape.fits(value)).faults(value, path)


def either(*shapes: Shape) -> Either:
    """A shape that fits if one of these fits; the first that fits looks for faults inside the value."""
    return Either(shapes, " or ".join(shape.wanted for shape in shapes))


def _of(shape: Shape, value: Any, path: Path) -> Iterator[Fault]:
    if shape.fits(value):
        yield from shape.faults(value, path)
    else:
        yield path, shape.wanted


def first_fault(shape: Shape, value: Any) -> Fault | None:
    """The path of the first value of a wrong type and what was wanted there; None if there is none."""
    return next(_of(shape, value, ()), None)


def check(shape: Shape, value: Any) -> None:
    """Raises BadRequest for the first value of a wrong type, with its place in OpenAI's notation."""
    if (fault := first_fault(shape, value)) is not None:
        where, wanted = indexed(fault[0]), fault[1]
        raise BadRequest(f"`{where}` must be {wanted}.", param=where, code="invalid_type")


def indexed(path: Path) -> str:
    """`messages[0].content`."""
    return "".join(f"[{one}]" if isinstance(one, int) else f".{one}" for one in path).removeprefix(".")


def dotted(path: Path) -> str:
    """`messages.0.content`."""
    return ".".join(map(str, path))
