"""Environment variables without the line ends, spaces and quotes that files and shells add."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

_QUOTES = {'"': '"', "'": "'", "\u201c": "\u201d", "\u2018": "\u2019"}
_INVISIBLE = "\ufeff\u200b\u2060\xa0"  # a byte order mark, and characters copied from web pages


class Cleaned(Mapping[str, str]):
    """A view of `environ`. A value that is empty after cleaning counts as not set."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ.environ if isinstance(environ, Cleaned) else environ

    @property
    def environ(self) -> Mapping[str, str]:
        return self._environ

    def __getitem__(self, name: str) -> str:
        return cleaned(self._environ[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._environ)

    def __len__(self) -> int:
        return len(self._environ)


def cleaned(value: str) -> str:
    """`value` without surrounding whitespace, line ends, and one pair of quotes."""
    value = _stripped(value)
    closing = _QUOTES.get(value[:1])
    inner = value[1:-1]
    if closing and len(value) > 1 and value[-1] == closing and closing not in inner and value[0] not in inner:
        return _stripped(inner)
    return value


def _stripped(value: str) -> str:
    shorter = value.strip().strip(_INVISIBLE)
    return shorter if shorter == value else _stripped(shorter)


def unsendable(secret: str) -> str:
    """Why a key cannot be sent in a header, with the position; empty if it can. Never contains the key."""
    for place, char in enumerate(secret, start=1):
        if not char.isascii():
            return f"character {place} is not ASCII, as when a word processor changed a dash or a quote: copy it again"
        if not char.isprintable():
            return f"character {place} is a line end or a control character: is it one key only?"
    return ""
