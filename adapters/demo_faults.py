"""Demo models that fail as real providers do, so that retries, failover and error reporting can be tried."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from llmproxy.adapter_kit import Chat, Truncated, UpstreamError

# docs/providers.md says what each of them does.
FAULTS: Mapping[str, str] = {
    "429": "refuses every try",
    "flaky": "refuses the first try of a request, and answers the second",
    "cut": "breaks off in the middle of the answer",
    "stall": "falls silent in the middle of the answer, for good",
    "pause": "falls silent in the middle of the answer, for the time of 120 tokens",
    "slow-start": "begins after the time of 200 tokens",
}
_REFUSING_SECONDS = 1  # seconds, in Retry-After
_MIDDLE = 20  # tokens before the fault
_FOR_GOOD = 86_400.0  # seconds: longer than every idle limit


async def before(fault: str, chat: Chat, pace: float) -> None:
    """The fault before the first token, if any. pace: seconds per token. Raises UpstreamError."""
    first = sum(one.model == chat.model for one in chat.trace.tries) <= 1
    if fault == "429" or (fault == "flaky" and first):
        raise UpstreamError(
            "The demo model refuses on request.",
            status=429,
            type="rate_limit_error",
            code="rate_limit_exceeded",
            retry_here=True,
            blames=False,
            wait=_REFUSING_SECONDS,
            headers={"Retry-After": str(_REFUSING_SECONDS)},
        )
    if fault == "slow-start":
        await asyncio.sleep(200 * pace)


async def after(fault: str, tokens: int, pace: float) -> None:
    """The fault after this number of tokens, if any. Raises Truncated."""
    if tokens != _MIDDLE:
        return
    if fault == "cut":
        raise Truncated("The demo model breaks off on request.")
    if fault in ("stall", "pause"):
        await asyncio.sleep(_FOR_GOOD if fault == "stall" else 120 * pace)
