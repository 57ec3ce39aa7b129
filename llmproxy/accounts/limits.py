"""Limits per minute and parallel limits of an account: admission, and the rate-limit headers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, Protocol

from multidict import istr

from llmproxy.core.errors import GatewayError

from . import rate

Unit = Literal["requests", "tokens"]
# As istr, so that they are not converted for each answer.
_HEADERS: tuple[tuple[Unit, istr, istr, istr], ...] = (
    (
        "requests",
        istr("x-ratelimit-limit-requests"),
        istr("x-ratelimit-remaining-requests"),
        istr("x-ratelimit-reset-requests"),
    ),
    (
        "tokens",
        istr("x-ratelimit-limit-tokens"),
        istr("x-ratelimit-remaining-tokens"),
        istr("x-ratelimit-reset-tokens"),
    ),
)
_POLICY, _STATE = istr("RateLimit-Policy"), istr("RateLimit")
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
    """The current state of one account's limits.

    kind: `key` or `group`. share: number of processes that divide the limits among them. requests, tokens: the times at
    which these two buckets are full again. parallel: number of running requests.
    """

    quota: Quota
    kind: str
    share: int = 1
    requests: float = 0.0
    tokens: float = 0.0
    parallel: int = 0

    def limit(self, unit: Unit) -> int | None:
        """The limit per minute of all processes together."""
        return self.quota.rpm if unit == "requests" else self.quota.tpm

    def check(self, now: float, tokens: int) -> None:
        """Raises GatewayError (429) if the request may not begin now."""
        quota, share = self.quota, self.share
        if (most := quota.max_parallel) is not None and self.parallel >= (most // share or 1):
            raise self.refusal("parallel", 1.0, now, self.parallel)
        if (rpm := quota.rpm) is not None and (wait := rate.wait(self.requests, now, rpm / share, 1)) > 0:
            raise self.refusal("requests", wait, now)
        if (tpm := quota.tpm) is not None and (wait := rate.wait(self.tokens, now, tpm / share, tokens)) > 0:
            raise self.refusal("tokens", wait, now)

    def take(self, now: float, tokens: int) -> None:
        """Counts a request that begins, and the tokens that it is expected to use."""
        self.parallel += 1
        if (rpm := self.quota.rpm) is not None:
            self.requests = rate.taken(self.requests, now, rpm / self.share, 1)
        if tokens:
            self.correct(now, tokens)

    def correct(self, now: float, tokens: int) -> None:
        """Adds to the tokens that were counted; a negative number gives some back."""
        if tokens and (tpm := self.quota.tpm) is not None:
            self.tokens = rate.taken(self.tokens, now, tpm / self.share, tokens)

    def refusal(self, unit: str, wait: float, now: float, running: float = 0) -> GatewayError:
        """The error for a request that may not begin (429). wait: seconds. running: number of running requests, for the
        limit of parallel ones."""
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
    """The rate-limit headers: OpenAI's, and the two fields of the IETF's draft. For each unit, they describe the account
    that has the least left."""
    headers: dict[str, str] = {}
    policies = states = comma = ""
    for unit, limit_name, remaining_name, reset_name in _HEADERS:
        least = _least(lives, unit, now)
        if least is None:
            continue
        left, reset, limit = least
        headers[limit_name], policy = _shown_limit(unit, limit)
        headers[remaining_name] = str(left)
        headers[reset_name] = rate.duration(reset)
        policies += comma + policy
        states += f'{comma}"{unit}";r={left};t={math.ceil(reset)}'
        comma = ", "
    if policies:
        headers[_POLICY], headers[_STATE] = policies, states
    return headers


@lru_cache(1024)
def _shown_limit(unit: Unit, limit: float) -> tuple[str, str]:
    """A limit as OpenAI's header and as an entry of the IETF's policy."""
    return str(int(limit)) if limit.is_integer() else f"{limit:g}", f'"{unit}";q={int(limit)};w=60'


def _least(lives: Sequence[Live], unit: Unit, now: float) -> tuple[int, float, float] | None:
    """(left, seconds until the bucket is full, limit of this process) of the account that has the least left."""
    least = None
    for one in lives:
        limit, full_at = (one.quota.rpm, one.requests) if unit == "requests" else (one.quota.tpm, one.tokens)
        if limit is not None:
            per_process = limit / one.share
            left, reset = rate.left(full_at, now, per_process)
            if least is None or left < least[0]:
                least = left, reset, per_process
    return least
