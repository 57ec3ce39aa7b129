"""Shapes of Anthropic's answers as tables. Source: Anthropic's SDK types and recordings."""

from __future__ import annotations

from collections.abc import Mapping

from .schemas import NULL, Shape, one_of

STOP = one_of(
    "end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "refusal", "model_context_window_exceeded",
    "compaction",
)  # fmt: skip
COUNT = (int, NULL)
USAGE: Shape = {
    "input_tokens": int,
    "output_tokens": int,
    "cache_creation_input_tokens?": COUNT,
    "cache_read_input_tokens?": COUNT,
    "cache_creation?": ({}, NULL),
    "server_tool_use?": ({}, NULL),
    "output_tokens_details?": ({}, NULL),
    "service_tier?": (str, NULL),
}
LAST_USAGE: Shape = {**{name: shape for name, shape in USAGE.items() if name != "input_tokens"}, "input_tokens?": COUNT}

_RESULT: Shape = {"tool_use_id": str, "content": (list, {})}
_SERVER_TOOLS = (
    "web_search", "web_fetch", "code_execution", "bash_code_execution", "text_editor_code_execution", "tool_search",
    "advisor",
)  # fmt: skip
BLOCKS: Mapping[str, Shape] = {
    "text": {"text": str, "citations?": (list, NULL)},
    "thinking": {"thinking": str, "signature": str},
    "redacted_thinking": {"data": str},
    "tool_use": {"id": str, "name": str, "input": {}},
    "server_tool_use": {"id": str, "name": str, "input": {}},
    "mcp_tool_use": {"id": str, "name": str, "server_name": str, "input": {}},
    "mcp_tool_result": {"tool_use_id": str, "is_error": bool, "content": (str, list)},
    "container_upload": {"file_id": str},
    "compaction": {"content?": (str, NULL)},
    "fallback": {},
    **{f"{name}_tool_result": _RESULT for name in _SERVER_TOOLS},
}
# The start of a block that grows.
BLANK: Mapping[str, Mapping[str, object]] = {
    "text": {"text": ""},
    "thinking": {"thinking": "", "signature": ""},
    "tool_use": {"input": {}},
}
DELTAS: Mapping[str, Shape] = {
    "text_delta": {"text": str},
    "citations_delta": {"citation": {"type": str}},
    "input_json_delta": {"partial_json": str},
    "thinking_delta": {"thinking": str},
    "signature_delta": {"signature": str},
    "compaction_delta": {"content?": (str, NULL)},
}
# The deltas of each growing block; every other block comes whole.
GROWS_BY: Mapping[str, tuple[str, ...]] = {
    "text": ("text_delta", "citations_delta"),
    "thinking": ("thinking_delta", "signature_delta"),
    "tool_use": ("input_json_delta",),
    "server_tool_use": ("input_json_delta",),
    "mcp_tool_use": ("input_json_delta",),
    "compaction": ("compaction_delta",),
}
HEAD: Shape = {
    "id": str,
    "type": one_of("message"),
    "role": one_of("assistant"),
    "model": str,
    "content": [{"type": str}],
    "stop_sequence": (str, NULL),
    "usage": USAGE,
}
MESSAGE: Shape = {**HEAD, "stop_reason": STOP}
STARTED: Shape = {**HEAD, "stop_reason": (STOP, NULL)}
ENDED: Shape = {"delta": {"stop_reason": STOP, "stop_sequence?": (str, NULL)}, "usage": LAST_USAGE}
ERROR_TYPES: Mapping[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}
ERROR: Shape = {
    "type": one_of("error"),
    "error": {"type": one_of(*ERROR_TYPES.values()), "message": str},
    "request_id?": (str, NULL),
}
TOKENS: Shape = {"input_tokens": int}
MODEL: Shape = {"type": one_of("model"), "id": str, "display_name": str, "created_at": str}
MODELS: Shape = {"data": [MODEL], "has_more": bool, "first_id": (str, NULL), "last_id": (str, NULL)}
