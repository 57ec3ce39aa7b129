"""Records how an attempt ended: its usage, its cost, and its state."""

from __future__ import annotations

from llmproxy.core.adapter import Translator
from llmproxy.core.chat import Chat
from llmproxy.core.errors import GatewayError
from llmproxy.core.measure import estimated, output_limit
from llmproxy.core.metering import Meter
from llmproxy.core.trace import Attempt
from llmproxy.core.usage import Tokens


def record_end(
    attempt: Attempt, chat: Chat, translator: Translator, meter: Meter, error: BaseException | None, *, refused: bool
) -> None:
    """refused: an error came in place of an answer; a provider bills nothing for it."""
    usage, produced = translator.usage, translator.produced
    attempt.produced = produced
    if usage is not None:
        attempt.tokens, attempt.cost, attempt.usage_source = usage.tokens, usage.cost, "provider"
    if attempt.sent and not refused and _is_uncounted(attempt.tokens, translator):
        tokens = estimated(chat, attempt.tokens, produced, meter.bytes_per_token)
        attempt.tokens, attempt.usage_source = tokens, "estimated"
    meter.settle(attempt)
    if error is None:
        attempt.end("answered")
    elif isinstance(error, GatewayError):
        attempt.end("failed", error.code)
    elif isinstance(error, ConnectionError) or not isinstance(error, Exception):  # stopped, or its reader disconnected
        attempt.most_tokens = output_limit(chat)
        attempt.end("lost_race" if chat.trace.lost else "stopped")
    else:
        attempt.end("failed")


def _is_uncounted(tokens: Tokens | None, translator: Translator) -> bool:
    """Whether the provider sent no count of the output. Zero at the start of an answer that was cut is not a count."""
    if tokens is None:
        return True
    return not tokens.completion and bool(translator.produced or not translator.done)
