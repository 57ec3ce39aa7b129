"""Parses the body of POST /v1/completions."""

from __future__ import annotations

from llmproxy.core.chat import Chat, Json
from llmproxy.core.errors import BadRequest
from llmproxy.core.trace import Trace
from llmproxy.wire.openai_request import parse_request


def parse_completion(raw: bytes, trace: Trace, *, default_model: str = "") -> Chat:
    """Parses the body. Raises BadRequest with the path of the wrong member in `param`."""
    return parse_request(raw, "completions", trace, _check, default_model=default_model)


def _check(body: Json) -> None:
    if not isinstance(body.get("prompt"), (str, list)):
        raise BadRequest("`prompt` must be a string or a list.", param="prompt", code="missing_required_parameter")
