"""Checks for any OpenAI-compatible gateway whose upstream we can be: `python -m llmproxy.testing.conformance URL`."""

from .command import CHECKS, Result, main, run, table

__all__ = ["CHECKS", "Result", "main", "run", "table"]
