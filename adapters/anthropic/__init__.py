"""Anthropic's Claude by its own Messages API."""

from .adapter import Anthropic

__all__ = ["Anthropic"]
