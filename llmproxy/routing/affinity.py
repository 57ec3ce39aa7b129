"""Which of several equal members answers a conversation: weighted rendezvous hashing with bounded load. It keeps no state.

Every gateway with the same members comes to the same order, so that the turns of a conversation meet a warm prompt cache
through whichever replica they come. The weights: Schindelhauer and Schomaker, "Weighted Distributed Hash Tables" (2005);
the bound: Mirrokni, Thorup and Zadimoghaddam, "Consistent Hashing with Bounded Loads" (2018).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

SLACK = 1.5  # a member takes so many times its share of what runs
FREE = 8  # requests that a member always takes: of a few, chance alone makes shares uneven


@dataclass(frozen=True, slots=True)
class Member:
    """One of the equals. load: requests that it answers now. down: it is left alone, as it failed."""

    name: str
    weight: float
    load: int = 0
    down: bool = False


def ordered(conversation: bytes, members: Sequence[Member], *, bounded: bool = True) -> list[Member]:
    """All members in the order in which the conversation is to ask them.

    conversation: at most 64 bytes that are the same in each of its turns. bounded: a member that answers more than its
    share gives way to the next; False for a conversation that only the member that answered before understands.
    """
    ranked = sorted(members, key=lambda one: (one.down, distance(conversation, one)))
    if not bounded:
        return ranked
    up = [one for one in ranked if not one.down]
    total, weights = sum(one.load for one in up), sum(one.weight for one in up)
    free = next((one for one in up if one.load < capacity(total, one.weight / weights)), None)
    return ranked if free is None else [free, *(one for one in ranked if one is not free)]


def distance(conversation: bytes, member: Member) -> float:
    """The nearest member is the first choice. Exponentially distributed, so that a weight is a probability."""
    digest = blake2b(member.name.encode("utf-8", "replace"), digest_size=8, key=conversation).digest()
    return -math.log((int.from_bytes(digest) + 0.5) / 2**64) / member.weight


def capacity(total: int, share: float) -> int:
    """How many requests a member may answer at once, where `total` run already and it is to have `share` of them."""
    return max(FREE, math.ceil(SLACK * (total + 1) * share))
