"""Converts Gemini's `logprobsResult` to OpenAI's list of tokens."""

from __future__ import annotations

from collections.abc import Iterator

from llmproxy.adapter_kit import Json

from .json_types import objects, text


def logprobs(result: Json) -> Iterator[Json]:
    """The chosen tokens, each with its alternatives. `bytes` is the token in UTF-8."""
    tops = objects(result.get("topCandidates"))
    for at, chosen in enumerate(objects(result.get("chosenCandidates"))):
        top = objects(tops[at].get("candidates")) if at < len(tops) else []
        yield {**_token(chosen), "top_logprobs": [_token(one) for one in top]}


def _token(chosen: Json) -> Json:
    token = text(chosen.get("token"))
    return {
        "token": token,
        "logprob": chosen.get("logProbability") or 0.0,
        "bytes": list(token.encode(errors="replace")),
    }
