"""Tools to test an adapter, a client or a gateway: a fake provider, validators of answers, a contract test, a jumping clock."""

from .answer import Answer, Choice, ToolCall, read, read_json, read_stream
from .check_gemini import (
    check_gemini,
    check_gemini_array,
    check_gemini_error,
    check_gemini_model,
    check_gemini_models,
    check_gemini_stream,
    check_gemini_tokens,
)
from .check_messages import (
    check_message,
    check_message_error,
    check_message_models,
    check_message_stream,
    check_message_tokens,
)
from .check_responses import (
    check_deleted_response,
    check_input_items,
    check_response,
    check_response_stream,
    check_response_tokens,
)
from .connection import Behaviour, Exchange
from .event_order import Violation
from .provider import FakeProvider, cut_at
from .samples import chunk, completion, failure, sse
from .validate import (
    check_chat,
    check_completion,
    check_embeddings,
    check_error,
    check_framing,
    check_model,
    check_models,
    check_stream,
)

__all__ = [
    "Answer",
    "Behaviour",
    "Choice",
    "Exchange",
    "FakeProvider",
    "ToolCall",
    "Violation",
    "check_chat",
    "check_completion",
    "check_deleted_response",
    "check_embeddings",
    "check_error",
    "check_framing",
    "check_gemini",
    "check_gemini_array",
    "check_gemini_error",
    "check_gemini_model",
    "check_gemini_models",
    "check_gemini_stream",
    "check_gemini_tokens",
    "check_input_items",
    "check_message",
    "check_message_error",
    "check_message_models",
    "check_message_stream",
    "check_message_tokens",
    "check_model",
    "check_models",
    "check_response",
    "check_response_stream",
    "check_response_tokens",
    "check_stream",
    "chunk",
    "completion",
    "cut_at",
    "failure",
    "read",
    "read_json",
    "read_stream",
    "sse",
]
