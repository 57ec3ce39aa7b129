"""Size of a request in text and images, known before the provider has counted tokens."""

from __future__ import annotations

from typing import Any, NamedTuple

from .chat import Chat, Json
from .usage import Tokens

BYTES_PER_TOKEN = 4  # of text, roughly; only for what nobody has counted
IMAGE_TOKENS = 1000  # of one picture, roughly
_LONG = 1024  # characters from which on a text without a blank is data

OUTPUT_LIMITS = {  # the member that limits an answer, by dialect
    "chat": ("max_completion_tokens", "max_tokens"),
    "completions": ("max_tokens",),
    "messages": ("max_tokens",),
    "responses": ("max_output_tokens",),
    "gemini": ("maxOutputTokens",),  # in its generationConfig
}


class Measure(NamedTuple):
    """text_bytes: in UTF-8, of all that is said. images: pictures, sounds and files in it, by their number."""

    text_bytes: int
    images: int


def measure_of(chat: Chat) -> Measure:
    """Of what a client asks, measured once: limits, budgets and estimates go by it."""
    trace = chat.trace
    if trace.measure is None:
        trace.measure = measured(chat.body)
    return trace.measure


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
    there = measure_of(chat)
    return Tokens(input=there.text_bytes // BYTES_PER_TOKEN + there.images * IMAGE_TOKENS, output=output)


def output_limit(chat: Chat) -> int | None:
    """The most tokens of output that the client asked for."""
    for name in OUTPUT_LIMITS.get(chat.face, ()):
        if isinstance(value := answer_settings(chat).get(name), int) and not isinstance(value, bool) and value > 0:
            return value
    return None


def answer_settings(chat: Chat) -> Json:
    """Where the limit of the answer stands."""
    if chat.face != "gemini":
        return chat.body
    settings = chat.body.get("generationConfig")
    return settings if isinstance(settings, dict) else {}
