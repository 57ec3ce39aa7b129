"""Converts text completions to chat chunks and back."""

from __future__ import annotations

from collections.abc import Iterable

from llmproxy.core.chat import Chat, Json
from llmproxy.core.errors import BadRequest

_HIDDEN = frozenset(("role", "content", "refusal"))  # of a delta: what a text choice has no place for


class FromText:
    """A Step that reads text_completion objects, whole or streamed, as chunks of a chat."""

    def feed(self, chunk: Json) -> Iterable[Json]:
        choices = chunk.get("choices")
        if not choices or not any(isinstance(one, dict) and "text" in one for one in choices):
            return (chunk,)
        return ({**chunk, "choices": [_spoken(one) for one in choices if isinstance(one, dict)]},)

    def finish(self) -> Iterable[Json]:
        return ()


def _spoken(choice: Json) -> Json:
    rest = {key: value for key, value in choice.items() if key != "text"}
    return {"index": 0, **rest, "delta": {"content": choice.get("text") or ""}}


def as_text(chunk: Json) -> Json:
    """A chat's chunk, or its folded answer, as text_completion."""
    choices = [_written(one) for one in chunk["choices"]]
    chunk_id = str(chunk.get("id") or "").replace("chatcmpl-", "cmpl-", 1)
    return {**chunk, "id": chunk_id, "object": "text_completion", "choices": choices}


def _written(choice: Json) -> Json:
    said = choice.get("delta") or choice.get("message") or {}
    rest = {key: value for key, value in choice.items() if key not in ("delta", "message", "logprobs", "finish_reason")}
    extras = {key: value for key, value in said.items() if key not in _HIDDEN}
    text = said.get("content") or ""
    ends = {"logprobs": choice.get("logprobs"), "finish_reason": choice.get("finish_reason")}
    return {"text": text, **rest, **extras, **ends}


def as_chat(chat: Chat) -> Chat:
    """The question of a text completion put to a model that only chats. Raises BadRequest for what cannot be put so."""
    prompt = chat.body.get("prompt", "")
    if isinstance(prompt, list) and len(prompt) == 1 and isinstance(prompt[0], str):
        prompt = prompt[0]
    if not isinstance(prompt, str):
        raise BadRequest(
            "This model only chats: `prompt` must be one string.", param="prompt", code="unsupported_value"
        )
    asked = chat.drop("echo", "suffix", "best_of", "logprobs")
    return asked.saying(messages=[{"role": "user", "content": prompt}], prompt=None)
