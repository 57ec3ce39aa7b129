"""One attempt: sends the request to the provider, and reads the reply up to its first content chunk."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, aclosing
from types import TracebackType
from typing import Any

from llmproxy.config import Timeouts
from llmproxy.core import hops
from llmproxy.core.adapter import Adapter, InProcess, KnowsPace, Pace, Translator, speaks
from llmproxy.core.chat import Chat, Face
from llmproxy.core.dialect import Adapts, Forgets
from llmproxy.core.errors import Dropped, GatewayError, Misspoken, TimedOut, Unreachable, UpstreamError
from llmproxy.core.flight import Gaps
from llmproxy.core.measure import estimated, output_limit
from llmproxy.core.metering import UNMETERED, Meter, Purse
from llmproxy.core.opener import Opening, Reply
from llmproxy.core.usage import Tokens
from llmproxy.wire.encoded import Encoded
from llmproxy.wire.refused_thoughts import refuses_thoughts, without_thoughts
from llmproxy.wire.text_completions import as_chat

from .adapter_calls import called, collect
from .frames import Frames, Pieces
from .grace import Grace
from .http import Client, Incoming
from .idle_timer import IdleTimer
from .shown_headers import passed_on, with_ours

_ERROR_BODY = 64 * 1024  # bytes of an error's body that are read
_KINDS = {True: "text/event-stream", False: "application/json"}
_LEARNS = 3  # members that one request may learn to leave out
_ASK_AGAIN = frozenset((429, 503))  # it was refused before it began
# A 404 about something in the request.
_NOT_THERE = frozenset(("model_not_found", "previous_response_not_found", "item_not_found", "response_not_found"))
_USUAL = Pace()
_ASK_ANEW = (
    600.0  # seconds after which a dialect that a provider did not speak is tried again: it may have been updated
)
_IDS = ("x-generation-id", "x-request-id", "request-id")  # headers in which providers name what they were asked


class Upstream:
    """One provider. Leaving the reply's block closes its connection at once, unless the answer was read to its end."""

    def __init__(self, adapter: Adapter, client: Client, timeouts: Timeouts) -> None:
        self.adapter = adapter
        self.client = client
        self.timeouts = timeouts
        self._knows_pace = adapter if isinstance(adapter, KnowsPace) else None
        self.in_process = adapter if isinstance(adapter, InProcess) else None
        self.name = adapter.account.name
        self._speaks = speaks(adapter)
        self.streams_only = getattr(adapter, "always_stream", False) is True
        self.streams_metered = getattr(adapter, "streams_metered", False) is True
        self._unspoken: dict[Face, float] = {}  # what it was said to speak and answered with 404 or 405, and when

    def passes(self, chat: Chat) -> bool:
        """Whether the provider is asked in the client's own dialect."""
        if chat.face not in self._speaks:
            return False
        if chat.dialect is not None and not chat.stream and self.streams_only:
            return False  # a stop would not reach the model
        if isinstance(chat.dialect, Adapts) and not chat.dialect.suits(chat, self.adapter):
            return False
        since = self._unspoken.get(chat.face) if self._unspoken else None
        return since is None or time.monotonic() - since > _ASK_ANEW

    def learn_unspoken(self, face: Face) -> None:
        self._unspoken[face] = time.monotonic()

    def open(self, chat: Chat) -> Opening:
        return _Exchange(self, chat)

    def pace(self, chat: Chat) -> Pace:
        return self._knows_pace.pace(chat) if self._knows_pace is not None else _USUAL

    def first_frame(self, pace: Pace) -> float:
        return self.timeouts.first_frame or pace.first_frame or self.adapter.first_frame


class _Exchange(Opening):
    """One attempt. A class, as are those that wrap it: a generator for each would cost the loop more than what they do."""

    __slots__ = (
        "_attempt",
        "_chat",
        "_forgot",
        "_idle_timer",
        "_incoming",
        "_meter",
        "_of",
        "_pace",
        "_passes",
        "_refused",
        "_source",
        "_translator",
    )

    def __init__(self, of: Upstream, chat: Chat) -> None:
        self._of = of
        self._chat = chat
        self._source: AbstractAsyncContextManager[Any] | None = None  # what was entered and is to be left
        self._incoming: Incoming | None = None
        self._refused = 0  # the provider's status, where that is an error
        self._forgot = False  # whether earlier reasoning was left out
        self._meter: Meter = UNMETERED

    async def __aenter__(self) -> Reply:
        of, chat, trace = self._of, self._chat, self._chat.trace
        self._attempt = trace.dial(of.name, chat.model)
        self._passes = of.passes(chat)
        if not self._passes:
            self._chat = chat = translated(chat)
        self._translator = _translator(of.adapter, chat)
        self._pace = of.pace(chat)
        self._idle_timer = IdleTimer(of.first_frame(self._pace) if chat.stream else of.timeouts.answer)
        if trace.purse is not None:
            await self._pay(trace.purse)
        self._idle_timer.__enter__()
        try:
            frames, headers = await self._begin_either()
        except BaseException as error:
            if self._pace.once and isinstance(error, UpstreamError):
                self._not_again(error)
            if isinstance(error, (Unreachable, Dropped)):  # in the gateway's own words, which name nobody yet
                error.message = f"{of.name}: {error.message}"
            await self.__aexit__(type(error), error, error.__traceback__)
            raise
        self._attempt.state, self._attempt.first_frame = "open", time.monotonic()
        self._attempt.gaps = self._idle_timer.gaps = Gaps()
        trace.step("first_frame")
        return Reply(frames, self._translator, _KINDS[chat.stream], headers)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            try:
                if self._source is not None:
                    await self._source.__aexit__(kind, error, trace)
            finally:
                self._idle_timer.__exit__(kind, error, trace)
        except TimeoutError as late:
            if not self._idle_timer.fired:
                raise
            failure = self._late()
            self._over(failure)
            raise failure from late
        self._over(error)

    async def _pay(self, purse: Purse) -> None:
        """Has the money held that the attempt begins with."""
        of, chat = self._of, self._chat
        wait = chat.trace.wait_for("budget")
        streams = chat.stream or of.streams_only or (of.streams_metered and chat.face in ("chat", "completions"))
        try:
            self._meter, self._chat = await purse.begin(chat, of.name, self._attempt, streams=streams)
        except BaseException as error:
            self._over(error)
            raise
        finally:
            wait.end()

    def _over(self, error: BaseException | None) -> None:
        """Writes down how the attempt ended, and what it counted."""
        attempt, usage, produced = self._attempt, self._translator.usage, self._translator.produced
        attempt.produced = produced
        self._idle_timer.moved()  # what was silent up to the end counts as well
        if self._incoming is not None:
            attempt.bytes_in = self._incoming.received
        if usage is not None:
            attempt.tokens, attempt.cost, attempt.usage_source = usage.tokens, usage.cost, "provider"
        if attempt.sent and not self._refused and self._is_uncounted(attempt.tokens):
            attempt.tokens, attempt.usage_source = estimated(self._chat, attempt.tokens, produced), "estimated"
        self._meter.settle(attempt)
        if isinstance(error, GatewayError):
            attempt.end("failed", error.code)
        elif isinstance(error, ConnectionError) or not (
            error is None or isinstance(error, Exception)
        ):  # its reader has left
            attempt.most_tokens = output_limit(self._chat)
            attempt.end("lost_race" if self._chat.trace.lost else "stopped")
        else:
            attempt.end("answered" if error is None else "failed")

    def _is_uncounted(self, tokens: Tokens | None) -> bool:
        """Whether the provider has not said what came out: a count of none at the start of an answer that broke off is no count."""
        if tokens is None:
            return True
        return not tokens.completion and bool(self._translator.produced or not self._translator.done)

    async def _begin_either(self) -> tuple[Frames, Mapping[str, str]]:
        """Asks in the client's dialect where the provider speaks it; one that turns out not to is asked for a chat."""
        try:
            return await self._begin()
        except UpstreamError as error:
            speaks_it = not (isinstance(error, Misspoken) or self._is_no_such_endpoint(error))
            if speaks_it or not self._passes or self._chat.dialect is None:
                raise
        self._of.learn_unspoken(self._chat.face)
        self._passes, self._chat = False, translated(self._chat)
        self._translator = _translator(self._of.adapter, self._chat)
        await self._hang_up()
        return await self._begin()

    async def _begin(self) -> tuple[Frames, Mapping[str, str]]:
        pieces, headers = await self._ask_learning()
        return await self._first(pieces), headers

    async def _ask_learning(self) -> tuple[Pieces, Mapping[str, str]]:
        """Asks once again where the refusal was about something that is left out now: by the adapter, from now on and a few
        times; by this attempt, once, the state of earlier reasoning that the provider does not know again."""
        for _ in range(_LEARNS):
            try:
                return await self._ask()
            except UpstreamError as error:
                if not self._refused or not (self._forgets(error) or self._learns(error)):
                    raise
            await self._hang_up()
        return await self._ask()

    def _learns(self, error: UpstreamError) -> bool:
        learns = getattr(self._of.adapter, "learn", None)
        return learns is not None and bool(called(learns, self._chat, error))

    def _forgets(self, error: UpstreamError) -> bool:
        bare = None if self._forgot or not refuses_thoughts(error) else _without_thoughts(self._chat)
        if bare is None:
            return False
        self._chat, self._forgot = bare, True
        return True

    async def _hang_up(self) -> None:
        self._refused = 0
        if self._source is not None:
            source, self._source = self._source, None
            await source.__aexit__(None, None, None)

    async def _ask(self) -> tuple[Pieces, Mapping[str, str]]:
        of, trace, attempt = self._of, self._chat.trace, self._attempt

        def sent() -> None:
            attempt.went_out()
            trace.step("sent")

        if of.in_process is not None:
            sent()
            pieces = of.in_process.answer(self._chat)
            self._source = aclosing(pieces)
            return pieces, {}

        traced = trace.context.headers(attempt.number) if trace.context is not None else {}
        asked, connect = hops.told(called(of.adapter.request, self._chat), traced), of.timeouts.connect
        sending = of.client.send(asked, connect=connect, sent=sent, fresh=self._pace.once)
        attempt.bytes_out = asked.size
        incoming = self._incoming = await sending.__aenter__()
        self._source = sending
        attempt.headers_at, attempt.status, attempt.reused = time.monotonic(), incoming.status, incoming.reused
        attempt.provider_id = next((incoming.headers[one] for one in _IDS if one in incoming.headers), None)
        if 200 <= incoming.status < 300:
            shown = passed_on(incoming.headers, of.adapter.account.api_key)
            return aiter(incoming), with_ours(shown) if trace.headers else shown
        self._refused = incoming.status
        raise self._failure(incoming.status, incoming.headers, await incoming.read(_ERROR_BODY))

    def _not_again(self, error: UpstreamError) -> None:
        if self._attempt.sent and error.status not in _ASK_AGAIN:
            error.retry_here = False
            error.headers["x-should-retry"] = "false"  # nor by the client

    def _is_no_such_endpoint(self, error: UpstreamError) -> bool:
        """Whether a 404 or 405 is about the path, and not about the model or something that the request refers to."""
        about_request = error.code in _NOT_THERE or error.param or "model" in error.message.lower()
        return self._refused in (404, 405) and not about_request

    def _failure(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        if 300 <= status < 400:  # never followed: the prompt and the key would go wherever it says
            return UpstreamError(f"{self._of.name} answered with a redirect ({status}).", code="upstream_redirect")
        error = called(self._of.adapter.error, status, headers, body)
        error.headers = {**passed_on(headers, self._of.adapter.account.api_key), **error.headers}
        if status == hops.LOOP:  # every further try would go round, too
            error.retry_here, error.headers["x-should-retry"] = False, "false"
        return error

    async def _first(self, pieces: Pieces) -> Frames:
        """Reads until a frame is real, or may be shown before. An answer that is folded is waited for while it grows."""
        translator, idle_timer, idle = self._translator, self._idle_timer, self._of.timeouts.idle
        comments_count, shows_early = self._pace.comments_count, getattr(translator, "shows_early", False)
        frames: list[bytes] = []
        produced = 0
        grace = Grace(idle_timer)
        while True:
            wait = getattr(translator, "grace", None)
            data = await anext(pieces, None) if wait is None else await grace.next(pieces, wait)
            if data is None:
                break
            failure = collect(frames, translator.feed, data)
            if translator.started or (shows_early and frames):
                return Frames(frames, failure, pieces, translator, idle_timer, idle, comments_count, self._meter)
            if failure is not None:
                raise failure
            if comments_count:
                idle_timer.moved()
            if translator.produced > produced:
                produced = translator.produced
                idle_timer.limit(idle)
                if produced > self._meter.ceiling:
                    idle_timer.watching = False
                    await self._meter.grow(translator)
                    idle_timer.watching = True
                    idle_timer.moved()
        failure = collect(frames, translator.finish)
        if failure is not None and not translator.started:
            raise failure
        return Frames(frames, failure, None, translator, idle_timer, idle, comments_count, self._meter)

    def _late(self) -> TimedOut:
        name, idle = self._of.name, self._of.timeouts.idle
        if self._translator.started or self._translator.produced:
            return TimedOut(f"{name} stopped sending for {idle:g} s.", code="upstream_idle_timeout")
        return TimedOut(f"{name} sent no answer in time.", code="upstream_first_frame_timeout")


def translated(chat: Chat) -> Chat:
    """The question as a chat, for a provider that does not speak the client's dialect. Raises BadRequest."""
    return as_chat(chat) if chat.dialect is None else chat.dialect.as_chat(chat)


def _without_thoughts(chat: Chat) -> Chat | None:
    if chat.dialect is None:
        return without_thoughts(chat) if chat.face == "chat" else None
    return chat.dialect.without_thoughts(chat) if isinstance(chat.dialect, Forgets) else None


def _translator(adapter: Adapter, chat: Chat) -> Translator:
    translator = called(adapter.translator, chat)
    if chat.encoder is None or getattr(translator, "encodes", False):
        return translator
    return Encoded(translator, chat.encoder(), stream=chat.stream)
