"""Logs and what is logged about a request."""
