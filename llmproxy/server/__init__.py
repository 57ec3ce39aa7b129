"""The server process: listens, answers, and goes in order when it is told to."""

from .process.process import run

__all__ = ["run"]
