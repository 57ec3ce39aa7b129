"""Log lines for people: control characters are escaped, a request is one short line."""

from __future__ import annotations

import io

import pytest

from llmproxy.config import Logs
from llmproxy.observe.log import Log
from llmproxy.observe.request_log import short


@pytest.mark.parametrize("name", ["\x1b[2J", "a\rb", "\x9b31m", "tab\there"])
def test_a_name_that_a_client_made_up_does_not_steer_the_terminal(name: str) -> None:
    taken = io.BytesIO()
    log = Log()
    log.configure(Logs(format="text"), io.TextIOWrapper(taken, write_through=True))
    log.warning("example", model=name)
    text = taken.getvalue().decode()
    assert "example" in text
    assert all(one.isprintable() or one == "\n" for one in text)


LINE = {
    "id": "WAEfN9HHcgJM1f1benB_EYRN", "model": "fast", "provider": "openai", "provider_model": "gpt-4o-mini", "status": 200,
    "attempts": 1, "ttft_ms": 312.4, "duration_ms": 2150.2, "tokens_in": 1200, "tokens_out": 300,
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "200 fast -> openai/gpt-4o-mini 2150 ms (first 312) 1200+300 tok WAEfN9HHcgJM1f1benB_EYRN"),
        (
            {"model": "demo/hello", "provider": "demo", "provider_model": "hello", "estimated": True},
            "200 demo/hello 2150 ms (first 312) ~1200+300 tok WAEfN9HHcgJM1f1benB_EYRN",
        ),
        (
            {
                "status": 502,
                "ttft_ms": None,
                "tokens_in": None,
                "tokens_out": None,
                "attempts": 3,
                "code": "upstream_dns",
            },
            "502 fast -> openai/gpt-4o-mini 2150 ms 3 attempts upstream_dns WAEfN9HHcgJM1f1benB_EYRN",
        ),
    ],
)
def test_a_request_is_one_short_line_for_people(changes: dict[str, object], line: str) -> None:
    assert short({**LINE, **changes}) == line


def test_a_long_name_is_cut_so_that_the_line_fits_and_the_id_does_not_suffer() -> None:
    line = short({**LINE, "model": "a" * 200})
    assert len(line) == 91
    assert line.endswith(str(LINE["id"]))


def test_on_a_terminal_a_request_is_that_line_and_no_pairs() -> None:
    taken = io.BytesIO()
    log = Log()
    log.configure(Logs(format="text"), io.TextIOWrapper(taken, write_through=True))
    log.info("request", **LINE)
    log.send()
    [line] = taken.getvalue().decode().splitlines()
    assert line[9:] == short(LINE)


class Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("variable", "coloured"), [("", True), ("1", False)])
def test_no_colour_is_used_where_no_color_is_set(
    monkeypatch: pytest.MonkeyPatch, variable: str, coloured: bool
) -> None:
    monkeypatch.setenv("NO_COLOR", variable)
    taken = io.BytesIO()
    log = Log()
    log.configure(Logs(format="text"), Terminal(taken, write_through=True))
    log.warning("example", model="fast")
    assert (b"\x1b[" in taken.getvalue()) is coloured
