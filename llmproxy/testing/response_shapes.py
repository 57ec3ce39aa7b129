"""Shapes of OpenAI's Responses as tables. Source: OpenAI's SDK types and recordings."""

from __future__ import annotations

from collections.abc import Mapping

from .schemas import NULL, NUMBER, Shape, one_of

STATUS = one_of("completed", "failed", "in_progress", "cancelled", "queued", "incomplete")
ITEM_STATUS = one_of("in_progress", "completed", "incomplete")
USAGE: Shape = {
    "input_tokens": int,
    "input_tokens_details": {"cached_tokens": int},
    "output_tokens": int,
    "output_tokens_details": {"reasoning_tokens": int},
    "total_tokens": int,
}
RESPONSE: Shape = {
    "id": str,
    "object": one_of("response"),
    "created_at": NUMBER,
    "status": STATUS,
    "model": str,
    "output": [{"type": str}],
    "error": ({"code": str, "message": str}, NULL),
    "incomplete_details": ({"reason": str}, NULL),
    "instructions": (str, list, NULL),
    "metadata": ({}, NULL),
    "parallel_tool_calls": bool,
    "temperature": (*NUMBER, NULL),
    "tool_choice": (str, {}),
    "tools": [{"type": str}],
    "top_p": (*NUMBER, NULL),
    "usage?": (USAGE, NULL),
}
TEXT_PART: Shape = {"text": str, "annotations": [{"type": str}], "logprobs?": (list, NULL)}
PARTS: Mapping[str, Shape] = {
    "output_text": TEXT_PART,
    "refusal": {"refusal": str},
    "reasoning_text": {"text": str},
    "summary_text": {"text": str},
}
_RUN: Shape = {"id": str, "status": str}
ITEMS: Mapping[str, Shape] = {
    "message": {"id": str, "role": one_of("assistant"), "status": ITEM_STATUS, "content": [{"type": str}]},
    "reasoning": {"id": str, "summary": [{"type": one_of("summary_text"), "text": str}]},
    "function_call": {"call_id": str, "name": str, "arguments": str},
    "custom_tool_call": {"call_id": str, "name": str, "input": str},
    "file_search_call": {**_RUN, "queries": list},
    "web_search_call": _RUN,
    "computer_call": {**_RUN, "call_id": str},
    "image_generation_call": _RUN,
    "code_interpreter_call": {**_RUN, "container_id": str},
    "local_shell_call": {**_RUN, "call_id": str, "action": {}},
    "shell_call": {**_RUN, "call_id": str, "action": {}},
    "shell_call_output": {**_RUN, "call_id": str},
    "apply_patch_call": {**_RUN, "call_id": str, "operation": {}},
    "mcp_call": {"id": str, "name": str, "arguments": str, "server_label": str},
    "mcp_list_tools": {"id": str, "server_label": str, "tools": list},
    "mcp_approval_request": {"id": str, "name": str, "arguments": str, "server_label": str},
    "tool_search_call": _RUN,
    "tool_search_output": _RUN,
    "program": {"id": str, "call_id": str, "code": str},
    "program_output": {"id": str, "call_id": str},
    "compaction": {"id": str, "encrypted_content": str},
}
_AT: Shape = {"item_id": str, "output_index": int}
_IN_CONTENT: Shape = {**_AT, "content_index": int}
_IN_SUMMARY: Shape = {**_AT, "summary_index": int}
EVENTS: Mapping[str, Shape] = {
    **{f"response.{name}": {"response": RESPONSE} for name in ("created", "queued", "in_progress")},
    **{f"response.{name}": {"response": RESPONSE} for name in ("completed", "incomplete", "failed")},
    "response.output_item.added": {"output_index": int, "item": {"type": str}},
    "response.output_item.done": {"output_index": int, "item": {"type": str}},
    "response.content_part.added": {**_IN_CONTENT, "part": {"type": str}},
    "response.content_part.done": {**_IN_CONTENT, "part": {"type": str}},
    "response.output_text.delta": {**_IN_CONTENT, "delta": str, "logprobs": list},
    "response.output_text.done": {**_IN_CONTENT, "text": str, "logprobs": list},
    "response.output_text.annotation.added": {**_IN_CONTENT, "annotation_index": int, "annotation": {}},
    "response.refusal.delta": {**_IN_CONTENT, "delta": str},
    "response.refusal.done": {**_IN_CONTENT, "refusal": str},
    "response.reasoning_text.delta": {**_IN_CONTENT, "delta": str},
    "response.reasoning_text.done": {**_IN_CONTENT, "text": str},
    "response.reasoning_summary_part.added": {**_IN_SUMMARY, "part": {"type": str}},
    "response.reasoning_summary_part.done": {**_IN_SUMMARY, "part": {"type": str}},
    "response.reasoning_summary_text.delta": {**_IN_SUMMARY, "delta": str},
    "response.reasoning_summary_text.done": {**_IN_SUMMARY, "text": str},
    "response.function_call_arguments.delta": {**_AT, "delta": str},
    "response.function_call_arguments.done": {**_AT, "arguments": str},
    "response.custom_tool_call_input.delta": {**_AT, "delta": str},
    "response.custom_tool_call_input.done": {**_AT, "input": str},
}
# Events of a provider's own tools; their members are not checked.
OWN_TOOLS = (
    "response.web_search_call.", "response.file_search_call.", "response.code_interpreter_call",
    "response.image_generation_call.", "response.mcp_", "response.shell_call_", "response.compaction.",
    "response.audio.",
)  # fmt: skip
# The event with a piece, the event with the whole, and the member of the whole.
GROWS: Mapping[str, tuple[str, str]] = {
    "response.output_text": ("text", "output_text"),
    "response.refusal": ("refusal", "refusal"),
    "response.reasoning_text": ("text", "reasoning_text"),
    "response.reasoning_summary_text": ("text", "summary_text"),
    "response.function_call_arguments": ("arguments", "function_call"),
    "response.custom_tool_call_input": ("input", "custom_tool_call"),
}
TOKENS: Shape = {"object": one_of("response.input_tokens"), "input_tokens": int}
DELETED: Shape = {"id": str, "object": str, "deleted": bool}
INPUT_ITEMS: Shape = {
    "object": one_of("list"),
    "data": [{"type": str}],
    "first_id": (str, NULL),
    "last_id": (str, NULL),
    "has_more": bool,
}
