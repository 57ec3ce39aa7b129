"""The server process: listens, answers requests, and shuts down gracefully."""

from .process.process import run

__all__ = ["run"]
