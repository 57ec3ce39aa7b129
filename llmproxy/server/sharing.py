"""The answers that requests share, as the configuration wants them kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from llmproxy.config import Config
from llmproxy.requests.answer_cache import AnswerCache
from llmproxy.requests.shared_answers import SharedAnswers

if TYPE_CHECKING:
    from llmproxy.store import Store


def shared_answers(config: Config, store: Callable[[], Store]) -> SharedAnswers:
    cache = AnswerCache(most=config.cache.bytes, seconds=config.cache.seconds)
    answers = SharedAnswers(cache, buffer_bytes=config.limits.tape_bytes)
    configure(answers, config, store)
    return answers


def configure(answers: SharedAnswers, config: Config, store: Callable[[], Store]) -> None:
    """Other settings from now on; what runs and what is kept stays, as far as they allow."""
    kept = config.cache
    answers.kept.configure(most=kept.bytes, seconds=kept.seconds)
    answers.buffer_bytes = config.limits.tape_bytes
    answers.shelf = None
    if kept.store == "disk" and config.storage.enabled:
        from llmproxy.conversations.answer_shelf import AnswerShelf

        answers.shelf = AnswerShelf(store, most=kept.bytes, seconds=kept.seconds)
