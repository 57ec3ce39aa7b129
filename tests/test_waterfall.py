"""The waterfall in the terminal: each part of a bar where its time was."""

from __future__ import annotations

from typing import Any

from llmproxy.commands.waterfall import WIDTH, waterfall


def attempt(**members: Any) -> dict[str, Any]:
    return {
        "number": 1, "why": "first", "provider": "p", "model": "m", "state": "answered", "code": None, "status": 200,
        "start_ms": 0.0, "sent_ms": None, "headers_ms": None, "first_frame_ms": None, "end_ms": 1000.0, "gaps": None,
        **members,
    }  # fmt: skip


def told(*attempts: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {
        "id": "some-id", "model": "p/m", "state": "completed", "by": None, "code": None, "now_ms": 1000.0,
        "bytes": {"in": 100, "out": 5000}, "waits": [], "attempts": list(attempts), "attempts_left_out": 0, "stop": None,
        **members,
    }  # fmt: skip


def bars(text: str) -> list[str]:
    return [line.split("|")[1] for line in text.splitlines() if line.count("|") == 2]


def test_the_parts_of_an_attempt_follow_each_other() -> None:
    [bar] = bars(waterfall(told(attempt(sent_ms=200.0, headers_ms=400.0, first_frame_ms=600.0))))
    width = len(bar)
    assert bar == "".join(sorted(bar, key="-.=#".index))
    for sign, share in (("-", 0.2), (".", 0.2), ("=", 0.2), ("#", 0.4)):
        assert abs(bar.count(sign) - share * width) <= 1


def test_a_silence_is_seen_in_the_bar() -> None:
    gaps = {"count": 1, "ms": 500.0, "longest": [{"start_ms": 250.0, "ms": 500.0}]}
    [bar] = bars(waterfall(told(attempt(first_frame_ms=0.0, gaps=gaps))))
    assert bar.strip("#").strip("~") == ""
    assert abs(bar.count("~") - len(bar) / 2) <= 1


def test_rows_are_in_the_order_of_their_beginnings() -> None:
    wait = {"kind": "backoff", "start_ms": 100.0, "end_ms": 300.0, "code": "429"}
    failed = attempt(state="failed", status=429, end_ms=100.0)
    again = attempt(number=2, why="retry", start_ms=300.0)
    lines = [line for line in waterfall(told(failed, again, waits=[wait])).splitlines() if line.count("|") == 2]
    assert [line.split()[0] for line in lines] == ["1", "backoff", "2"]
    assert lines[0].endswith("100 ms 429")


def test_what_a_stop_saved_is_a_bound_or_said_to_be_unknown() -> None:
    stop = {
        "by": "api", "at_ms": 500.0, "closed_ms": 1.25, "asked_provider": True, "tokens_not_written_at_most": 900,
        "estimated": True, "cost_not_spent_at_most": 0.0018,
    }  # fmt: skip
    text = waterfall(told(attempt(state="stopped"), stop=stop))
    assert "closed 1.2 ms later" in text
    assert "up to 900 tokens not written, 0.001800 dollars" in text
    unknown = {**stop, "tokens_not_written_at_most": None, "cost_not_spent_at_most": None}
    assert "unknown" in waterfall(told(attempt(), stop=unknown))


def test_long_and_hostile_names_stay_in_their_column() -> None:
    text = waterfall(told(attempt(model="\x1b[31m" + "m" * 500), id="i" * 300, attempts_left_out=3))
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "\x1b" not in text
    assert "3 more attempts" in text
