"""Log probabilities and usage with the types and the members that OpenAI's have."""

from __future__ import annotations

from typing import Any

from llmproxy.core.chat import Json

from .members import text

_NEVER = -9999.0  # OpenAI's log probability of a token that is not among the likely ones
_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")
_DETAILS = ("prompt_tokens_details", "completion_tokens_details")


def is_usual_logprobs(said: Any) -> bool:
    if said is None:
        return True
    if not isinstance(said, dict):
        return False
    lists = (said.get("content"), said.get("refusal"))
    return any(isinstance(one, list) for one in lists) and all(
        one is None or (isinstance(one, list) and all(map(_is_usual_token, one))) for one in lists
    )


def usual_logprobs(said: Any) -> Json | None:
    """OpenAI's form as far as there is one in it; None if not. Members that nobody knows stay."""
    if not isinstance(said, dict):
        return None
    lists = {key: _tokens(said[key]) for key in ("content", "refusal") if isinstance(said.get(key), list)}
    rest = {key: value for key, value in said.items() if key not in ("content", "refusal")}
    return {**rest, "content": None, **lists} if lists or rest else None


def _is_usual_token(one: Any) -> bool:
    if not _is_usual_alternative(one) or not isinstance(one.get("top_logprobs"), list) or "bytes" not in one:
        return False
    return _are_bytes(one["bytes"]) and all(map(_is_usual_alternative, one["top_logprobs"]))


def _is_usual_alternative(one: Any) -> bool:
    return isinstance(one, dict) and isinstance(one.get("token"), str) and _is_number(one.get("logprob"))


def _are_bytes(value: Any) -> bool:
    return value is None or (isinstance(value, list) and all(type(one) is int for one in value))


def _tokens(given: list[Any]) -> list[Json]:
    return [_token(one) for one in given if isinstance(one, dict) and text(one.get("token")) is not None]


def _token(one: Json) -> Json:
    tops = one.get("top_logprobs")
    return {**_alternative(one), "top_logprobs": [_alternative(top) for top in _with_token(tops)]}


def _with_token(tops: Any) -> list[Json]:
    return (
        [top for top in tops if isinstance(top, dict) and text(top.get("token")) is not None]
        if isinstance(tops, list)
        else []
    )


def _alternative(one: Json) -> Json:
    logprob = one.get("logprob")
    return {
        **one,
        "token": text(one["token"]),
        "logprob": logprob if _is_number(logprob) else _NEVER,
        "bytes": one.get("bytes") if _are_bytes(one.get("bytes")) else None,
    }


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_usual_usage(said: Any) -> bool:
    """Whether a usage object has the members that OpenAI's has, with their types."""
    if not isinstance(said, dict) or not all(type(said.get(key)) is int and said[key] >= 0 for key in _COUNTS):
        return False
    return all(_are_details(said.get(key)) for key in _DETAILS)


def _are_details(value: Any) -> bool:
    if value is None:
        return True
    return isinstance(value, dict) and all(
        count is None or type(count) is int for key, count in value.items() if key.endswith("_tokens")
    )


def usual_usage(said: Json) -> Json:
    """The usage with whole counts: what is missing is counted from the rest."""
    given = {key: count for key in _COUNTS if (count := _count(said.get(key))) is not None}
    prompt = given.get("prompt_tokens", 0)
    completion = given.get("completion_tokens", max(0, given.get("total_tokens", 0) - prompt))
    total = given.get("total_tokens", prompt + completion)
    details = {key: _details(said[key]) for key in _DETAILS if key in said}
    return {**said, "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total, **details}


def _details(value: Any) -> Json | None:
    if not isinstance(value, dict):
        return None
    return {key: _count(count) if key.endswith("_tokens") else count for key, count in value.items()}


def _count(value: Any) -> int | None:
    """A count however it is written: some send 12.0 or "12"."""
    if isinstance(value, str):
        value = int(value) if value.isascii() and value.isdigit() and len(value) < 16 else None
    whole = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 2**53
    return int(value) if whole else None
