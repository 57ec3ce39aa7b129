"""Log lines for people show control characters as escapes."""

from __future__ import annotations

import io

import pytest

from llmproxy.config import Logs
from llmproxy.observe.log import Log


@pytest.mark.parametrize("name", ["\x1b[2J", "a\rb", "\x9b31m", "tab\there"])
def test_a_name_that_a_client_made_up_does_not_steer_the_terminal(name: str) -> None:
    taken = io.BytesIO()
    log = Log()
    log.configure(Logs(format="text"), io.TextIOWrapper(taken, write_through=True))
    log.warning("example", model=name)
    text = taken.getvalue().decode()
    assert "example" in text
    assert all(one.isprintable() or one == "\n" for one in text)
