"""Answers for clients that compare `model` with the name they asked for, and drop the thoughts of other models.

Claude Code removes the thinking blocks of such turns from its next request (2.1.197, measured), with their signatures:
behind an alias or `provider/model` all thoughts would be lost. It gets the name that it asked for. All other clients
get the provider's name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import orjson

from llmproxy.core.chat import Chat, Json
from llmproxy.core.dialect import Judge

from .watch import Watched

_AGENTS = ("claude-cli/",)
_MODEL = re.compile(rb'("model"\s*:\s*)("(?:[^"\\]|\\.)*")')
_START = b"message_start"


def compares(user_agent: str) -> bool:
    """Whether the client with this `User-Agent` is one of them."""
    return user_agent.startswith(_AGENTS)


class Named(Watched):
    """Passes an answer on unchanged, except for the model's name."""

    def __init__(self, chat: Chat, judge: Judge, name: str) -> None:
        super().__init__(chat, judge)
        self._name = name
        self._named = False

    def feed(self, data: bytes) -> Iterable[bytes]:
        frames = super().feed(data)
        return frames if self._named else self._first(frames)

    def finish(self) -> Iterable[bytes]:
        if self._stream:
            yield from self._first(super().finish())
        else:
            yield from (_whole(body, self._name) for body in super().finish())

    def _first(self, frames: Iterable[bytes]) -> Iterator[bytes]:
        for frame in frames:
            if self._named or _START not in frame:
                yield frame
                continue
            self._named = True
            end = frame.index(b"\n\n", frame.index(_START))
            yield _renamed(frame[:end], self._name) + frame[end:]


def _renamed(event: bytes, name: str) -> bytes:
    return _MODEL.sub(lambda found: found[1] + orjson.dumps(name), event, count=1)


def _whole(body: bytes, name: str) -> bytes:
    """A JSON answer. It is parsed and written again only if a call in it also has a member `model`."""
    if len(_MODEL.findall(body)) == 1:
        return _renamed(body, name)
    answer: Json = orjson.loads(body)
    return orjson.dumps({**answer, "model": name}) if "model" in answer else body
