"""How much of an answer that is passed through has arrived: one unit in every dialect, UTF-8 bytes of texts and calls."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from llmproxy.core.chat import Chat, Face
from llmproxy.core.errors import UpstreamError
from llmproxy.dialects import find

TEXT = "你好"  # six bytes
SAID: dict[str, list[Any]] = {
    "messages": [
        {"type": "message_start", "message": {"id": "m", "usage": {"input_tokens": 1, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *[{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": TEXT}}] * 20,
        {"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "t", "name": "look", "input": {}}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": '{"a": 1}'}},
    ],
    "responses": [
        {"type": "response.created", "response": {"id": "r", "object": "response", "created_at": 1, "output": []}},
        *[{"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "item_id": "i", "delta": TEXT}] * 20,
        {"type": "response.output_item.added", "output_index": 1, "item": {"type": "function_call", "id": "f", "name": "look"}},
        {"type": "response.function_call_arguments.delta", "output_index": 1, "item_id": "f", "delta": '{"a": 1}'},
    ],
    "gemini": [
        *[{"candidates": [{"content": {"parts": [{"text": TEXT}], "role": "model"}, "index": 0}]}] * 20,
        {"candidates": [{"content": {"parts": [{"functionCall": {"name": "look", "args": {"a": 1}}}]}, "index": 0}]},
    ],
}  # fmt: skip


@pytest.mark.parametrize("face", SAID)
def test_texts_and_calls_count_in_utf8_bytes(face: Face) -> None:
    spoken = find(face)
    assert spoken is not None
    chat = Chat({"model": "m", "stream": True}, "m", face, dialect=spoken, streaming=True)
    watched = spoken.watch(chat, lambda event: UpstreamError(str(event)))
    for event in SAID[face]:
        name = f"event: {event['type']}\n" if "type" in event else ""
        list(watched.feed(name.encode() + b"data: " + orjson.dumps(event) + b"\n\n"))
    assert watched.produced == 20 * 6 + len("look") + len('{"a": 1}')
