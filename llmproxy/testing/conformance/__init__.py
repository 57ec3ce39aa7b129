"""Conformance checks for any OpenAI-compatible gateway: `python -m llmproxy.testing.conformance URL`. command.py runs them."""

from .command import CHECKS, Result, main, run, table

__all__ = ["CHECKS", "Result", "main", "run", "table"]
