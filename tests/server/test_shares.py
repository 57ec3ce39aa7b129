"""Equal shares of keys under a shortage: a key that asks for little is let through, whatever the others ask for."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from llmproxy.server.middleware.shares import Places, RecentRequests, is_below

OWNERS = st.sampled_from("abcd")
ARRIVALS = st.lists(st.tuples(OWNERS, st.floats(0, 3)), max_size=60)  # key, and seconds after the one before


@given(st.dictionaries(OWNERS, st.integers(1, 50), min_size=2))
def test_among_several_keys_the_one_that_has_most_is_never_below_its_share_and_one_that_has_nothing_always_is(
    held: dict[str, int],
) -> None:
    total = sum(held.values())
    below = {owner for owner, own in held.items() if is_below(own, len(held), total)}
    assert max(held, key=held.__getitem__) not in below
    assert {owner for owner, own in held.items() if own * len(held) < total} == below
    assert is_below(0, len(held), total)


def test_a_key_that_is_alone_leaves_the_rest_to_keys_that_may_come() -> None:
    assert not is_below(1, 1, 1)
    assert not is_below(900, 1, 900)


@given(st.lists(st.tuples(OWNERS, st.sampled_from(["begin", "end", "look"])), max_size=60))
def test_a_key_is_never_believed_to_hold_fewer_places_than_it_does(steps: list[tuple[str, str]]) -> None:
    true: Counter[str] = Counter()
    places = Places(lambda: Counter(+true))
    for number, (owner, step) in enumerate(steps):
        now = number * 0.01
        places.is_below(owner, true.total(), now)
        if step == "begin":
            true[owner] += 1
            places.add(owner)
        elif step == "end" and true[owner]:
            true[owner] -= 1
        assert places.held(owner) >= true[owner]


def test_places_are_counted_a_few_times_a_second_however_often_they_are_asked_for() -> None:
    counts = 0

    def count() -> Counter[str]:
        nonlocal counts
        counts += 1
        return Counter(a=900)

    places = Places(count)
    for step in range(10_000):
        assert not places.is_below("a", 900, step / 10_000)
    assert counts <= 21


@given(ARRIVALS)
def test_recent_requests_are_those_of_the_last_seconds(arrivals: list[tuple[str, float]]) -> None:
    recent, now = RecentRequests(), 0.0
    for owner, pause in arrivals:
        now += pause
        recent.add(owner, now)
        assert recent._total == sum(recent._counts.values())
    for _ in range(2):
        now += 30.0
        recent.add("z", now)
    assert set(recent._counts) == {"z"}


def test_a_thousand_keys_are_counted_and_not_more() -> None:
    recent = RecentRequests()
    for number in range(5000):
        recent.add(f"key {number}", 0.0)
        recent.add("heavy", 0.0)
    assert len(recent) <= 1000
    recent.add("another", 0.0)
    assert recent.is_below("another")
    recent.add("heavy", 0.0)
    assert not recent.is_below("heavy")


def test_while_one_key_floods_others_that_ask_now_and_then_are_let_through() -> None:
    """A key floods with 1,000 requests a second, ten others ask 20 times a second each, at random moments."""
    dice = random.Random(1)
    rates = {"flood": 1000.0, **{f"quiet {number}": 20.0 for number in range(10)}}
    moments = []
    for owner, rate in rates.items():
        now = 0.0
        while (now := now + dice.expovariate(rate)) < 20.0:
            moments.append((now, owner))
    recent, asked, passed = RecentRequests(), Counter[str](), Counter[str]()
    for now, owner in sorted(moments):
        recent.add(owner, now)
        asked[owner] += 1
        passed[owner] += recent.is_below(owner)
    assert passed["flood"] <= 20
    assert all(passed[owner] == asked[owner] for owner in rates if owner != "flood")
