"""What a plain run does in a smaller way than one with CI=true: fewer random examples, and many cases in one test."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import settings

THOROUGH = bool(os.environ.get("CI") or os.environ.get("LLMPROXY_SOAK"))  # as on a build server
FEWEST = 10  # examples of a property


def examples(count: int, **more: Any) -> settings:
    """So many random examples; in a plain run a fifth of them. None has a deadline: a busy machine is slow, and nothing is
    wrong with what it runs."""
    return settings(max_examples=count if THOROUGH else max(FEWEST, count // 5), deadline=None, **more)


def each(argument: str, cases: Iterable[Any], *, ids: Callable[[Any], str] | None = None) -> Callable[[Any], Any]:
    """A test for hundreds of cases that each take a moment, less than pytest itself needs for a test.

    With CI=true each case is a test of its own. A plain run has one test for all, which goes on after a failure and names all
    cases that failed; they share its fixtures. The parameters are those of `parametrize`.
    """
    chosen = list(cases)
    if THOROUGH or not chosen or any(_parameters(case).marks for case in chosen):
        return pytest.mark.parametrize(argument, chosen, ids=ids)
    return functools.partial(_together, [name.strip() for name in argument.split(",")], chosen, ids or str)


def _together(names: Sequence[str], cases: Sequence[Any], ids: Callable[[Any], str], test: Callable[..., None]) -> Any:
    signature = inspect.signature(test)

    @functools.wraps(test)
    def for_all(**fixtures: Any) -> None:
        failures = dict[str, Exception]()
        for case in cases:
            given = dict(zip(names, _parameters(case, several=len(names) > 1).values, strict=True))
            with suppress(pytest.skip.Exception):
                try:
                    test(**fixtures, **given)
                except Exception as failure:  # noqa: BLE001  # all are raised together
                    failures[_parameters(case).id or ids(case)] = failure
        if failures:
            raise ExceptionGroup(f"{len(failures)} of {len(cases)}: {', '.join(failures)}", list(failures.values()))

    fixtures = [one for name, one in signature.parameters.items() if name not in names]
    for_all.__signature__ = signature.replace(parameters=fixtures)  # type: ignore[attr-defined]
    return for_all


def _parameters(case: Any, *, several: bool = False) -> Any:
    """As `pytest.param` makes them."""
    if isinstance(case, type(pytest.param())):
        return case
    return pytest.param(*case) if several else pytest.param(case)
