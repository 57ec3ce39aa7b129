"""An answer in a thread: stores question and answer, and gives the thread a title."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

import orjson

from llmproxy.config import Key
from llmproxy.core.chat import Chat
from llmproxy.core.errors import GatewayError
from llmproxy.core.trace import Trace
from llmproxy.dialects.native.request import model_messages
from llmproxy.requests.registry import RequestRegistry
from llmproxy.requests.running import Running
from llmproxy.routing.gateway import Gateway
from llmproxy.store import Store, StoreError, messages, replay, threads, titles
from llmproxy.store.backlog import Unwritten
from llmproxy.store.messages import Ask, Ended

from .checkpoints import Pieces
from .native_answer import Begun, Tell
from .stored_replay import AnswerEvents

TITLE_MODEL = "title"  # the alias that generates titles, if it is configured
TITLE_SECONDS = 30.0
TITLE_CHARACTERS = 2000  # characters of the question that are used for the title
TITLE_PROMPT = (
    "Give this conversation a title of two to six words in the language of the question. "
    "Answer with the title only: no quotes, no full stop."
)


@dataclass(frozen=True, slots=True)
class Place:
    """A thread, and its store."""

    store: Store
    owner: str
    thread_id: str


@dataclass(frozen=True, slots=True)
class ThreadRecord:
    """Stores one question and its answer in a thread. `chat` has the question's parameters and system prompt."""

    place: Place
    what: Ask
    chat: Chat
    titles: Titles
    stored: AnswerEvents | None = None

    async def begin(self, tell: Tell) -> Begun:
        place = self.place
        asked = await place.store.write_for(
            place.owner, messages.ask, place.owner, place.thread_id, self.what, time.time()
        )
        system = self.chat.messages[:-1]
        prompt = [*system, *model_messages(asked.conversation, asked.before)]
        chat = replace(self.chat.with_fields(messages=prompt), composed=True)
        init = {"thread_id": place.thread_id, "question_id": asked.question_id, "message_id": asked.answer_id}
        title = {"thread_id": place.thread_id, "title": asked.named} if asked.named else None
        if asked.untitled and self.what.content is not None:
            self.titles.think(titles.named_by(self.what.content), tell)
        return Begun(chat, init, asked.before, title)

    def grow(self, text: str, reasoning: str, pieces: Pieces) -> asyncio.Future[None] | None:
        # A failed checkpoint is ignored: the end of the answer is stored too, and reports the failure.
        store, owner, id = self.place.store, self.place.owner, self.what.answer_id
        with suppress(StoreError):
            growing = store.write_for(
                owner, replay.checkpoint, id, text, reasoning, pieces, store.tape_bytes, time.time()
            )
            growing.add_done_callback(asyncio.Future.exception)
            if self.stored is not None:
                self.stored.writing = growing
            return growing
        return None

    async def end(self, ended: Ended, pieces: Pieces) -> None:
        """Raises StoreError if this must wait for the database to come back, or is given up as the store keeps nothing back."""
        store = self.place.store
        if not store.keeps_back:
            await self._end_now(ended, pieces)
            return
        size = 4 * len(ended.text) + sum(len(piece.events) for piece in pieces)
        await store.write_surely(
            self.place.owner, size, replay.end, self.what.answer_id, ended, pieces, store.tape_bytes, time.time()
        )

    async def _end_now(self, ended: Ended, pieces: Pieces) -> None:
        store, owner, id = self.place.store, self.place.owner, self.what.answer_id
        try:
            await store.write_for(owner, replay.end, id, ended, pieces, store.tape_bytes, time.time())
        except StoreError:
            store.backlog.put(Unwritten(owner, len(id), partial(messages.give_up, answer_id=id)))
            raise


@dataclass(frozen=True, slots=True)
class Titles:
    """Generates titles with a small model, as requests of their own: listed, counted and stopped like any other."""

    place: Place
    registry: RequestRegistry
    gateway: Gateway
    key: Key
    admit: Callable[[Chat], object] = lambda chat: None  # takes a place under the key's limits; raises GatewayError

    def think(self, text: str, tell: Tell) -> None:
        """Starts it. Until there is a title, and if no model is configured for it, the first words are used."""
        if TITLE_MODEL not in self.gateway.config.aliases or not text:
            return
        asked = [{"role": "system", "content": TITLE_PROMPT}, {"role": "user", "content": text[:TITLE_CHARACTERS]}]
        trace = Trace(self.registry.free_id(), int(time.time()))
        trace.deadline = asyncio.get_running_loop().time() + TITLE_SECONDS
        chat = Chat({"model": TITLE_MODEL, "messages": asked}, TITLE_MODEL, trace=trace)
        try:
            charge = self.admit(chat)
        except GatewayError:  # the key's limits leave no room: the first words are used
            return
        running = self.registry.start(trace.id, self.place.owner, chat, lambda running: self._work(running, chat, tell))
        running.charge = charge

    async def _work(self, running: Running, chat: Chat, tell: Tell) -> None:
        running.begin()
        async with self.gateway.open(chat, self.gateway.route(chat, self.key)) as reply:
            running.began(reply)
            body = b"".join([block async for block in reply.frames])
        running.complete()
        title = _title(body)
        place = self.place
        taken = await place.store.write_for(place.owner, threads.entitle, place.thread_id, title) if title else False
        if taken:
            tell("title", {"thread_id": self.place.thread_id, "title": title})


def _title(body: bytes) -> str:
    """The title from a whole answer; empty if the model gave none."""
    choices = orjson.loads(body).get("choices") or [{}]
    text = (choices[0].get("message") or {}).get("content")
    return titles.first_words(text.strip().strip("\"'*#").strip()) if isinstance(text, str) else ""
