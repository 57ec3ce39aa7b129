"""Kept answers: within their size, for their time, the ones that were used last."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from llmproxy.requests.answer_cache import Answer, AnswerCache
from tests.core.kit import thorough

KEYS = st.binary(min_size=1, max_size=1)
STEPS = st.lists(
    st.tuples(st.sampled_from(["keep", "find"]), KEYS, st.integers(0, 5000), st.floats(0, 20)), max_size=40
)


def answer(size: int) -> Answer:
    return Answer((b"x" * size,), "application/json", "p", "m")


@thorough
@given(STEPS)
def test_it_is_never_larger_than_it_may_be_and_gives_nothing_old(steps: list[tuple[str, bytes, int, float]]) -> None:
    cache = AnswerCache(most=10_000, seconds=30)
    kept: dict[bytes, tuple[float, Answer]] = {}
    now = 0.0
    for what, key, size, later in steps:
        now += later
        if what == "keep":
            kept[key] = (now, answer(size))
            cache.keep(key, kept[key][1], now)
        elif (found := cache.find(key, now)) is not None:
            assert found is kept[key][1]
            assert now - kept[key][0] < 30
        assert cache.size <= 10_000
    assert cache.size == sum(one.size for _, one in cache._kept.values())


def test_what_was_used_last_stays() -> None:
    cache = AnswerCache(most=7000, seconds=30)
    for key in (b"1", b"2", b"3"):
        cache.keep(key, answer(1000), 0)
    assert cache.find(b"1", 1) is not None
    cache.keep(b"4", answer(1000), 2)
    assert [cache.find(key, 3) is not None for key in (b"1", b"2", b"3", b"4")] == [True, False, True, True]


def test_an_answer_is_there_until_its_time_is_over() -> None:
    cache = AnswerCache(most=10_000, seconds=30)
    cache.keep(b"1", answer(1), 0)
    assert cache.find(b"1", 29.9) is not None
    assert cache.find(b"1", 30) is None
    assert (len(cache), cache.size) == (0, 0)


def test_nothing_is_kept_for_no_time_or_in_no_room() -> None:
    for cache in (AnswerCache(most=10_000, seconds=0), AnswerCache(most=0, seconds=30)):
        cache.keep(b"1", answer(1), 0)
        assert cache.find(b"1", 0) is None


def test_less_room_lets_go_of_the_oldest_at_once() -> None:
    cache = AnswerCache(most=10_000, seconds=30)
    cache.keep(b"1", answer(2000), 0)
    cache.keep(b"2", answer(2000), 0)
    cache.configure(most=4000, seconds=30)
    assert [cache.find(key, 1) is not None for key in (b"1", b"2")] == [False, True]
