"""Adapter for Anthropic's Messages API. adapter.py is the class; abilities.py has what each model supports."""

from .adapter import Anthropic

__all__ = ["Anthropic"]
