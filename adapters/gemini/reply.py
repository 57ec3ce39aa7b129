"""Gemini's answers as OpenAI's chunks: one Step for streamed events and for whole answers, which are one event."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2s

from llmproxy.chat import Chat, Json

from .candidate import Candidate
from .shapes import an_object, number, objects
from .signatures import Signatures
from .usage import render_usage


class Answer:
    """The Step of one reply. Gives text as it comes, and at the end what concerns the whole: citations, side fields."""

    def __init__(self, chat: Chat, signatures: Signatures) -> None:
        self._request = chat.trace.id
        self._signatures = signatures
        self._head: Json = {}
        self._candidates: dict[int, Candidate] = {}

    def feed(self, event: Json) -> Iterable[Json]:
        self._head = self._read_head(event)
        candidates = objects(event.get("candidates"))
        for candidate in candidates:
            state = self._candidate(number(candidate.get("index")))
            yield from (self._chunk(choice) for choice in state.feed(candidate))
        if feedback := an_object(event.get("promptFeedback")):
            yield from (self._chunk(choice) for choice in self._candidate(0).feedback(feedback, not candidates))
        usage = render_usage(event.get("usageMetadata"))
        if usage:
            yield {**self._head, **usage, "choices": []}

    def finish(self) -> Iterable[Json]:
        for _, state in sorted(self._candidates.items()):
            yield from (self._chunk(choice) for choice in state.finish())

    def _candidate(self, index: int) -> Candidate:
        if index not in self._candidates:
            self._candidates[index] = Candidate(index, self._signatures, self._call_id)
        return self._candidates[index]

    def _read_head(self, event: Json) -> Json:
        id, model = event.get("responseId"), event.get("modelVersion")
        head = {"id": f"chatcmpl-{id}" if id else None, "model": model}
        return {**self._head, "object": "chat.completion.chunk", **{key: value for key, value in head.items() if value}}

    def _chunk(self, choice: Json) -> Json:
        return {**self._head, "choices": [choice]}

    def _call_id(self, *place: int) -> str:
        """An id for a call that has none: the same whenever the same answer is read. OpenAI allows 40 characters."""
        answer = f"{self._request} {self._head.get('id')} {place}"
        return f"call_{blake2s(answer.encode(), digest_size=12).hexdigest()}"
