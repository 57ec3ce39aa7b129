"""Checks for any OpenAI-compatible gateway whose upstream we can be: `python -m llmproxy.testing.conformance URL`."""
