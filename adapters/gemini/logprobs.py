"""Gemini's `logprobsResult` as OpenAI's list of tokens."""

from __future__ import annotations

from collections.abc import Iterator

from llmproxy.adapter_kit import Json

from .json_types import objects, text


def logprobs(result: Json) -> Iterator[Json]:
    """The chosen tokens, each with its alternatives. Bytes are the token's UTF-8."""
    tops = objects(result.get("topCandidates"))
    for at, chosen in enumerate(objects(result.get("chosenCandidates"))):
        top = objects(tops[at].get("candidates")) if at < len(tops) else []
        yield {**_token(chosen), "top_logprobs": [_token(one) for one in top]}


def _token(said: Json) -> Json:
    token = text(said.get("token"))
    return {"token": token, "logprob": said.get("logProbability") or 0.0, "bytes": list(token.encode(errors="replace"))}
