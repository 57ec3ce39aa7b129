"""Stress test of a budget for any gateway: many clients at once, with a far higher max_tokens than they use; some disconnect or
are cut.

The test provider counts what it serves. The gateway must have a key with a budget of `limit` dollars, and a price of `rate`
dollars per million output tokens and 0 for input.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from ..connection import Behaviour, Exchange
from ..provider import JSON_TYPE, SSE_TYPE, FakeProvider
from ..samples import as_bytes, chunk, completion, sse

CLIENTS = 200
DECLARED = 32_000  # max_tokens
SERVED = 300  # tokens of an answer, on average
LEAVE, CUT = 0.2, 0.05  # share of requests whose client disconnects, and whose provider breaks off
SLICE = 32  # tokens of two frames that are on the way when a stream breaks: billed, but not received
ENOUGH = 0.98  # share of the limit that must be spent before the first refusal
QUIET = 3  # rounds with refusals only, after which the budget counts as used up
_PIECE = 16  # tokens of one frame, of four bytes each
_MOST = 20_000  # maximum number of requests
_PACE = 0.02  # seconds between two frames


@dataclass(slots=True)
class Bill:
    """What the provider has served. served: output tokens. open: running streams."""

    served: int = 0
    open: int = 0
    most_open: int = 0
    broken: int = 0  # streams that did not reach their end, for any reason


@dataclass(slots=True)
class Outcome:
    limit: float
    rate: float
    answered: int = 0
    ended: int = 0  # streams ended by the gateway because the budget was used up
    refused: int = 0
    other: int = 0
    first_refusal: float | None = None  # share of the limit that was served at the first refusal
    slack: int = 0  # tokens by which the limit may be exceeded
    bill: Bill = field(default_factory=Bill)

    @property
    def spent(self) -> float:
        return self.bill.served * self.rate / 1e6

    @property
    def checks(self) -> list[tuple[str, bool, str]]:
        """The results: (requirement, passed, what was seen)."""
        over = self.spent - self.limit
        allowed = self.slack * self.rate / 1e6
        early = self.first_refusal
        return [
            ("overspend: at most two frames of each stream that was broken off", over <= allowed,
             f"{max(over, 0):.4f} $ of {self.limit:g} $, allowed {allowed:.4f} $"),
            (f"no refusal before {ENOUGH:.0%} is spent", early is None or early >= ENOUGH,
             "never refused" if early is None else f"first at {early:.1%}"),
            ("the budget can be used up", self.spent >= ENOUGH * self.limit, f"{self.spent / self.limit:.1%} of it spent"),
            ("afterwards it refuses", self.refused >= QUIET, f"{self.refused} refusals, {self.ended} streams ended"),
            ("nothing else went wrong", self.other == 0, f"{self.other} other answers"),
        ]  # fmt: skip


async def torture(url: str, port: int, model: str, key: str, limit: float, rate: float, seed: int = 1) -> Outcome:
    """Runs rounds of 200 clients at once until all are refused."""
    outcome = Outcome(limit, rate)
    dice = random.Random(seed)
    clients = aiohttp.TCPConnector(limit=0)
    async with (
        FakeProvider(port, models=[model.rpartition("/")[2]]) as provider,
        aiohttp.ClientSession(connector=clients, read_bufsize=2**20) as session,
    ):
        provider.route = lambda asked: _served(asked, outcome.bill, dice) if asked.method == "POST" else None
        quiet = asked = 0
        while quiet < QUIET and asked < _MOST:
            before = outcome.bill.served
            await asyncio.gather(*(_client(session, url, model, key, outcome, dice.random()) for _ in range(CLIENTS)))
            asked += CLIENTS
            quiet = quiet + 1 if outcome.bill.served == before else 0
        await asyncio.sleep(0.2)
    outcome.slack = SLICE * max(outcome.bill.broken, outcome.bill.most_open)
    return outcome


class _Billed(Sequence[bytes]):
    """Frames that are counted when they are written."""

    def __init__(self, frames: list[bytes], bill: Bill, *, cut: bool = False) -> None:
        self._frames = frames
        self._bill = bill
        self._cut = cut
        self.left = len(frames)

    def __iter__(self) -> Iterator[bytes]:
        bill = self._bill
        bill.open += 1
        bill.most_open = max(bill.open, bill.most_open)
        try:
            for frame in self._frames:
                yield frame
                bill.served += _PIECE  # after the frame was written
                self.left -= 1
        finally:
            bill.open -= 1
            bill.broken += self.left > 0 or self._cut

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index: Any) -> Any:
        return self._frames[index]


def _served(asked: Exchange, bill: Bill, dice: random.Random) -> Behaviour:
    """An answer of about 300 tokens; 5 % are cut off. The last event costs nothing."""
    count = max(1, int(dice.gauss(SERVED, SERVED / 5)) // _PIECE)
    usage = {"prompt_tokens": 10, "completion_tokens": count * _PIECE, "total_tokens": 10 + count * _PIECE}
    if not asked.json.get("stream"):
        bill.served += count * _PIECE
        return Behaviour(
            [as_bytes(completion("tok " * _PIECE * count, usage=usage))], headers=JSON_TYPE, framing="length"
        )
    frames = [sse(chunk({"content": "tok " * _PIECE}), done=False) for _ in range(count)]
    if dice.random() < CUT:
        cut = frames[: dice.randrange(1, count + 1)]
        return Behaviour(_Billed(cut, bill, cut=True), headers=SSE_TYPE, every=_PACE, ending="rst")
    frames[-1] += sse(chunk({}, finish="stop"), {**chunk({}), "choices": [], "usage": usage})
    return Behaviour(_Billed(frames, bill), headers=SSE_TYPE, every=_PACE)


async def _client(
    session: aiohttp.ClientSession, url: str, model: str, key: str, outcome: Outcome, fate: float
) -> None:
    """One request. fate: random number from 0 to 1; below LEAVE the client disconnects after the first block."""
    body = {
        "model": model, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": DECLARED, "stream": True,
        "stream_options": {"include_usage": True},
    }  # fmt: skip
    headers = {"Authorization": f"Bearer {key}"}
    try:
        async with session.post(f"{url}/v1/chat/completions", json=body, headers=headers) as response:
            if response.status != 200:
                _count_refusal(outcome, response.status, await response.read())
            elif fate < LEAVE:
                await response.content.readany()
                outcome.answered += 1
            else:
                _count_end(outcome, await response.read())
    except aiohttp.ClientError:
        outcome.answered += 1  # the gateway passed on the cut


def _count_refusal(outcome: Outcome, status: int, body: bytes) -> None:
    """Gateways refuse in different ways: LiteLLM with a 400 that mentions the budget."""
    if status in (402, 403, 429) or b"budget" in body.lower():
        outcome.refused += 1
        _note_refusal(outcome)
    else:
        outcome.other += 1


def _count_end(outcome: Outcome, body: bytes) -> None:
    if b'"insufficient_quota"' in body or b"budget" in body.lower():
        outcome.ended += 1
        _note_refusal(outcome)
    else:
        outcome.answered += 1


def _note_refusal(outcome: Outcome) -> None:
    if outcome.first_refusal is None:
        outcome.first_refusal = outcome.spent / outcome.limit
