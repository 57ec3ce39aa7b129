"""`llmproxy trace ID`: the flight record of a request, as a timeline in the terminal."""

from __future__ import annotations

import argparse
import json
import sys
from urllib.parse import quote

from llmproxy.config import reach

from . import gateway_calls
from .waterfall import waterfall


def main(given: argparse.Namespace) -> int:
    place = reach(given.base_url)
    try:
        trace = gateway_calls.get(place, f"/requests/{quote(given.id, safe='')}/trace")
    except gateway_calls.FAILURES as error:
        print(f"llmproxy: {gateway_calls.explained(place, error)}", file=sys.stderr)
        return 1
    print(json.dumps(trace, indent=2) if given.json else waterfall(trace))
    return 0
