"""Selects which of several equal targets answers a conversation: weighted rendezvous hashing with bounded load, without state.

All gateways with the same members compute the same order, so the turns of a conversation find a warm prompt cache through every
replica. The weights: Schindelhauer and Schomaker, "Weighted Distributed Hash Tables" (2005); the bound: Mirrokni, Thorup and
Zadimoghaddam, "Consistent Hashing with Bounded Loads" (2018).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

SLACK = 1.5  # a member may have this many times its share of the running requests
FREE = 8  # requests that a member always accepts: with few requests, shares are uneven by chance


@dataclass(frozen=True, slots=True)
class Member:
    """One of the equal targets. load: its running requests. down: its circuit breaker is open."""

    name: str
    weight: float
    load: int = 0
    down: bool = False


def ordered(conversation: bytes, members: Sequence[Member], *, bounded: bool = True) -> list[Member]:
    """All members in the order in which they are asked for this conversation.

    conversation: at most 64 bytes that are the same in each of its turns. bounded: a member with more than its share of load
    comes after the next one; False for a conversation that only the previous member understands.
    """
    ranked = sorted(members, key=lambda one: (one.down, distance(conversation, one)))
    if not bounded:
        return ranked
    up = [one for one in ranked if not one.down]
    total, weights = sum(one.load for one in up), sum(one.weight for one in up)
    free = next((one for one in up if one.load < capacity(total, one.weight / weights)), None)
    return ranked if free is None else [free, *(one for one in ranked if one is not free)]


def distance(conversation: bytes, member: Member) -> float:
    """The member with the smallest distance is the first choice. Exponentially distributed, so that a weight is a probability."""
    digest = blake2b(member.name.encode("utf-8", "replace"), digest_size=8, key=conversation).digest()
    return -math.log((int.from_bytes(digest) + 0.5) / 2**64) / member.weight


def capacity(total: int, share: float) -> int:
    """How many requests a member may answer at once, if `total` are running and its share is `share`."""
    return max(FREE, math.ceil(SLACK * (total + 1) * share))
