"""The types of a Responses request. Null counts as absent everywhere."""

from __future__ import annotations

from llmproxy.core.chat import Json
from llmproxy.wire.shapes import FLAG, NUMBER, OBJECT, TEXT, WHOLE, Kinds, Listed, Members, Shape, check, either

_TEXTS = Members({"text": TEXT})
_IMAGE = Members({"image_url": either(TEXT, Members({"url": TEXT})), "file_id": TEXT, "detail": TEXT})
_PARTS = Kinds(
    {
        **dict.fromkeys(("input_text", "output_text", "text", "summary_text", "reasoning_text"), _TEXTS),
        **dict.fromkeys(("input_image", "computer_screenshot"), _IMAGE),
        "refusal": Members({"refusal": TEXT}),
        "input_file": Members({"file_data": TEXT, "file_url": TEXT, "file_id": TEXT, "filename": TEXT}),
        "input_audio": Members({"input_audio": Members({"data": TEXT, "format": TEXT})}),
    }
)
_CONTENT = either(TEXT, Listed(_PARTS))
_FORMAT = Members({"type": TEXT, "name": TEXT, "description": TEXT, "schema": OBJECT, "strict": FLAG})
_REASONING = Members({"effort": TEXT, "summary": TEXT})
_WORDING = Members({"format": _FORMAT, "verbosity": TEXT})
_MADE: dict[str, Shape] = {"id": TEXT, "call_id": TEXT, "name": TEXT, "namespace": TEXT, "status": TEXT}
_GRAMMAR: dict[str, Shape] = {"type": TEXT, "syntax": TEXT, "definition": TEXT}
_TOOL = Kinds(
    {
        "function": Members({"name": TEXT, "description": TEXT, "parameters": OBJECT, "strict": FLAG}),
        "custom": Members(
            {
                "name": TEXT,
                "description": TEXT,
                "format": Members({**_GRAMMAR, "grammar": Members(_GRAMMAR)}),
            }
        ),
        "namespace": Members({"name": TEXT, "description": TEXT, "tools": Listed(OBJECT)}),
    },
    usual="function",
)
_ITEMS = Kinds(
    {
        "message": Members({**_MADE, "role": TEXT, "content": _CONTENT}),
        "reasoning": Members(
            {"id": TEXT, "summary": Listed(_PARTS), "content": Listed(_PARTS), "encrypted_content": TEXT}
        ),
        # Some clients send the arguments as an object.
        "function_call": Members({**_MADE, "arguments": either(TEXT, OBJECT)}),
        "custom_tool_call": Members({**_MADE, "input": TEXT}),
        "function_call_output": Members({**_MADE, "output": either(TEXT, Listed(OBJECT), OBJECT)}),
        "custom_tool_call_output": Members({**_MADE, "output": either(TEXT, Listed(OBJECT), OBJECT)}),
        "local_shell_call": Members({**_MADE, "action": OBJECT}),
        "shell_call": Members({**_MADE, "action": OBJECT}),
        "apply_patch_call": Members({**_MADE, "operation": OBJECT}),
        "item_reference": Members({"id": TEXT}),
        "additional_tools": Members({"role": TEXT, "tools": Listed(_TOOL)}),
        "tool_search_output": Members({"tools": Listed(_TOOL)}),
        "configuration_update": Members({"reasoning": _REASONING, "text": _WORDING}),
    },
    usual="message",
)
_CHOICE = Members({"type": TEXT, "name": TEXT, "namespace": TEXT, "mode": TEXT, "tools": Listed(OBJECT)})
_REQUEST: dict[str, Shape] = {
    "input": either(TEXT, Listed(_ITEMS)),
    "instructions": either(TEXT, Listed(_ITEMS)),
    "tools": Listed(_TOOL),
    "tool_choice": either(TEXT, _CHOICE),
    "text": _WORDING,
    "reasoning": _REASONING,
    "include": Listed(TEXT),
    **dict.fromkeys(("temperature", "top_p"), NUMBER),
    **dict.fromkeys(("max_output_tokens", "top_logprobs", "max_tool_calls"), WHOLE),
    **dict.fromkeys(("stream", "store", "background", "parallel_tool_calls"), FLAG),
    **dict.fromkeys(("previous_response_id", "truncation", "user", "service_tier"), TEXT),
    **dict.fromkeys(("safety_identifier", "prompt_cache_key", "prompt_cache_retention"), TEXT),
    **dict.fromkeys(("metadata", "stream_options", "prompt"), OBJECT),
}
_SHAPE = Members(_REQUEST)


def check_response(body: Json) -> None:
    """Raises BadRequest with the path of the wrong member in `param`."""
    check(_SHAPE, body)
