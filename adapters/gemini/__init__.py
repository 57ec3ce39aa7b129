"""Adapter for Gemini's native REST API. adapter.py is the class; request.py builds requests, reply.py reads answers."""

from .adapter import Gemini

__all__ = ["Gemini"]
