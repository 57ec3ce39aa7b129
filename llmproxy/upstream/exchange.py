"""One attempt: sends the request to the provider, and reads the reply up to its first content chunk."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, aclosing
from types import TracebackType
from typing import TYPE_CHECKING, Any

from llmproxy.core import hops
from llmproxy.core.chat import Chat
from llmproxy.core.errors import Dropped, GatewayError, Misspoken, TimedOut, Unreachable, UpstreamError
from llmproxy.core.flight import Gaps
from llmproxy.core.metering import UNMETERED, Meter, Purse
from llmproxy.core.opener import Opening, Reply
from llmproxy.wire.refused_thoughts import refuses_thoughts

from .adapter_calls import called
from .attempt_end import record_end
from .first_content import first_content
from .frames import Frames, Pieces
from .http import Incoming
from .idle_timer import IdleTimer
from .refusals import failure, forbid_retry, is_missing_endpoint
from .shown_headers import passed_on, provider_id, with_ours
from .translation import translated, translator_for, without_reasoning

if TYPE_CHECKING:
    from .provider import Upstream

_KINDS = {True: "text/event-stream", False: "application/json"}
_ERROR_BODY = 64 * 1024  # bytes of an error's body that are read
_LEARNS = 3  # how often one request may be changed


class Exchange(Opening):
    """One attempt. A class, because a generator costs more than the work itself; so are the openers that wrap it."""

    __slots__ = (
        "_attempt", "_chat", "_forgot", "_idle_timer", "_incoming", "_learnt", "_meter", "_of", "_pace", "_passes",
        "_refused", "_source", "_translator",
    )  # fmt: skip

    def __init__(self, of: Upstream, chat: Chat) -> None:
        self._of = of
        self._chat = chat
        self._source: AbstractAsyncContextManager[Any] | None = None  # the open connection
        self._incoming: Incoming | None = None
        self._refused = 0  # the provider's status, if it is an error
        self._learnt = 0  # how often something was left out
        self._forgot = False  # whether earlier reasoning was left out
        self._meter: Meter = UNMETERED

    async def __aenter__(self) -> Reply:
        of, chat, trace = self._of, self._chat, self._chat.trace
        self._attempt = trace.dial(of.name, chat.model)
        self._passes = of.passes(chat)
        if not self._passes:
            self._chat = chat = translated(chat)
        self._translator = translator_for(of.adapter, chat)
        self._pace = of.pace(chat)
        streams = chat.stream
        self._idle_timer = IdleTimer(of.first_frame(self._pace) if streams else of.timeouts.answer)
        if trace.purse is not None:
            await self._pay(trace.purse, streams)
        self._idle_timer.__enter__()
        try:
            frames, headers = await self._begin()
        except BaseException as error:
            if self._pace.once and isinstance(error, UpstreamError):
                forbid_retry(error, self._attempt)
            if isinstance(error, (Unreachable, Dropped)):  # their messages do not name the provider yet
                error.message = f"{of.name}: {error.message}"
            if self._chat.places is not None and isinstance(error, GatewayError):
                self._chat.places.rename(self._chat.body, error)
            await self.__aexit__(type(error), error, error.__traceback__)
            raise
        self._attempt.state, self._attempt.first_frame = "open", time.monotonic()
        self._attempt.gaps = self._idle_timer.gaps = Gaps()
        trace.step("first_frame")
        return Reply(frames, self._translator, _KINDS[streams], headers)

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
            self._record_end(failure)
            raise failure from late
        self._record_end(error)

    async def _pay(self, purse: Purse, streams: bool) -> None:
        """Reserves the money with which the attempt begins."""
        of, chat = self._of, self._chat
        wait = chat.trace.wait_for("budget")
        metered = streams or of.streams_only or (of.streams_metered and chat.face in ("chat", "completions"))
        try:
            self._meter, self._chat = await purse.begin(chat, of.name, self._attempt, streams=metered)
        except BaseException as error:
            self._record_end(error)
            raise
        finally:
            wait.end()

    def _record_end(self, error: BaseException | None) -> None:
        self._idle_timer.moved()  # the silence up to the end counts too
        if self._incoming is not None:
            self._attempt.bytes_in = self._incoming.received
        in_process = self._of.in_process is not None
        refused = self._refused or (in_process and isinstance(error, UpstreamError) and not self._translator.produced)
        record_end(self._attempt, self._chat, self._translator, self._meter, error, refused=bool(refused))

    async def _begin(self) -> tuple[Frames, Mapping[str, str]]:
        """Sends the request; sends a changed one if the provider refused something that can be left out or translated."""
        while True:
            try:
                pieces, headers = await self._ask()
                idle = self._of.timeouts.idle
                return await first_content(
                    pieces, self._incoming, self._translator, self._idle_timer, idle, self._pace, self._meter
                ), headers
            except UpstreamError as error:
                if not (self._leaves_out(error) or self._translates(error)):
                    raise
            await self._hang_up()

    def _leaves_out(self, error: UpstreamError) -> bool:
        """Whether the refused part is left out now: by the adapter, for later requests too; or the earlier reasoning, once."""
        if not self._refused or self._learnt >= _LEARNS or not any([self._forgets(error), self._learns(error)]):
            return False
        self._learnt += 1
        return True

    def _learns(self, error: UpstreamError) -> bool:
        learns = getattr(self._of.adapter, "learn", None)
        return learns is not None and bool(called(learns, self._chat, error))

    def _forgets(self, error: UpstreamError) -> bool:
        bare = None if self._forgot or not refuses_thoughts(error) else without_reasoning(self._chat)
        if bare is None:
            return False
        self._chat, self._forgot = bare, True
        return True

    def _translates(self, error: UpstreamError) -> bool:
        """Whether the provider turned out not to have the client's API: then it gets a chat completion."""
        missing = isinstance(error, Misspoken) or is_missing_endpoint(error, self._refused)
        if not missing or not self._passes or self._chat.dialect is None:
            return False
        self._of.learn_unspoken(self._chat.face)
        self._passes, self._learnt, self._chat = False, 0, translated(self._chat)
        self._translator = translator_for(self._of.adapter, self._chat)
        return True

    async def _hang_up(self) -> None:
        self._refused = 0
        if self._source is not None:
            source, self._source = self._source, None
            await source.__aexit__(None, None, None)

    async def _ask(self) -> tuple[Pieces, Mapping[str, str]]:
        of, trace, attempt = self._of, self._chat.trace, self._attempt
        if of.in_process is not None:
            self._sent()
            pieces = of.in_process.answer(self._chat)
            self._source = aclosing(pieces)
            return pieces, {}

        traced = trace.context.headers(attempt.number) if trace.context is not None else {}
        outgoing, more = called(of.adapter.request, self._chat), hops.headers(traced)
        sending = of.client.send(
            outgoing, connect=of.timeouts.connect, more=more, sent=self._sent, fresh=self._pace.once
        )
        incoming = self._incoming = await sending.__aenter__()
        self._source = sending
        attempt.headers_at, attempt.status, attempt.reused = time.monotonic(), incoming.status, incoming.reused
        attempt.provider_id = provider_id(incoming.headers)
        if 200 <= incoming.status < 300:
            shown = passed_on(incoming.headers, of.adapter.account.api_key)
            body = incoming.pieces()
            incoming.headers = {}  # 1 KB for as long as the stream is open
            return body, with_ours(shown) if shown and trace.headers else shown
        self._refused = incoming.status
        raise failure(of.adapter, incoming.status, incoming.headers, await incoming.read(_ERROR_BODY))

    def _sent(self, size: int | None = None) -> None:
        """size: bytes of the request's body."""
        self._attempt.went_out()
        self._attempt.bytes_out = size
        self._chat.trace.step("sent")

    def _late(self) -> TimedOut:
        name, idle = self._of.name, self._of.timeouts.idle
        if self._translator.started or self._translator.produced:
            return TimedOut(f"{name} stopped sending for {idle:g} s.", code="upstream_idle_timeout")
        return TimedOut(f"{name} sent no answer in time.", code="upstream_first_frame_timeout")
