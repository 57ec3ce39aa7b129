"""An answer in a thread: stores question and answer, and gives the thread a title."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

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
from llmproxy.store.messages import Ask, Ended

from .checkpoints import Pieces
from .native_answer import Begun, Tell
from .stored_replay import Shelf

TITLE_MODEL = "title"  # the alias that thinks of titles, where the config has one
TITLE_SECONDS = 30.0
TITLE_CHARACTERS = 2000  # of the question, as far as a title needs it
TITLE_PROMPT = (
    "Give this conversation a title of two to six words in the language of the question. "
    "Answer with the title only: no quotes, no full stop."
)


@dataclass(frozen=True, slots=True)
class Place:
    """A thread, and the store that it is in."""

    store: Store
    owner: str
    thread_id: str


@dataclass(frozen=True, slots=True)
class ThreadRecord:
    """Keeps one question and its answer in a thread. `chat` has the question's parameters and system prompt."""

    place: Place
    what: Ask
    chat: Chat
    titles: Titles
    shelf: Shelf | None = None

    async def begin(self, tell: Tell) -> Begun:
        place = self.place
        asked = await place.store.write_for(
            place.owner, messages.ask, place.owner, place.thread_id, self.what, time.time()
        )
        system = self.chat.messages[:-1]
        chat = self.chat.saying(messages=[*system, *model_messages(asked.conversation, asked.before)])
        init = {"thread_id": place.thread_id, "question_id": asked.question_id, "message_id": asked.answer_id}
        title = {"thread_id": place.thread_id, "title": asked.named} if asked.named else None
        if asked.untitled and self.what.content is not None:
            self.titles.think(titles.named_by(self.what.content), tell)
        return Begun(chat, init, asked.before, title)

    def grow(self, text: str, reasoning: str, pieces: Pieces) -> asyncio.Future[None] | None:
        # A checkpoint that fails is let go: the end of the answer is kept too, and says what is wrong.
        store, owner, id = self.place.store, self.place.owner, self.what.answer_id
        with suppress(StoreError):
            growing = store.write_for(
                owner, replay.checkpoint, id, text, reasoning, pieces, store.tape_bytes, time.time()
            )
            growing.add_done_callback(asyncio.Future.exception)
            if self.shelf is not None:
                self.shelf.writing = growing
            return growing
        return None

    async def end(self, ended: Ended, pieces: Pieces) -> None:
        """Raises StoreError where that has to wait for the database to come back."""
        store = self.place.store
        size = 4 * len(ended.text) + sum(len(piece.events) for piece in pieces)
        await store.write_surely(
            self.place.owner, size, replay.end, self.what.answer_id, ended, pieces, store.tape_bytes, time.time()
        )


@dataclass(frozen=True, slots=True)
class Titles:
    """Lets a small model think of a title, as a request of its own: seen, counted and stopped as any other."""

    place: Place
    registry: RequestRegistry
    gateway: Gateway
    key: Key
    admit: Callable[[Chat], object] = lambda chat: None  # takes its place under the key's limits; raises GatewayError

    def think(self, text: str, tell: Tell) -> None:
        """Begins to. Until there is one, and where no model is configured for it, the first words stay."""
        if TITLE_MODEL not in self.gateway.config.aliases or not text:
            return
        asked = [{"role": "system", "content": TITLE_PROMPT}, {"role": "user", "content": text[:TITLE_CHARACTERS]}]
        trace = Trace(self.registry.free_id(), int(time.time()))
        trace.deadline = asyncio.get_running_loop().time() + TITLE_SECONDS
        chat = Chat({"model": TITLE_MODEL, "messages": asked}, TITLE_MODEL, trace=trace)
        try:
            charge = self.admit(chat)
        except GatewayError:  # the key has no room for more than its answers: the first words stay
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
    """The title in a whole answer; empty where the model gave none."""
    choices = orjson.loads(body).get("choices") or [{}]
    text = (choices[0].get("message") or {}).get("content")
    return titles.first_words(text.strip().strip("\"'*#").strip()) if isinstance(text, str) else ""
