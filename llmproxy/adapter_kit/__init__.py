"""The only package that adapters import: contracts, errors, and the base class for OpenAI-compatible providers.

Names are loaded when they are first used: each start imports all adapters, and should load only what they need. May import
dialects, wire and core. Begin with `OpenAICompatible`, then the contract, `Adapter`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmproxy.core.adapter import Account as Account
    from llmproxy.core.adapter import Accounting as Accounting
    from llmproxy.core.adapter import Adapter as Adapter
    from llmproxy.core.adapter import Counting as Counting
    from llmproxy.core.adapter import CountsTokens as CountsTokens
    from llmproxy.core.adapter import Environment as Environment
    from llmproxy.core.adapter import InProcess as InProcess
    from llmproxy.core.adapter import KnowsModels as KnowsModels
    from llmproxy.core.adapter import KnowsPace as KnowsPace
    from llmproxy.core.adapter import ListsModels as ListsModels
    from llmproxy.core.adapter import Local as Local
    from llmproxy.core.adapter import Model as Model
    from llmproxy.core.adapter import Outgoing as Outgoing
    from llmproxy.core.adapter import Pace as Pace
    from llmproxy.core.adapter import Step as Step
    from llmproxy.core.adapter import TakesFew as TakesFew
    from llmproxy.core.adapter import Translator as Translator
    from llmproxy.core.chat import Body as Body
    from llmproxy.core.chat import Chat as Chat
    from llmproxy.core.chat import Face as Face
    from llmproxy.core.chat import Json as Json
    from llmproxy.core.chat import whole as whole
    from llmproxy.core.errors import BadRequest as BadRequest
    from llmproxy.core.errors import Dropped as Dropped
    from llmproxy.core.errors import GatewayError as GatewayError
    from llmproxy.core.errors import Malformed as Malformed
    from llmproxy.core.errors import ModelNotFound as ModelNotFound
    from llmproxy.core.errors import TimedOut as TimedOut
    from llmproxy.core.errors import Truncated as Truncated
    from llmproxy.core.errors import UpstreamError as UpstreamError
    from llmproxy.core.trace import Trace as Trace
    from llmproxy.core.usage import Usage as Usage
    from llmproxy.dialects.gemini.request import gemini_body as gemini_body
    from llmproxy.dialects.gemini.tables import GEMINI_FAILED as GEMINI_FAILED
    from llmproxy.dialects.gemini.tables import GEMINI_FINISH as GEMINI_FINISH
    from llmproxy.dialects.gemini.tables import GEMINI_STATUS as GEMINI_STATUS
    from llmproxy.dialects.gemini.tables import gemini_end as gemini_end
    from llmproxy.dialects.gemini.usage import gemini_counts as gemini_counts
    from llmproxy.dialects.gemini.usage import gemini_usage as gemini_usage
    from llmproxy.dialects.messages.decode_reply import MessagesReply as MessagesReply
    from llmproxy.dialects.messages.encode_request import encode_messages as encode_messages
    from llmproxy.dialects.messages.own_reasoning import own_reasoning_only as own_reasoning_only
    from llmproxy.dialects.messages.tables import MESSAGES_EFFORTS as MESSAGES_EFFORTS
    from llmproxy.dialects.messages.tables import MessagesAbilities as MessagesAbilities
    from llmproxy.wire.chat_shape import check_chat as check_chat
    from llmproxy.wire.embeddings import Vectors as Vectors
    from llmproxy.wire.embeddings import encoded as encoded
    from llmproxy.wire.provider_errors import blame as blame
    from llmproxy.wire.provider_errors import in_band as in_band
    from llmproxy.wire.provider_errors import parse_error as parse_error
    from llmproxy.wire.refused_thoughts import refuses_thoughts as refuses_thoughts
    from llmproxy.wire.relay import Relay as Relay
    from llmproxy.wire.retry_after import retry_after as retry_after
    from llmproxy.wire.sse import DONE as DONE
    from llmproxy.wire.sse import Events as Events
    from llmproxy.wire.sse import event as event
    from llmproxy.wire.sse import frame as frame
    from llmproxy.wire.tool_names import ToolNames as ToolNames

    from .counting import COUNTED as COUNTED
    from .counting import input_tokens as input_tokens
    from .hints import Hint as Hint
    from .openai_compatible import OpenAICompatible as OpenAICompatible

API = (
    2  # version of the contract between the gateway and its adapters; an adapter may set the version it was written for
)

_WHERE = {
    "core.adapter": (
        "Account",
        "Accounting",
        "Adapter",
        "Counting",
        "CountsTokens",
        "Environment",
        "InProcess",
        "KnowsModels",
        "KnowsPace",
        "ListsModels",
        "Local",
        "Model",
        "Outgoing",
        "Pace",
        "Step",
        "TakesFew",
        "Translator",
    ),
    "core.chat": (
        "Body",
        "Chat",
        "Face",
        "Json",
        "whole",
    ),
    "core.errors": (
        "BadRequest",
        "Dropped",
        "GatewayError",
        "Malformed",
        "ModelNotFound",
        "TimedOut",
        "Truncated",
        "UpstreamError",
    ),
    "core.trace": ("Trace",),
    "core.usage": ("Usage",),
    "dialects.gemini.request": ("gemini_body",),
    "dialects.gemini.tables": (
        "GEMINI_FAILED",
        "GEMINI_FINISH",
        "GEMINI_STATUS",
        "gemini_end",
    ),
    "dialects.gemini.usage": (
        "gemini_counts",
        "gemini_usage",
    ),
    "dialects.messages.decode_reply": ("MessagesReply",),
    "dialects.messages.encode_request": ("encode_messages",),
    "dialects.messages.own_reasoning": ("own_reasoning_only",),
    "dialects.messages.tables": (
        "MESSAGES_EFFORTS",
        "MessagesAbilities",
    ),
    "wire.chat_shape": ("check_chat",),
    "wire.embeddings": (
        "Vectors",
        "encoded",
    ),
    "wire.refused_thoughts": ("refuses_thoughts",),
    "wire.relay": ("Relay",),
    "wire.sse": (
        "DONE",
        "Events",
        "event",
        "frame",
    ),
    "wire.provider_errors": (
        "blame",
        "in_band",
        "parse_error",
    ),
    "wire.retry_after": ("retry_after",),
    "wire.tool_names": ("ToolNames",),
    "adapter_kit.counting": ("COUNTED", "input_tokens"),
    "adapter_kit.hints": ("Hint",),
    "adapter_kit.openai_compatible": ("OpenAICompatible",),
}
_HOMES = {name: module for module, names in _WHERE.items() for name in names}
__all__ = ["API", *_HOMES]  # noqa: PLE0604  # they are strings: one table says what is here


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"llmproxy.adapter_kit has no {name!r}; it has: {', '.join(sorted(_HOMES))}")
    value = getattr(importlib.import_module(f"llmproxy.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
