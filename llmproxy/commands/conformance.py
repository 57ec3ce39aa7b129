"""`llmproxy conformance URL`: whether what answers there behaves like OpenAI's API."""

from __future__ import annotations

import argparse
import importlib
import sys


def main(given: argparse.Namespace) -> int:
    try:
        conformance = importlib.import_module("llmproxy.testing.conformance")
    except ModuleNotFoundError as error:
        print(f"llmproxy: conformance needs {error.name}, which is not installed here", file=sys.stderr)
        return 1
    return int(conformance.main([given.url]))
