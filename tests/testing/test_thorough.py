"""Many cases in one test: each is looked at, and those that failed are named."""

from __future__ import annotations

import inspect

import pytest

from tests import thorough

CASES = [1, 2, pytest.param(3, id="three"), 4]


def test_all_cases_are_looked_at_and_those_that_failed_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thorough, "THOROUGH", False)
    seen = []

    @thorough.each("case", CASES)
    def odd_ones_fail(fixture: str, case: int) -> None:
        seen.append((fixture, case))
        if case == 4:
            pytest.skip("not this one")
        assert case % 2 == 0

    assert list(inspect.signature(odd_ones_fail).parameters) == ["fixture"]
    with pytest.raises(ExceptionGroup, match=r"^2 of 4: 1, three") as caught:
        odd_ones_fail(fixture="shared")
    assert len(caught.value.exceptions) == 2
    assert seen == [("shared", 1), ("shared", 2), ("shared", 3), ("shared", 4)]


def test_on_a_build_server_each_case_is_a_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thorough, "THOROUGH", True)
    made = thorough.each("case", CASES)
    assert isinstance(made, pytest.MarkDecorator)
    assert made.args == ("case", CASES)


def test_a_build_server_looks_at_all_examples_and_a_plain_run_at_a_fifth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thorough, "THOROUGH", True)
    assert thorough.examples(600).max_examples == 600
    monkeypatch.setattr(thorough, "THOROUGH", False)
    assert (thorough.examples(600).max_examples, thorough.examples(20).max_examples) == (120, 10)
