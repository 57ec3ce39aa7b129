"""The APIs by which a gateway may call the provider. A check holds for each of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import orjson

from .provider_gemini import gemini_answer, gemini_breaks, gemini_error, gemini_stream
from .provider_messages import messages_answer, messages_stream, named
from .provider_responses import frame, responses_answer, responses_stream
from .scripted_reply import Json, ScriptedReply, chat_answer, chat_stream

_ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    429: "rate_limit_error",
    529: "overloaded_error",
}


@dataclass(frozen=True, slots=True)
class ProviderApi:
    """One API. stream, answer: encode a reply as the bytes of a stream, or as a JSON object.

    error: the error object for a status, a message and a code. breaks: the error event with this number within a stream.
    """

    name: str
    path: str
    stream: Callable[[ScriptedReply], bytes]
    answer: Callable[[ScriptedReply], Json]
    error: Callable[[int, str, str], Json]
    breaks: Callable[[int], bytes]

    def begins(self, reply: ScriptedReply, until: str) -> bytes:
        """The stream, up to and including the first event that contains this text."""
        stream = self.stream(reply)
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
        **responses_answer(ScriptedReply([])),
        "status": "failed",
        "error": {"code": "server_error", "message": "it broke"},
    }
    return frame("response.failed", number, {"response": failed})


_PROVIDER_APIS = (
    ProviderApi("chat", "/chat/completions", chat_stream, chat_answer, _openai_error, _chat_breaks),
    ProviderApi("messages", "/messages", messages_stream, messages_answer, _anthropic_error, _messages_breaks),
    ProviderApi("responses", "/responses", responses_stream, responses_answer, _openai_error, _responses_breaks),
    ProviderApi("gemini", "enerateContent", gemini_stream, gemini_answer, gemini_error, gemini_breaks),
)
API_NAMES = tuple(api.name for api in _PROVIDER_APIS)


def provider_api_of(path: str) -> ProviderApi | None:
    """The API of a path, with or without a query; None if there is none."""
    bare = path.partition("?")[0]
    return next((api for api in _PROVIDER_APIS if bare.endswith(api.path)), None)
