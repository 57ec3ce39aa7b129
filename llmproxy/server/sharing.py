"""Applies the configuration of shared answers."""

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


async def close(answers: SharedAnswers) -> None:
    """Closes the connections of answer stores."""
    for stored in answers.closed_at_end:
        await stored.close()


def configure(answers: SharedAnswers, config: Config, store: Callable[[], Store]) -> None:
    """Sets new limits; running and stored answers are kept as far as they allow."""
    kept = config.cache
    answers.kept.configure(most=kept.bytes, seconds=kept.seconds)
    answers.buffer_bytes = config.limits.tape_bytes
    answers.store = None
    if kept.store == "redis":
        from llmproxy.cluster.redis_answers import RedisAnswers

        stored = next((one for one in answers.closed_at_end if isinstance(one, RedisAnswers)), None)
        if stored is None:
            stored = RedisAnswers(config.cluster.redis, most=kept.bytes, seconds=kept.seconds)
            answers.closed_at_end.append(stored)
        stored.most, stored.seconds = kept.bytes, kept.seconds
        answers.store = stored
    if kept.store == "disk" and config.storage.enabled:
        from llmproxy.conversations.database_answers import DatabaseAnswers

        answers.store = DatabaseAnswers(store, most=kept.bytes, seconds=kept.seconds)
