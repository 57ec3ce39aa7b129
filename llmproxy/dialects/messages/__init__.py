"""Anthropic's Messages API: parses requests and encodes answers for clients, encodes requests and decodes answers for
providers.
"""
