"""The types of a chat request, checked before it is translated to another dialect. Null counts as absent everywhere."""

from __future__ import annotations

from llmproxy.core.chat import Json

from .shapes import FLAG, NUMBER, OBJECT, TEXT, WHOLE, Kinds, Listed, Members, Shape, check, either

_FILE = Members({"filename": TEXT, "file_data": TEXT, "file_id": TEXT, "format": TEXT})
PARTS = Kinds(
    {
        "text": Members({"text": TEXT}),
        "refusal": Members({"refusal": TEXT}),
        "image_url": Members({"image_url": either(Members({"url": TEXT, "detail": TEXT}), TEXT)}),
        "video_url": Members({"video_url": either(Members({"url": TEXT}), TEXT)}),
        "input_audio": Members({"input_audio": Members({"data": TEXT, "format": TEXT})}),
        "file": Members({"file": _FILE}),
    }
)
# Some clients send the arguments as an object instead of a string.
_CALL = Members({"id": TEXT, "type": TEXT, "function": Members({"name": TEXT, "arguments": either(TEXT, OBJECT)})})
_MESSAGE = Members(
    {
        "role": TEXT,
        "content": either(TEXT, Listed(either(PARTS, TEXT))),
        "name": TEXT,
        "refusal": TEXT,
        "reasoning": TEXT,
        "reasoning_content": TEXT,
        "reasoning_details": Listed(OBJECT),
        "tool_call_id": TEXT,
        "tool_calls": Listed(_CALL),
    }
)
_FUNCTION = Members({"name": TEXT, "description": TEXT, "parameters": OBJECT, "strict": FLAG})
_FORMAT = Members(
    {
        "type": TEXT,
        "json_schema": Members({"name": TEXT, "description": TEXT, "schema": OBJECT, "strict": FLAG}),
    }
)
_REQUEST: dict[str, Shape] = {
    "messages": Listed(_MESSAGE),
    "tools": Listed(Kinds({"function": Members({"function": _FUNCTION})})),
    "tool_choice": either(TEXT, Members({"type": TEXT, "function": Members({"name": TEXT})})),
    "response_format": _FORMAT,
    "stop": either(TEXT, Listed(TEXT)),
    **dict.fromkeys(("temperature", "top_p", "presence_penalty", "frequency_penalty"), NUMBER),
    **dict.fromkeys(("max_tokens", "max_completion_tokens", "seed"), NUMBER),
    **dict.fromkeys(("top_logprobs", "n"), WHOLE),
    **dict.fromkeys(("stream", "parallel_tool_calls", "logprobs"), FLAG),
    **dict.fromkeys(("reasoning_effort", "service_tier", "user", "safety_identifier", "verbosity"), TEXT),
    "stream_options": Members({"include_usage": FLAG}),
    **dict.fromkeys(("metadata", "reasoning", "audio", "logit_bias", "web_search_options"), OBJECT),
    "modalities": Listed(TEXT),
}
_SHAPE = Members(_REQUEST)


def check_chat(body: Json) -> None:
    """Raises BadRequest; `param` names the member with the wrong type."""
    check(_SHAPE, body)
