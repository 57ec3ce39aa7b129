"""How much text and how many pictures a request holds: what is known of it before a provider has counted."""

from __future__ import annotations

from typing import Any, NamedTuple

from .chat import Chat
from .usage import Tokens

BYTES_PER_TOKEN = 4  # of text, roughly; only for what nobody has counted
IMAGE_TOKENS = 1000  # of one picture, roughly
_LONG = 1024  # characters from which on a text without a blank is data


class Measure(NamedTuple):
    """text_bytes: in UTF-8, of all that is said. images: pictures, sounds and files in it, by their number."""

    text_bytes: int
    images: int


def measured(body: object) -> Measure:
    """Of the body of a request, in whatever dialect."""
    text = images = 0
    left: list[Any] = [body]
    while left:
        one = left.pop()
        if isinstance(one, str):
            if _is_data(one):
                images += 1
            else:
                text += len(one) if one.isascii() else len(one.encode("utf-8", "surrogatepass"))
        elif isinstance(one, dict):
            left.extend(one.values())
        elif isinstance(one, list):
            left.extend(one)
    return Measure(text, images)


def _is_data(text: str) -> bool:
    """A data URL, or base64 without one. A picture that is only linked to has no length; it counts as its address."""
    return text.startswith("data:") or (len(text) >= _LONG and " " not in text[:_LONG] and text[:_LONG].isascii())


def estimated(chat: Chat, counted: Tokens | None, produced: int) -> Tokens:
    """Of an answer that was left before its provider had counted it: its input, as far as it is not counted, and `produced`."""
    output = -(-produced // BYTES_PER_TOKEN)
    if counted is not None and counted.prompt:
        return counted._replace(output=output)
    there = measured(chat.body)
    return Tokens(input=there.text_bytes // BYTES_PER_TOKEN + there.images * IMAGE_TOKENS, output=output)
