"""Size of a request in text and images, before the provider has counted its tokens."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from .chat import Chat, Json
from .usage import Tokens

BYTES_PER_TOKEN = 4  # of text, roughly; used only without a token count
USUAL = (float(BYTES_PER_TOKEN), float(BYTES_PER_TOKEN))  # of input and output
IMAGE_TOKENS = 1000  # of one image, roughly
_LONG = 1024  # a text of at least this many characters without a space counts as binary data

OUTPUT_LIMITS = {  # the member that limits the length of an answer, by dialect
    "chat": ("max_completion_tokens", "max_tokens"),
    "completions": ("max_tokens",),
    "messages": ("max_tokens",),
    "responses": ("max_output_tokens",),
    "gemini": ("maxOutputTokens",),  # in its generationConfig
}


class Measure(NamedTuple):
    """text_bytes: of all texts, in UTF-8. images: number of images, sounds and files."""

    text_bytes: int
    images: int


def measure_of(chat: Chat) -> Measure:
    """The size of a request, measured once and used for limits, budgets and estimates."""
    trace = chat.trace
    if trace.measure is None:
        trace.measure = measured(chat.body)
    return trace.measure


def measured(body: object) -> Measure:
    """The size of a request body in any dialect."""
    text = images = 0
    parts: list[Any] = [body]
    for one in parts:  # the list grows while it is read
        kind = type(one)
        if kind is str:
            size = len(one)
            if one[:5] == "data:" or (size >= _LONG and _is_base64(one[:_LONG])):
                images += 1
            else:
                text += size if one.isascii() else len(one.encode("utf-8", "surrogatepass"))
        elif kind is dict:
            parts += one.values()
        elif kind is list:
            parts += one
    return Measure(text, images)


def _is_base64(beginning: str) -> bool:
    """Whether a long text that begins like this is binary data. A linked image counts only with its URL."""
    return " " not in beginning and beginning.isascii()


def estimated(
    chat: Chat, counted: Tokens | None, produced: int, bytes_per_token: tuple[float, float] = USUAL
) -> Tokens:
    """Estimated usage of an answer that was stopped before the provider had counted it: the input, if it was not
    counted, and `produced`, the bytes of the output. bytes_per_token: of input and output.
    """
    per_input, per_output = bytes_per_token
    output = math.ceil(produced / per_output)
    if counted is not None and counted.prompt:
        return counted._replace(output=output)
    there = measure_of(chat)
    return Tokens(input=int(there.text_bytes / per_input) + there.images * IMAGE_TOKENS, output=output)


def output_limit(chat: Chat) -> int | None:
    """The largest number of output tokens that the client allows."""
    settings = answer_settings(chat)
    for name in OUTPUT_LIMITS.get(chat.face, ()):
        if name in settings and type(value := settings[name]) is int and value > 0:
            return value
    return None


def answer_settings(chat: Chat) -> Json:
    """The object that contains the limit of the answer."""
    if chat.face != "gemini":
        return chat.body
    settings = chat.body.get("generationConfig")
    return settings if isinstance(settings, dict) else {}
