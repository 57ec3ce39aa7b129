"""Anthropic's Messages: what its clients send and are given, and what its providers are sent and give."""
