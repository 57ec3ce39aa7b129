"""Converts text completions to chat chunks and back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from llmproxy.core.chat import Chat, Json
from llmproxy.core.errors import BadRequest
from llmproxy.core.places import Places

_PLACES = Places({"messages": "prompt"})
_HIDDEN = frozenset(("role", "content", "refusal"))  # members of a delta that a text choice does not have


class FromText:
    """A Step that converts text_completion objects, streamed or whole, to chat chunks."""

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
    """A chat chunk, or a whole chat answer, as text_completion."""
    choices = [_written(one) for one in chunk["choices"]]
    chunk_id = str(chunk.get("id") or "").replace("chatcmpl-", "cmpl-", 1)
    return {**chunk, "id": chunk_id, "object": "text_completion", "choices": choices}


def _written(choice: Json) -> Json:
    message = choice.get("delta") or choice.get("message") or {}
    rest = {key: value for key, value in choice.items() if key not in ("delta", "message", "logprobs", "finish_reason")}
    extras = {key: value for key, value in message.items() if key not in _HIDDEN}
    text = message.get("content") or ""
    ends = {"logprobs": choice.get("logprobs"), "finish_reason": choice.get("finish_reason")}
    return {"text": text, **rest, **extras, **ends}


def as_chat(chat: Chat) -> Chat:
    """A text completion request as a chat request. Raises BadRequest if this is impossible."""
    prompt = chat.body.get("prompt", "")
    if isinstance(prompt, list) and len(prompt) == 1 and isinstance(prompt[0], str):
        prompt = prompt[0]
    if not isinstance(prompt, str):
        raise BadRequest(
            "This model only supports chat: `prompt` must be one string.", param="prompt", code="unsupported_value"
        )
    request = chat.drop("echo", "suffix", "best_of", "logprobs")
    request = request.with_fields(messages=[{"role": "user", "content": prompt}], prompt=None)
    return replace(request, places=_PLACES)
