"""`llmproxy conformance URL`: runs the conformance checks of `llmproxy.testing` against any gateway."""

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
