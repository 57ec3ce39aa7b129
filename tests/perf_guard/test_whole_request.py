"""What one small JSON request costs the event loop's thread, from socket to socket: calls, against bounds that were measured."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path

from .whole_request import SECRET

ROOT = Path(__file__).parents[2]
KEY = f"""
[[server.keys]]
name = "limited"
secret = "{SECRET}"
rpm = 1000000
tpm = 1000000000
max_parallel = 1000
"""

BUDGET = f"""{KEY}budget = "100000/month"
[prices]
"there/*" = {{ input = 1, output = 2 }}
"""


OTHER = f"""{KEY}
[[server.keys]]
name = "other"
secret = "{SECRET}-of-another-key"
"""


@functools.cache
def calls_of(toml: str = "", status: int = 200) -> float:
    command = [sys.executable, "-m", "tests.perf_guard.whole_request", toml, str(status)]
    environment = {**os.environ, "LLMPROXY_DISCOVER": "0", "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=True)
    return float(ended.stdout)


def test_a_small_request_takes_no_more_calls_than_it_took() -> None:
    assert calls_of() <= 585  # 564 to 573 measured


def test_a_key_with_limits_takes_a_bounded_number_more() -> None:
    assert calls_of(KEY) <= calls_of() + 82  # 56 to 72 measured


def test_a_budget_takes_a_bounded_number_of_calls_more() -> None:
    assert calls_of(BUDGET) <= calls_of(KEY) + 98  # 73 to 88 measured


def test_a_refusal_for_want_of_places_takes_a_third_of_the_calls_of_an_answer() -> None:
    assert calls_of(OTHER, 503) <= 232  # 212 measured, 650 to 700 for the answer
