"""Log probabilities and usage, converted to the types and members of OpenAI's."""

from __future__ import annotations

from typing import Any

from llmproxy.core.chat import Json

from .members import text

_NEVER = -9999.0  # OpenAI's value for a token that is not among the most likely ones
_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")
_DETAILS = ("prompt_tokens_details", "completion_tokens_details")


def is_usual_logprobs(logprobs: Any) -> bool:
    """Whether log probabilities already have OpenAI's form. None counts as that."""
    if logprobs is None:
        return True
    if not isinstance(logprobs, dict):
        return False
    lists = (logprobs.get("content"), logprobs.get("refusal"))
    return any(isinstance(one, list) for one in lists) and all(
        one is None or (isinstance(one, list) and all(map(_is_usual_token, one))) for one in lists
    )


def usual_logprobs(logprobs: Any) -> Json | None:
    """Log probabilities in OpenAI's form; None if they cannot be converted. Unknown members stay."""
    if not isinstance(logprobs, dict):
        return None
    lists = {key: _tokens(logprobs[key]) for key in ("content", "refusal") if isinstance(logprobs.get(key), list)}
    rest = {key: value for key, value in logprobs.items() if key not in ("content", "refusal")}
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


def is_usual_usage(usage: Any) -> bool:
    """Whether a usage object has OpenAI's members with their types."""
    if type(usage) is not dict:
        return False
    for key in _COUNTS:
        if key not in usage or type(usage[key]) is not int or usage[key] < 0:
            return False
    for key in _DETAILS:  # noqa: SIM110  # every answer comes here: a generator costs more than the look
        if key in usage and not _are_details(usage[key]):
            return False
    return True


def _are_details(value: Any) -> bool:
    if type(value) is not dict:
        return value is None
    for key, count in value.items():  # noqa: SIM110
        if type(count) is not int and count is not None and key.endswith("_tokens"):
            return False
    return True


def usual_usage(usage: Json) -> Json:
    """The usage with integer counts; missing ones are computed from the others."""
    given = {key: count for key in _COUNTS if (count := _count(usage.get(key))) is not None}
    prompt = given.get("prompt_tokens", 0)
    completion = given.get("completion_tokens", max(0, given.get("total_tokens", 0) - prompt))
    total = given.get("total_tokens", prompt + completion)
    details = {key: _details(usage[key]) for key in _DETAILS if key in usage}
    return {**usage, "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total, **details}


def _details(value: Any) -> Json | None:
    if not isinstance(value, dict):
        return None
    return {key: _count(count) if key.endswith("_tokens") else count for key, count in value.items()}


def _count(value: Any) -> int | None:
    """A count in any form: some providers send 12.0 or "12"."""
    if isinstance(value, str):
        value = int(value) if value.isascii() and value.isdigit() and len(value) < 16 else None
    whole = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 2**53
    return int(value) if whole else None
