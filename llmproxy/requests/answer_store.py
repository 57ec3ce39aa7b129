"""Where complete answers are stored outside the memory of a process."""

from __future__ import annotations

from typing import Protocol

from .answer_cache import Answer


class AnswerStore(Protocol):
    """Complete answers that outlive the process, or that other processes have made."""

    async def find(self, key: bytes) -> tuple[Answer, float] | None:
        """The answer, and how many seconds ago it was stored."""
        ...

    def keep(self, key: bytes, answer: Answer) -> None:
        """Returns at once; the answer is stored in the background."""
        ...


class ClosableAnswerStore(AnswerStore, Protocol):
    """An answer store with its own connections."""

    async def close(self) -> None: ...
