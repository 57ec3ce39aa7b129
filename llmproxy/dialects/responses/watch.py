"""Watches the answer of a provider that speaks Responses. The bytes are passed on."""

from __future__ import annotations

from collections.abc import Iterable

import orjson

from llmproxy.core.chat import Chat, Json
from llmproxy.core.dialect import Judge
from llmproxy.core.errors import GatewayError, Misspoken, Truncated
from llmproxy.core.usage import Usage
from llmproxy.wire.pass_through import PassThrough

from .encode_reply import frame
from .errors import failure
from .known import Known
from .response_object import chat_usage

_ENDS = frozenset(("response.completed", "response.incomplete", "response.cancelled"))
_QUIET = frozenset(
    (
        "response.created", "response.queued", "response.in_progress", "keepalive", "response.content_part.added",
        "response.reasoning_summary_part.added",
    )
)  # fmt: skip
_TEXTS = frozenset(
    (
        "response.output_text.delta", "response.refusal.delta", "response.reasoning_summary_text.delta",
        "response.reasoning_text.delta", "response.function_call_arguments.delta",
        "response.custom_tool_call_input.delta",
    )
)  # fmt: skip
# An empty message or empty reasoning is not an answer yet; a call of a tool was paid for.
_EMPTY_ITEMS = frozenset(("message", "reasoning"))


class Watched(PassThrough):
    """Finds usage, start, end and errors in the events. Stores the response if its client asked for that."""

    def __init__(self, chat: Chat, judge: Judge, known: Known) -> None:
        super().__init__(chat, judge)
        self._known = known
        self._response: Json = {}  # as last received
        self._items: dict[int, Json] = {}
        self._error: Json | None = None  # from an event that is not the last
        self._event = b""  # the one that is being read
        self._failed = b""

    def finish(self) -> Iterable[bytes]:
        try:
            yield from super().finish()
        except Truncated:
            if self._error is not None:
                raise self.judge({"error": self._error}) from None
            raise

    def plain(self, event: Json, name: bytes) -> str:
        return "delta" if self.started and event.get("type") in _TEXTS and not event.get("logprobs") else ""

    def _one(self, event: bytes) -> None:
        self._event = event
        super()._one(event)

    def look(self, event: Json, name: bytes) -> None:
        kind = str(event.get("type") or name.decode("utf-8", "replace"))
        response = event.get("response")
        if not self.started and _is_unreadable(event, kind):
            raise Misspoken("The provider's events are not what clients of Responses can read.")
        if isinstance(response, dict):
            if not self._response and self._known.begun is not None:
                self._known.begun(response, self.chat.trace.provider or "")
            self._response = response
            self._count(response)
        if kind in _ENDS:
            self._end()
        elif kind == "response.failed":
            self._failed = self._event
            raise self.judge({"error": _error(event)})
        elif kind == "error" or (event.get("error") and not kind.startswith("response.")):
            self._error = _error(event)
            if not self.started:  # otherwise OpenAI sends response.failed next, which clients act on
                raise self.judge({"error": self._error})
        elif kind == "response.output_item.done" and isinstance(event.get("item"), dict):
            self._items[_index(event)] = event["item"]
            self.started = True
        elif kind == "response.output_item.added":
            item = event.get("item")
            if isinstance(item, dict):
                self.grew(item.get("name"))  # of a tool
                self.started |= item.get("type") not in _EMPTY_ITEMS
        elif kind not in _QUIET:
            self.started = True
            self.grew(event.get("delta"))

    def whole(self, answer: Json) -> None:
        if answer.get("error") and answer.get("status") in (None, "failed"):
            raise self.judge({"error": _error({"response": answer} if answer.get("status") else answer)})
        self._response = answer
        self._count(answer)
        self._store()

    def failed(self, error: GatewayError) -> bytes:
        if self._failed:  # the provider's own event
            return self._failed
        failed = {**self._response, "status": "failed", "error": failure(error), "output": self._output()}
        return frame("response.failed", (last_number(self.last) or 0) + 1, {"response": failed})

    def _end(self) -> None:
        self.started = self.done = True
        self._store()

    def _count(self, response: Json) -> None:
        if isinstance(response.get("usage"), dict) and response["usage"]:
            self.usage = Usage.parse(chat_usage(response["usage"]))

    def _output(self) -> list[Json]:
        """ChatGPT's own backend leaves the output of the last event empty, so finished items are used."""
        return self._response.get("output") or [self._items[index] for index in sorted(self._items)]

    def _store(self) -> None:
        if self._known.keep is not None and isinstance(self._response.get("id"), str):
            self._known.keep({**self._response, "output": self._output()}, self.chat.trace.provider or "")


def _is_unreadable(event: Json, kind: str) -> bool:
    """Whether an event lacks members that OpenAI's SDK for Node and the Vercel AI SDK require. llama.cpp's events do."""
    if "sequence_number" in event:
        return False
    if kind == "response.created":
        return "created_at" not in (event.get("response") or {})
    return kind == "response.output_item.added" and not isinstance(event.get("output_index"), int)


def _index(event: Json) -> int:
    index = event.get("output_index")
    return index if isinstance(index, int) else 0


def _error(event: Json) -> Json:
    """The error object in any form: in the response, nested, flat, or xAI's."""
    response = event.get("response")
    inside = response.get("error") if isinstance(response, dict) else event.get("error")
    if isinstance(inside, dict):
        return inside
    if isinstance(inside, str):
        return {"message": inside, "code": event.get("code")}
    members = {name: event[name] for name in ("code", "message", "param") if event.get(name) is not None}
    return members or {"message": "The provider's response failed."}


def last_number(sent: bytes) -> int | None:
    """The sequence_number of the last event in these bytes."""
    for block in reversed(sent.rstrip().split(b"\n\n")):
        data = b"".join(line[5:] for line in block.split(b"\n") if line.startswith(b"data:"))
        try:
            parsed = orjson.loads(data)
        except orjson.JSONDecodeError:
            continue
        if isinstance(parsed, dict) and isinstance(parsed.get("sequence_number"), int):
            return int(parsed["sequence_number"])
    return None
