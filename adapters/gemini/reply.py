"""Converts Gemini's answers to OpenAI chunks, as a Step. A complete answer is read as one event."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2s

from llmproxy.adapter_kit import Chat, Json, gemini_counts, gemini_usage

from .candidate import Candidate
from .json_types import an_object, number, objects
from .names import Names
from .signatures import Signatures

_READ = frozenset(("candidates", "promptFeedback", "usageMetadata", "modelVersion", "responseId", "error"))


class Answer:
    """The Step of one reply. Text is sent as it comes; citations and Gemini's own members at the end."""

    def __init__(self, chat: Chat, signatures: Signatures) -> None:
        self._request = chat.trace.id
        self._created = chat.trace.created
        self._signatures = signatures
        self._names = Names.of(chat.body)
        self._head: Json = {"object": "chat.completion.chunk"}
        self._named: tuple[object, object] = (None, None)  # ID and model as in Gemini's events
        self._candidates: dict[int, Candidate] = {}
        self._counted: Json = {}

    def feed(self, event: Json) -> Iterable[Json]:
        if self._named != (event.get("responseId"), event.get("modelVersion")):
            self._read_head(event)
        candidates = objects(event.get("candidates"))
        choices: list[Json] = []
        for candidate in candidates:
            choices.extend(self._candidate(number(candidate.get("index"))).feed(candidate))
        if "promptFeedback" in event and (feedback := an_object(event["promptFeedback"])):
            choices.extend(self._candidate(0).feedback(feedback, not candidates))
        if not event.keys() <= _READ:
            self._candidate(0).keep({name: value for name, value in event.items() if name not in _READ and value})
        if gemini_counts(metadata := an_object(event.get("usageMetadata"))):
            self._counted = metadata
        return [self._chunk(choice) for choice in choices]

    def finish(self) -> Iterable[Json]:
        for _, state in sorted(self._candidates.items()):
            yield from (self._chunk(choice) for choice in state.finish())
        if self._counted:
            yield {**self._head, **gemini_usage(self._counted), "choices": []}

    def counted(self) -> Json:
        """Every event has a new count; the last one counts for the answer."""
        return an_object(gemini_usage(self._counted).get("usage"))

    def _candidate(self, index: int) -> Candidate:
        if index not in self._candidates:
            self._candidates[index] = Candidate(index, self._signatures, self._names, self._new_id, self._created)
        return self._candidates[index]

    def _read_head(self, event: Json) -> None:
        self._named = id, model = event.get("responseId"), event.get("modelVersion")
        head = {"id": f"chatcmpl-{id}" if id else None, "model": model}
        self._head = {**self._head, **{key: value for key, value in head.items() if value}}

    def _chunk(self, choice: Json) -> Json:
        return {**self._head, "choices": [choice]}

    def _new_id(self, kind: str, *place: int) -> str:
        """An ID for a call or audio without one. It is the same each time the answer is read. OpenAI allows 40 characters."""
        answer = f"{self._request} {self._head.get('id')} {place}"
        return f"{kind}_{blake2s(answer.encode(), digest_size=12).hexdigest()}"
