"""The APIs in which a provider may be asked, so that a check holds for a gateway whichever of them it prefers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import orjson

from .said import Json, Said, chat_answer, chat_stream
from .said_in_gemini import gemini_answer, gemini_breaks, gemini_error, gemini_stream
from .said_in_messages import messages_answer, messages_stream, named
from .said_in_responses import frame, responses_answer, responses_stream

_ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    429: "rate_limit_error",
    529: "overloaded_error",
}


@dataclass(frozen=True, slots=True)
class Voice:
    """stream, answer: what is said, as bytes or as an object.

    error: of a status, a message and a code. breaks: the event of a failure in the middle of a stream.
    """

    name: str
    path: str
    stream: Callable[[Said], bytes]
    answer: Callable[[Said], Json]
    error: Callable[[int, str, str], Json]
    breaks: Callable[[int], bytes]

    def begins(self, said: Said, until: str) -> bytes:
        """The stream, up to the first event that has this text in it."""
        stream = self.stream(said)
        end = b"\r\n\r\n" if b"\r\n\r\n" in stream else b"\n\n"
        frames = stream.split(end)
        last = next(number for number, one in enumerate(frames) if until.encode() in one)
        return end.join(frames[: last + 1]) + end


def _openai_error(status: int, message: str, code: str) -> Json:
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _anthropic_error(status: int, message: str, code: str) -> Json:
    del code
    kind = _ANTHROPIC_TYPES.get(status, "api_error")
    return {"type": "error", "error": {"type": kind, "message": message}}


def _chat_breaks(number: int) -> bytes:
    del number
    return b"data: " + orjson.dumps(_openai_error(500, "it broke", "broke")) + b"\n\n"


def _messages_breaks(number: int) -> bytes:
    del number
    return named(_anthropic_error(500, "it broke", ""))


def _responses_breaks(number: int) -> bytes:
    failed = {
        **responses_answer(Said([])),
        "status": "failed",
        "error": {"code": "server_error", "message": "it broke"},
    }
    return frame("response.failed", number, {"response": failed})


_VOICES = (
    Voice("chat", "/chat/completions", chat_stream, chat_answer, _openai_error, _chat_breaks),
    Voice("messages", "/messages", messages_stream, messages_answer, _anthropic_error, _messages_breaks),
    Voice("responses", "/responses", responses_stream, responses_answer, _openai_error, _responses_breaks),
    Voice("gemini", "enerateContent", gemini_stream, gemini_answer, gemini_error, gemini_breaks),
)
API_NAMES = tuple(voice.name for voice in _VOICES)


def voice_of(path: str) -> Voice | None:
    """That of an address, with or without its query."""
    bare = path.partition("?")[0]
    return next((voice for voice in _VOICES if bare.endswith(voice.path)), None)
