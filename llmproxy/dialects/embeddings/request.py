"""Parses the body of POST /v1/embeddings."""

from __future__ import annotations

from llmproxy.core.chat import Chat, Json
from llmproxy.core.errors import BadRequest
from llmproxy.core.trace import Trace
from llmproxy.wire.openai_request import parse_request


def parse_embedding(raw: bytes, trace: Trace, *, default_model: str = "") -> Chat:
    """Parses the body. Raises BadRequest with the path of the wrong member in `param`."""
    return parse_request(raw, "embeddings", trace, _check, default_model=default_model)


def _check(body: Json) -> None:
    given = body.get("input")
    if not isinstance(given, (str, list)):
        raise BadRequest("`input` must be a string or a list.", param="input", code="missing_required_parameter")
    if not given:
        raise BadRequest("`input` must not be empty.", param="input", code="empty_array")
