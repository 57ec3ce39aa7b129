"""Gemini by its native REST API: requests rendered, replies read, each subject in its own file."""

from .adapter import Gemini

__all__ = ["Gemini"]
