"""Wrong keys by address: a few are forgiven, many are not, and each address stands for itself."""

from __future__ import annotations

from llmproxy.server.middleware.auth_throttle import MOST, WINDOW, AuthThrottle


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_few_are_nothing() -> None:
    guesses = AuthThrottle(Clock())
    assert [guesses.wrong("a") for _ in range(MOST)] == [0.0] * MOST


def test_more_are_too_many_until_the_time_is_over() -> None:
    clock = Clock()
    guesses = AuthThrottle(clock)
    for _ in range(MOST):
        guesses.wrong("a")
    clock.now += 10
    assert guesses.wrong("a") == WINDOW - 10
    clock.now += WINDOW - 10
    assert guesses.wrong("a") == 0.0


def test_another_address_is_not_to_blame() -> None:
    guesses = AuthThrottle(Clock())
    for _ in range(MOST + 1):
        guesses.wrong("a")
    assert guesses.wrong("b") == 0.0


def test_addresses_without_end_take_no_memory_without_end() -> None:
    guesses = AuthThrottle(Clock())
    for number in range(10_000):
        guesses.wrong(str(number))
    assert len(guesses._counts) < 5000
