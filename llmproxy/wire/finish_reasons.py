"""Maps all known finish reasons to OpenAI's, and those that mean a broken answer to errors.

Sources: the providers' API references (OpenAI, Anthropic, Google, Mistral, Cohere, DeepSeek, Zhipu, xAI, Bedrock, watsonx,
Yandex), the source code of servers (vLLM, SGLang, TGI, llama.cpp, Ollama, LM Studio), and recordings.
"""

from __future__ import annotations

import re
from typing import Literal

Finish = Literal["stop", "length", "tool_calls", "content_filter", "function_call"]
FINISHES: frozenset[str] = frozenset(("stop", "length", "tool_calls", "content_filter", "function_call"))
BROKEN = "error"  # the answer broke off: this is a failure, not a finish

# Compared without case, spaces, hyphens, underscores, dots, and prefixes such as FINISH_REASON_.
_WORDS: dict[str, tuple[str, ...]] = {
    "stop": (
        "stop", "eos", "eos_token", "eosFound", "end_turn", "end_of_turn", "stop_sequence", "stop_string", "stopStringFound",
        "stop_token", "stop_criteria_met", "complete", "completed", "finish", "finished", "end", "done", "word", "success",
        "ALTERNATIVE_STATUS_FINAL", "normal", "pause_turn",
    ),
    "length": (
        "length", "max_tokens", "max_token", "max_len", "max_length", "max_output", "max_output_tokens", "max_completion_tokens",
        "max_new_tokens", "max_tokens_reached", "maxPredictedTokensReached", "token_limit", "token_limit_reached", "limit",
        "model_length", "model_context_window_exceeded", "context_window_exceeded", "context_length_exceeded", "context_length",
        "contextLengthReached", "max_context", "context", "incomplete", "truncated", "ALTERNATIVE_STATUS_TRUNCATED_FINAL",
        "repetition", "repetition_truncation", "time_limit", "not_finished", "budget_exceeded",
    ),
    "content_filter": (
        "content_filter", "content_filtered", "content_filtering", "contentFilter", "ALTERNATIVE_STATUS_CONTENT_FILTER",
        "safety", "sensitive", "refusal", "recitation", "blocklist", "prohibited_content", "spii", "language", "model_armor",
        "image_safety", "image_prohibited_content", "image_recitation", "guardrail", "guardrails", "guardrail_intervened",
        "moderation", "moderated", "blocked", "censored", "policy_violation", "content_policy_violation", "error_toxic", "risk",
    ),
    "tool_calls": (
        "tool_calls", "tool_call", "tool_use", "tool", "tools", "toolCalls", "function", "functions", "client_tool_call",
    ),
    "function_call": ("function_call",),
    BROKEN: (
        "error", "errored", "abort", "aborted", "cancel", "cancelled", "canceled", "user_cancel", "userStopped", "failed",
        "failure", "fail", "network_error", "timeout", "timed_out", "insufficient_system_resource", "interrupted", "exception",
        "internal_error", "server_error", "engine_error", "engine_overloaded", "overloaded", "unavailable", "disconnect",
        "connection_error", "modelUnloaded", "unload", "killed", "other_error", "malformed_function_call", "malformed_response",
        "malformed_model_output", "malformed_tool_use", "upstream_error", "rate_limit", "rate_limited", "error_limit",
    ),
}  # fmt: skip
# Values that mean "not finished"; some providers send one with every piece.
_NONE = (
    "",
    "null",
    "none",
    "nil",
    "undefined",
    "unspecified",
    "in_progress",
    "ALTERNATIVE_STATUS_PARTIAL",
    "false",
    "0",
)
# A reason that is not in the table is classified by the words in it. If none is known it is a stop, unless the answer is cut
# inside a call.
_PARTS = (
    (re.compile(r"error|abort|cancel|fail|timeout|interrupt|unavailable|overload|exception|disconnect|killed"), BROKEN),
    (re.compile(r"filter|safety|policy|prohibit|sensitive|moderat|refus|guardrail|violat|blocked|toxic|censor"), "content_filter"),
    (re.compile(r"length|toolong|token|limit|max|context|budget|truncat|incomplete|cutoff"), "length"),
    (re.compile(r"tool"), "tool_calls"),
)  # fmt: skip
_LETTERS = re.compile(r"[\W_]+")
_PREFIX = re.compile(r"^(?:finish|stop)?reason")


def _plain(word: str) -> str:
    plain = _LETTERS.sub("", word.lower())
    return _PREFIX.sub("", plain) or plain


_TABLE = {_plain(word): finish for finish, words in _WORDS.items() for word in words}
_EMPTY = frozenset(map(_plain, _NONE)) | {""}


def as_finish(reason: object) -> str | None:
    """The meaning of a `finish_reason`: one of FINISHES, `error` for an answer that broke off, the provider's own word if it
    is unknown, or None if it is not a finish.
    """
    if not reason or reason is True or not isinstance(reason, (str, int)):
        return None
    word = str(reason)
    if word in FINISHES:
        return word
    plain = _plain(word)
    if plain in _EMPTY:
        return None
    known = _TABLE.get(plain)
    if known is not None:
        return known
    return next((finish for part, finish in _PARTS if part.search(plain)), word)
