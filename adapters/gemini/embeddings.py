"""OpenAI's embeddings through Gemini's `batchEmbedContents`, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llmproxy.adapter_kit import BadRequest, Chat, Json, Malformed, encoded

from .field_names import Members, camel

# Further parameters of each text: OpenAI's name, or Gemini's in either spelling.
OPTIONS = {
    "dimensions": "outputDimensionality",
    "output_dimensionality": "outputDimensionality",
    "task_type": "taskType",
    "taskType": "taskType",
    "title": "title",
}


def render(chat: Chat, model: str) -> Json:
    """The request body. model: the full resource name, `models/...`. Raises BadRequest for token arrays."""
    members = Members(chat.body)
    members.take("model", "encoding_format")
    options = {theirs: members.take(ours) for ours, theirs in OPTIONS.items() if members.see(ours) is not None}
    google = members.take("google")
    if isinstance(google, dict):
        options.update((camel(key), value) for key, value in google.items())
    texts = _texts(members.take("input"))
    chat.drop(*members.left())
    return {"requests": [{"model": model, "content": {"parts": [{"text": text}]}, **options} for text in texts]}


def _texts(given: Any) -> list[str]:
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts:
        raise BadRequest("'input' must be a string or a list of strings.", param="input")
    if not all(isinstance(text, str) for text in texts):
        raise BadRequest(
            "Gemini embeds text, not tokens: send strings (LangChain: check_embedding_ctx_length=False).", param="input"
        )
    return texts


def reader(chat: Chat) -> Callable[[Json], Json]:
    """Reads the reply to this request, for `Vectors`. Usage is missing if Gemini sends no count."""

    def read(reply: Json) -> Json:
        encoding = chat.body.get("encoding_format")
        try:
            data = [{"embedding": encoded(one["values"], encoding)} for one in reply["embeddings"]]
        except (KeyError, TypeError) as error:
            raise Malformed("The provider's answer has no embeddings.") from error
        metadata = reply.get("usageMetadata")
        count = metadata.get("promptTokenCount") if isinstance(metadata, dict) else None
        usage = {"usage": {"prompt_tokens": count, "total_tokens": count}} if isinstance(count, int) else {}
        return {"object": "list", "data": data, **usage}

    return read
