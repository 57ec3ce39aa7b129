"""When further requests are refused: an event loop that stays late, or too much memory; not one hiccup."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmproxy.config import Server
from llmproxy.server.middleware.load_shedding import LoadShedding, container_memory

LIMITS = Server(max_lag=1.0, max_memory=1000)


def after(*late: float, memory: int = 0, limits: Server = LIMITS) -> LoadShedding:
    pressure = LoadShedding()
    for one in late:
        pressure.look(one, memory, limits)
    return pressure


@pytest.mark.parametrize("late", [(0.0,), (0.9,) * 10, (5.0,), (5.0, 5.0), (5.0, 5.0, 0.1, 5.0, 5.0)])
def test_now_and_then_the_loop_may_be_late(late: tuple[float, ...]) -> None:
    assert after(*late).refusal == ""


def test_a_loop_that_stays_late_refuses_until_it_has_caught_up() -> None:
    assert after(1.1, 1.2, 1.3).refusal
    assert after(1.1, 1.2, 1.3, 0.2).refusal == ""


def test_too_much_memory_refuses_until_it_is_given_back() -> None:
    pressure = after(0.0, memory=1001)
    assert pressure.refusal
    pressure.look(0.0, 1000, LIMITS)
    assert pressure.refusal == ""


def test_without_limits_nothing_is_refused() -> None:
    assert after(9, 9, 9, memory=1 << 33, limits=Server(max_lag=0, max_memory=1 << 40)).refusal == ""


def test_the_worst_delay_of_the_last_minute_is_told() -> None:
    pressure = after(0.1, 0.7, 0.2)
    assert pressure.lag == 0.7
    for _ in range(120):
        pressure.look(0.0, 0, LIMITS)
    assert pressure.lag == 0.0


@pytest.mark.parametrize(
    ("group", "limit", "found"),
    [("0::/", "1048576\n", 1048576), ("0::/a/b.service\n", "2048\n", 2048), ("0::/", "max\n", None), ("", None, None)],
)
def test_a_containers_memory_is_what_its_group_may_use(
    tmp_path: Path, group: str, limit: str | None, found: int | None
) -> None:
    (tmp_path / "group").write_text(group)
    folder = tmp_path / group.partition("0::/")[2].strip()
    folder.mkdir(parents=True, exist_ok=True)
    if limit is not None:
        (folder / "memory.max").write_text(limit)
    assert container_memory(tmp_path, tmp_path / "group") == found
    assert container_memory(tmp_path / "nowhere", tmp_path / "group") is None


def test_bodies_that_are_still_to_come_are_counted_as_if_they_were_there() -> None:
    megabyte = 1 << 20
    pressure = after(0.0, memory=50 * megabyte, limits=Server(max_memory=100 * megabyte))
    assert not pressure.refuses(16 * megabyte)
    with pressure.expecting(10 * megabyte):
        assert pressure.refuses(16 * megabyte)
        assert not pressure.refuses(1000), "what is small is not worth counting"
    assert not pressure.refuses(16 * megabyte)


def test_where_memory_has_no_limit_bodies_of_any_size_come() -> None:
    assert not after(0.0, memory=1 << 33, limits=Server(max_memory=0)).refuses(1 << 30) or container_memory()
