"""Which of several equals has a conversation: only by its beginning, by weight, and within the bound."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from llmproxy.routing.affinity import FREE, SLACK, Member, capacity, ordered
from tests.core.kit import lean, thorough

CONVERSATIONS = st.binary(min_size=16, max_size=16)
NAMES = st.lists(st.text("abcdefg/", min_size=1, max_size=6), min_size=2, max_size=8, unique=True)
WEIGHTS = st.floats(0.1, 50, allow_nan=False)


@st.composite
def members(draw: st.DrawFn) -> list[Member]:
    return [Member(name, draw(WEIGHTS)) for name in draw(NAMES)]


def numbered(count: int) -> list[bytes]:
    return [number.to_bytes(16) for number in range(count)]


def first(conversation: bytes, of: Sequence[Member]) -> str:
    return ordered(conversation, of)[0].name


@thorough
@given(CONVERSATIONS, members(), st.data())
def test_the_order_is_the_same_however_the_members_are_written(
    conversation: bytes, of: list[Member], data: st.DataObject
) -> None:
    assert ordered(conversation, of) == ordered(conversation, data.draw(st.permutations(of)))


@thorough
@given(CONVERSATIONS, members(), st.data())
def test_without_a_member_the_others_keep_their_order(
    conversation: bytes, of: list[Member], data: st.DataObject
) -> None:
    """So only the conversations of that member move, and each to the next of its own order."""
    gone = data.draw(st.sampled_from(of))
    left = [one for one in ordered(conversation, of) if one is not gone]
    assert ordered(conversation, [one for one in of if one is not gone]) == left


def test_weights_hold_in_distribution() -> None:
    of = [Member("a", 1), Member("b", 6), Member("c", 3)]
    counted = Counter(first(one, of) for one in numbered(10_000))
    assert 900 < counted["a"] < 1100
    assert 5850 < counted["b"] < 6150
    assert 2850 < counted["c"] < 3150


def test_the_conversations_of_one_that_is_gone_are_shared_by_weight() -> None:
    of = [Member("a", 1), Member("b", 6), Member("c", 3)]
    moved = [one for one in numbered(10_000) if first(one, of) == "b"]
    counted = Counter(first(one, [of[0], of[2]]) for one in moved)
    assert 0.70 < counted["c"] / len(moved) < 0.80


def test_a_heavier_weight_only_draws_conversations_to_it() -> None:
    light, heavy = [Member("a", 1), Member("b", 1)], [Member("a", 1), Member("b", 2)]
    assert all(first(one, heavy) == "b" for one in numbered(1000) if first(one, light) == "b")


@lean
@given(members(), st.integers(0, 400))
def test_no_member_ever_answers_more_than_its_bound(of: list[Member], count: int) -> None:
    loads: Counter[str] = Counter()
    weights = sum(one.weight for one in of)
    for running, conversation in enumerate(numbered(count)):
        now = [Member(one.name, one.weight, loads[one.name]) for one in of]
        taken = ordered(conversation, now)[0]
        loads[taken.name] += 1
        assert loads[taken.name] <= capacity(running, taken.weight / weights)


def test_who_is_full_gives_way_to_the_next_of_the_order_and_stays_the_second_choice() -> None:
    empty = [Member(name, 1) for name in "abc"]
    home, next_one, last = ordered(b"conversation", empty)
    full = [Member(one.name, 1, 100 if one is home else 10) for one in empty]
    assert [one.name for one in ordered(b"conversation", full)] == [next_one.name, home.name, last.name]


def test_a_few_requests_never_move_a_conversation() -> None:
    empty = [Member(name, 1) for name in "abc"]
    home = first(b"conversation", empty)
    crowded = [Member(one.name, 1, FREE - 1 if one.name == home else 0) for one in empty]
    assert first(b"conversation", crowded) == home


def test_what_is_bound_to_its_member_does_not_give_way() -> None:
    empty = [Member(name, 1) for name in "abc"]
    home = first(b"conversation", empty)
    full = [Member(one.name, 1, 1000 if one.name == home else 0) for one in empty]
    assert ordered(b"conversation", full, bounded=False)[0].name == home
    assert ordered(b"conversation", full)[0].name != home


def test_who_is_down_comes_last_and_takes_no_part_in_the_shares() -> None:
    of = [Member("a", 1, load=0, down=True), Member("b", 1, load=12), Member("c", 1, load=12)]
    for conversation in numbered(200):
        order = [one.name for one in ordered(conversation, of)]
        assert order[2] == "a"
        assert order[:2] == [one.name for one in ordered(conversation, of[1:])]
    assert capacity(24, 1 / 2) > 12 >= SLACK * 24 / 3


def test_all_of_them_down_are_still_asked() -> None:
    assert {one.name for one in ordered(b"x", [Member("a", 1, down=True), Member("b", 1, down=True)])} == {"a", "b"}
