"""The tables of a request's life: every pair of phase and event, and random schedules on the real registry."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, get_args

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from llmproxy.conversations.native_answer import Begun, NativeAnswer, Tell
from llmproxy.core.chat import Chat
from llmproxy.core.errors import Cancelled, LifecycleError, StoreError, UpstreamError
from llmproxy.core.lifecycle import COMPLETED, LOST, PROGRESS, RANK, STOPPED, Event, Outcome, Phase, failed
from llmproxy.core.opener import Reply
from llmproxy.core.trace import Trace
from llmproxy.requests.registry import RequestRegistry, ended
from llmproxy.requests.replay_buffer import ReplayBuffer
from llmproxy.requests.running import Running
from llmproxy.server.streaming.detached import DetachedAnswer
from llmproxy.store.messages import STATES, Ended
from llmproxy.testing import chunk, sse
from llmproxy.testing.jumping_clock import JumpingLoop, run
from tests.core.openers import Counted, settled

PHASES: tuple[Phase, ...] = get_args(Phase)
EVENTS: tuple[Event, ...] = get_args(Event)
SCHEDULES = 2000


# The tables


def test_every_phase_has_its_row_and_its_rank() -> None:
    assert set(PROGRESS) == set(PHASES) == set(RANK)


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("event", EVENTS)
def test_a_trace_follows_the_table_and_refuses_what_is_not_in_it(phase: Phase, event: Event) -> None:
    trace = Trace(phase=phase)
    to = PROGRESS[phase].get(event)
    if to is None:
        with pytest.raises(LifecycleError) as error:
            trace.step(event)
        assert (error.value.phase, error.value.event, trace.phase) == (phase, event, phase)
    else:
        trace.step(event)
        assert trace.phase == to


@given(st.lists(st.sampled_from(EVENTS), max_size=30))
def test_nothing_leads_back_from_the_end_and_no_phase_before_streaming_from_it(events: list[Event]) -> None:
    phase: Phase = "received"
    for event in events:
        to = PROGRESS[phase].get(event)
        if to is None:
            continue
        if RANK[phase] >= RANK["streaming"]:
            assert RANK[to] >= RANK[phase]
        phase = to


@pytest.mark.parametrize("by", STOPPED)
def test_what_a_stopped_client_is_told_is_the_row_of_its_cause(by: str) -> None:
    row, error = STOPPED[by], Cancelled.because(by)
    assert (error.status, error.code, error.message, error.extra["by"]) == (row.status, row.code, row.say, by)
    assert row.state == "cancelled"
    assert row.say


def test_the_states_of_messages_are_those_that_the_store_knows() -> None:
    assert {row.message for row in (COMPLETED, LOST, failed("x", 500), *STOPPED.values())} <= STATES


def test_attempts_at_once_show_the_furthest_of_their_phases() -> None:
    trace = Trace("r")
    slow, fast = trace.branch(), trace.branch()
    slow.dial("a", "m")
    fast.dial("b", "m")
    fast.step("sent")
    fast.step("first_frame")
    slow.step("sent")
    assert (trace.phase, trace.provider, trace.attempts) == ("streaming", "b", 2)
    assert [(one.number, one.provider) for one in trace.tries] == [(1, "a"), (2, "b")]


# Random schedules


@dataclass
class Provider:
    """An opener that goes on when it is told to."""

    gate: asyncio.Queue[bytes | Exception | None] = field(default_factory=asyncio.Queue)
    open_now: int = 0

    @asynccontextmanager
    async def open(self, chat: Chat) -> AsyncIterator[Reply]:
        trace = chat.trace
        self.open_now += 1
        try:
            attempt = trace.dial("p", "m")
            first = await self._next()
            attempt.sent = True
            trace.step("sent")
            trace.step("first_frame")
            translator = Counted()
            async with aclosing(self._frames(first, translator)) as frames:
                yield Reply(frames, translator, "text/event-stream")
        finally:
            try:
                await asyncio.sleep(0)  # closing takes its time
            finally:
                self.open_now -= 1

    async def _next(self) -> bytes | None:
        found = await self.gate.get()
        if isinstance(found, Exception):
            raise found
        return found

    async def _frames(self, first: bytes | None, translator: Counted) -> AsyncGenerator[bytes, None]:
        block = first
        while block is not None:
            yield block
            block = await self._next()
        translator.done = True
        yield sse(chunk({}, finish="stop"))


@dataclass
class Kept:
    """A record that keeps when it is told to, or fails to."""

    chat: Chat
    fails: bool
    slow: int
    ends: list[Ended] = field(default_factory=list)
    stored: None = None

    async def begin(self, tell: Tell) -> Begun:
        return Begun(self.chat, {"thread_id": "t", "question_id": "q", "message_id": "m"})

    def grow(self, text: str, reasoning: str, pieces: Any) -> None:
        return

    async def end(self, ended: Ended, pieces: Any) -> None:
        for _ in range(self.slow):
            await asyncio.sleep(0)
        if self.fails:
            raise StoreError("The disk is full.")
        self.ends.append(ended)


FRAME = sse(chunk({"role": "assistant", "content": "word "}), done=False)
STOPS = ("api", "admin", "deadline", "drain", "client_disconnect", "slow_reader")
ACTIONS = ("frame", "frame", "end", "break", "crash", "pause", "pause", *STOPS)


@dataclass
class Played:
    running: Running
    buffer: ReplayBuffer
    seen: list[tuple[str, str | None]]  # what each who asked for a stop was answered
    events: list[bytes]
    record: Kept | None


async def schedule(seed: int) -> Played:
    chance = random.Random(seed)
    provider, registry = Provider(), RequestRegistry()
    chat = Chat({"model": "m", "stream": True, "messages": []}, "m", trace=Trace(f"id-{seed}"))
    buffer = ReplayBuffer()
    record: Kept | None = None
    if chance.random() < 0.5:
        record = Kept(chat, chance.random() < 0.2, chance.randint(0, 4))
        work = NativeAnswer(record, provider.open, buffer).work
    else:
        work = DetachedAnswer(provider.open(chat), buffer).work
    running = registry.start(chat.trace.id, "me", chat, work)
    seen: list[tuple[str, str | None]] = []

    async def stopper(by: str) -> None:
        running.stop(by)
        await ended(running)
        seen.append((running.state, running.by))

    asked: list[asyncio.Task[None]] = []
    for action in chance.choices(ACTIONS, k=chance.randint(0, 12)):
        if action == "frame":
            provider.gate.put_nowait(FRAME)
        elif action == "end":
            provider.gate.put_nowait(None)
        elif action == "break":
            provider.gate.put_nowait(UpstreamError("broke", code="upstream_disconnected"))
        elif action == "crash":
            provider.gate.put_nowait(ZeroDivisionError("ours"))
        elif action == "pause":
            await asyncio.sleep(0)
        else:
            asked += [asyncio.ensure_future(stopper(action)) for _ in range(chance.choice((1, 1, 5)))]
    provider.gate.put_nowait(None)
    readers = [event async for _, event in buffer.read()]
    await ended(running)
    await asyncio.gather(*asked)
    await settled()
    assert provider.open_now == 0, "the provider's connection is closed"
    return Played(running, buffer, seen, readers, record)


def is_end(event: bytes) -> bool:
    return b"[DONE]" in event or b"event: done" in event or b'"error"' in event.partition(b"data: ")[2][:12]


def check(one: Played) -> None:
    running = one.running
    assert running.outcome is not None
    assert running.ended is not None
    assert running.phase == "ended"
    assert one.buffer.closed
    assert {(running.state, running.by)} >= set(one.seen), "who asked for a stop reads one truth"
    ends = [event for event in one.events if is_end(event)]
    if running.refused is None:
        assert len(ends) == 1, "there is one end"
        assert one.events[-1] == ends[0], "and nothing comes after it"
        assert told(ends[0]) == running.state
    else:
        assert ends == []
        assert running.refused is running.error
    if one.record is not None and one.record.ends:
        [kept] = one.record.ends
        assert kept.state == running.outcome.message


def told(end: bytes) -> str:
    """The state that the last event speaks of."""
    data = end.partition(b"data: ")[2].strip()
    if data == b"[DONE]":
        return "completed"
    said = orjson.loads(data)
    if said.get("ok"):
        return "completed"
    by = said.get("by") or (said.get("error") or {}).get("by")
    return "cancelled" if by else "failed"


def test_random_schedules_never_show_two_truths_two_ends_or_none() -> None:
    states = set()
    for seed in range(SCHEDULES):
        one = run(schedule(seed))
        try:
            check(one)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}") from error
        states.add(one.running.state)
    assert states == {"completed", "cancelled", "failed"}


class Life(RuleBasedStateMachine):
    """One request on the real registry, driven event by event: each step is in the table, and the outcome is decided once."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=JumpingLoop)
        self.runner.run(self._begin())

    async def _begin(self) -> None:
        self.provider, self.buffer = Provider(), ReplayBuffer()
        chat = Chat({"model": "m", "stream": True, "messages": []}, "m", trace=Trace("id"))
        self.phase: Phase = "received"
        self.outcome: Outcome | None = None
        self.asked: list[asyncio.Future[None]] = []
        self.seen: list[tuple[str, str | None]] = []
        work = DetachedAnswer(self.provider.open(chat), self.buffer).work
        self.running = RequestRegistry().start("id", "me", chat, work)
        chat.trace.listener = self._met

    def _met(self, event: Event) -> None:
        """Each event that the request meets is the table's step from where it was."""
        assert PROGRESS[self.phase].get(event) == self.running.trace.phase
        self.phase = self.running.trace.phase

    def _step(self) -> None:
        self.runner.run(settled())

    @rule(act=st.sampled_from(["frame", "end", "break", "crash"]))
    def provider_does(self, act: str) -> None:
        acts = {"frame": FRAME, "end": None, "break": UpstreamError("broke"), "crash": ZeroDivisionError()}
        self.provider.gate.put_nowait(acts[act])

    @rule()
    def time_passes(self) -> None:
        self._step()

    @rule(by=st.sampled_from(STOPS), times=st.integers(1, 5))
    def somebody_stops_it(self, by: str, times: int) -> None:
        async def stop() -> None:
            before = self.running.outcome
            did = self.running.stop(by)
            assert did == (before is None), "the first stop before the end is the one that counts"
            await ended(self.running)
            self.seen.append((self.running.state, self.running.by))

        async def at_once() -> None:
            self.asked += [asyncio.ensure_future(stop()) for _ in range(times)]
            await asyncio.sleep(0)

        self.runner.run(at_once())

    @invariant()
    def the_outcome_stands(self) -> None:
        if self.outcome is not None:
            assert self.running.outcome is self.outcome
        self.outcome = self.running.outcome
        assert (self.running.phase in ("finishing", "ended")) == (self.outcome is not None)

    def teardown(self) -> None:
        async def end() -> None:
            self.provider.gate.put_nowait(None)
            events = [event async for _, event in self.buffer.read()]
            await ended(self.running)
            await asyncio.gather(*self.asked)
            check(Played(self.running, self.buffer, self.seen, events, None))

        self.runner.run(end())
        self.runner.close()


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmproxy.requests.running.log", _Quiet())


TestLife = Life.TestCase


class _Quiet:
    def error(self, *_: object, **__: object) -> None:
        return
