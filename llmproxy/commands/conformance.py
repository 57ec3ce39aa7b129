"""`llmproxy conformance URL`: the test kit's checks against any gateway; all options are the kit's own."""

from __future__ import annotations

import argparse
import importlib
import sys


def main(given: argparse.Namespace) -> int:
    try:
        conformance = importlib.import_module("llmproxy.testing.conformance.__main__")
    except ModuleNotFoundError as error:
        print(f"llmproxy: conformance needs {error.name}, which is not installed here", file=sys.stderr)
        return 1
    return int(conformance.main(given.argv))
