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

    def per_minute(self, unit: Unit) -> float | None:
        limit = self.limit(unit)
        return None if limit is None else limit / self.share

    def full_at(self, unit: Unit) -> float:
        return self.requests if unit == "requests" else self.tokens

    @property
    def limited(self) -> bool:
        return not (self.quota.rpm is None and self.quota.tpm is None and self.quota.max_parallel is None)

    def check(self, now: float, tokens: int) -> None:
        """Raises GatewayError (429) if the request may not begin now."""
        most = self.quota.max_parallel
        if most is not None and self.parallel >= max(1, most // self.share):
            raise self.refusal("parallel", 1.0, now, self.parallel)
        counts: dict[Unit, int] = {"requests": 1, "tokens": tokens}
        for unit, count in counts.items():
            per_minute = self.per_minute(unit)
            if per_minute is not None and (wait := rate.wait(self.full_at(unit), now, per_minute, count)) > 0:
                raise self.refusal(unit, wait, now)

    def take(self, now: float, tokens: int) -> None:
        self.parallel += 1
        if (per_minute := self.per_minute("requests")) is not None:
            self.requests = rate.taken(self.requests, now, per_minute, 1)
        self.correct(now, tokens)

    def correct(self, now: float, tokens: int) -> None:
        """So many tokens more were used, or fewer, than was thought."""
        if tokens and (per_minute := self.per_minute("tokens")) is not None:
            self.tokens = rate.taken(self.tokens, now, per_minute, tokens)

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
    headers: dict[str, str] = {}
    policies, states = [], []
    for unit in ("requests", "tokens"):
        found = [
            (rate.remaining(one.full_at(unit), now, limit), limit, one)
            for one in lives
            if (limit := one.per_minute(unit))
        ]
        if not found:
            continue
        left, limit, one = min(found, key=lambda each: each[0])
        reset = rate.reset(one.full_at(unit), now)
        headers[f"x-ratelimit-limit-{unit}"] = f"{limit:g}"
        headers[f"x-ratelimit-remaining-{unit}"] = str(left)
        headers[f"x-ratelimit-reset-{unit}"] = rate.duration(reset)
        policies.append(f'"{unit}";q={int(limit)};w=60')
        states.append(f'"{unit}";r={left};t={math.ceil(reset)}')
    if policies:
        headers["RateLimit-Policy"], headers["RateLimit"] = ", ".join(policies), ", ".join(states)
    return headers
