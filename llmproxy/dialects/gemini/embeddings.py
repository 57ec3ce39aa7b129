"""Translates `embedContent` and `batchEmbedContents` to an embeddings request, and vectors to Gemini's form."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from llmproxy.core.chat import Chat, Json
from llmproxy.core.errors import BadRequest, GatewayError
from llmproxy.core.trace import Trace
from llmproxy.wire.json_body import parse_body

from .errors import failure
from .fields import Fields, listed, number, spelled, words
from .request import model_name
from .shape import check_embed


def parse_embed(raw: bytes, trace: Trace, *, model: str, many: bool, default_model: str = "") -> Chat:
    """Parses the body of either call. Raises BadRequest."""
    body = parse_body(raw)
    check_embed(body, many=many)
    requests = listed(spelled(body).get("requests"), "requests") if many else [spelled(body)]
    if not requests:
        raise BadRequest("`requests` must not be empty.", param="requests", code="missing_required_parameter")
    texts = [_text(one) for one in requests]
    options = _options(requests, trace)
    name = model_name(model, default_model)
    chat_body = {"model": name, "input": texts, **options}
    return Chat(chat_body, name, "embeddings", None, trace, encoder=lambda: VectorsReply(many=many))


def _text(one: Json) -> str:
    content = one.get("content")
    parts = [{"text": content}] if isinstance(content, str) else spelled(content).get("parts")
    text_parts = listed(parts, "content.parts")
    if not text_parts or any("text" not in part for part in text_parts):
        raise BadRequest("Only text can be embedded: `content.parts` need a text each.", param="content")
    return "\n".join(words(part["text"]) for part in text_parts)


def _options(requests: list[Json], trace: Trace) -> Json:
    """Options that apply to all texts. Options that OpenAI does not have are dropped."""
    found: Json = {}
    for one in requests:
        fields = Fields({**spelled(one.get("embedContentConfig")), **one})
        for name in ("content", "model", "embedContentConfig"):
            fields.take(name)
        if (size := number(fields.take("outputDimensionality"))) is not None:
            found["dimensions"] = size
        trace.dropped.extend(name for name in fields.left() if name not in trace.dropped)
    return found


class VectorsReply:
    """An Encoder for an embeddings answer, which is one chunk."""

    def __init__(self, *, many: bool) -> None:
        self._many = many
        self._answer: Json = {}

    def feed(self, chunk: Json) -> Iterator[bytes]:
        self._answer = chunk
        yield from ()

    def finish(self) -> Iterator[bytes]:
        yield orjson.dumps(self._shown())

    def failed(self, error: GatewayError) -> bytes:
        return orjson.dumps(failure(error))

    def _shown(self) -> Json:
        vectors: list[Any] = [{"values": one.get("embedding")} for one in self._answer.get("data") or ()]
        usage = self._answer.get("usage")
        count = usage.get("prompt_tokens") if isinstance(usage, dict) else None
        counted = {"usageMetadata": {"promptTokenCount": count}} if isinstance(count, int) else {}
        if self._many:
            return {"embeddings": vectors, **counted}
        return {"embedding": vectors[0] if vectors else {}, **counted}
