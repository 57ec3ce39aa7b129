"""Limits per minute and parallel limits of an account: admission, and the rate-limit headers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from llmproxy.core.errors import GatewayError

from . import rate

Unit = Literal["requests", "tokens"]
_LONGEST = 120  # seconds: official SDKs do not wait longer for their next try


class Quota(Protocol):
    """A key or a group."""

    @property
    def name(self) -> str: ...
    @property
    def rpm(self) -> int | None: ...
    @property
    def tpm(self) -> int | None: ...
    @property
    def max_parallel(self) -> int | None: ...


@dataclass(slots=True, eq=False)
class Live:
    """One account as it is used now. `requests` and `tokens` are when their buckets are full again."""

    quota: Quota
    kind: str  # key or group
    share: int = 1  # processes that divide the limits among them
    requests: float = 0.0
    tokens: float = 0.0
    parallel: int = 0

    def limit(self, unit: Unit) -> int | None:
        """A minute, of all processes."""
        return self.quota.rpm if unit == "requests" else self.quota.tpm

    def buckets(self) -> list[tuple[Unit, float, float]]:
        """What is limited, how much of it a minute, and when its bucket is full again."""
        found: list[tuple[Unit, float, float]] = []
        if (rpm := self.quota.rpm) is not None:
            found.append(("requests", rpm / self.share, self.requests))
        if (tpm := self.quota.tpm) is not None:
            found.append(("tokens", tpm / self.share, self.tokens))
        return found

    @property
    def limited(self) -> bool:
        return not (self.quota.rpm is None and self.quota.tpm is None and self.quota.max_parallel is None)

    def check(self, now: float, tokens: int) -> None:
        """Raises GatewayError (429) if the request may not begin now."""
        most = self.quota.max_parallel
        if most is not None and self.parallel >= max(1, most // self.share):
            raise self.refusal("parallel", 1.0, now, self.parallel)
        for unit, per_minute, full_at in self.buckets():
            wait = rate.wait(full_at, now, per_minute, tokens if unit == "tokens" else 1)
            if wait > 0:
                raise self.refusal(unit, wait, now)

    def take(self, now: float, tokens: int) -> None:
        self.parallel += 1
        if (rpm := self.quota.rpm) is not None:
            self.requests = rate.taken(self.requests, now, rpm / self.share, 1)
        self.correct(now, tokens)

    def correct(self, now: float, tokens: int) -> None:
        """So many tokens more were used, or fewer, than was thought."""
        if tokens and (tpm := self.quota.tpm) is not None:
            self.tokens = rate.taken(self.tokens, now, tpm / self.share, tokens)

    def refusal(self, unit: str, wait: float, now: float, running: float = 0) -> GatewayError:
        """Why a request may not begin: 429. running: how many there are, where that is the reason."""
        limit = self.quota.rpm if unit == "requests" else self.quota.tpm
        what = f"may use {limit} {unit} a minute, which are used up"
        if unit == "parallel":
            what = f"has {running:g} requests running, and may have no more"
        headers = {
            **shown([self], now),
            "Retry-After": str(math.ceil(wait)),
            "retry-after-ms": str(math.ceil(wait * 1000)),
        }
        if wait > _LONGEST:
            headers["x-should-retry"] = "false"
        return GatewayError(
            f"The {self.kind} {self.quota.name!r} {what}. Try again in {rate.duration(wait)}.",
            status=429,
            type=unit,
            code="rate_limit_exceeded",
            headers=headers,
        )


def shown(lives: Sequence[Live], now: float) -> dict[str, str]:
    """OpenAI's headers, and the two fields of the IETF's draft: of whichever account has least left."""
    least: dict[Unit, tuple[int, float, float]] = {}
    for one in lives:
        for unit, limit, full_at in one.buckets():
            left = rate.remaining(full_at, now, limit)
            if unit not in least or left < least[unit][0]:
                least[unit] = left, limit, full_at
    headers: dict[str, str] = {}
    policies, states = [], []
    for unit in sorted(least):  # requests before tokens
        left, limit, full_at = least[unit]
        reset = rate.reset(full_at, now)
        headers[f"x-ratelimit-limit-{unit}"] = f"{limit:g}"
        headers[f"x-ratelimit-remaining-{unit}"] = str(left)
        headers[f"x-ratelimit-reset-{unit}"] = rate.duration(reset)
        policies.append(f'"{unit}";q={int(limit)};w=60')
        states.append(f'"{unit}";r={left};t={math.ceil(reset)}')
    if policies:
        headers["RateLimit-Policy"], headers["RateLimit"] = ", ".join(policies), ", ".join(states)
    return headers
