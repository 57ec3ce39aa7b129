"""The registry and what it tells: one task and one end for every request, one log line and one row of the ledger."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
import structlog
from structlog.testing import capture_logs

from llmproxy.core.errors import Cancelled, Dropped, GatewayError, Truncated
from llmproxy.core.opener import Reply
from llmproxy.core.trace import Trace
from llmproxy.core.usage import Usage
from llmproxy.requests import running as running_module
from llmproxy.requests.registry import RequestRegistry, ended
from llmproxy.requests.running import Running
from llmproxy.server import observers
from llmproxy.server.observers import Observer
from llmproxy.store import Entry, Store
from tests.core.kit import chat
from tests.core.openers import Counted, settled

Work = Callable[[Running], Awaitable[Any]]


def replied(usage: Usage | None = None, produced: int = 0) -> Reply:
    return Reply(cast(Any, None), Counted(usage, produced), "text/event-stream")


async def hangs(_: Running) -> None:
    await asyncio.Event().wait()


class Registry(RequestRegistry):
    """One that remembers every end it was told of."""

    def __init__(self, **how: Any) -> None:
        self.ends: list[tuple[str, str, str | None, int]] = []
        super().__init__(ended=self._note, **how)

    def _note(self, running: Running) -> None:
        self.ends.append((running.id, running.state, running.by, running.status))

    def begin(self, work: Any = hangs, id: str = "one", owner: str = "me") -> Running:
        return self.start(id, owner, chat(), work)

    async def ended(self, work: Any, id: str = "one") -> Running:
        running = self.begin(work, id)
        await asyncio.wait({running.task})
        await settled()
        return running


def raises(error: BaseException) -> Work:
    async def work(_: Running) -> None:
        raise error

    return work


async def answers(_: Running) -> str:
    return "done"


# One end


@pytest.mark.parametrize(
    ("work", "state", "by", "status"),
    [
        (answers, "completed", None, 200),
        (raises(GatewayError("x", status=404)), "failed", None, 404),
        (raises(Dropped("x")), "failed", None, 502),
        (raises(ZeroDivisionError()), "failed", None, 500),
        (raises(Cancelled("x", extra={"by": "deadline"})), "cancelled", "deadline", 504),
        (raises(asyncio.CancelledError()), "cancelled", "client_disconnect", 499),
    ],
)
async def test_every_request_ends_once(work: Any, state: str, by: str | None, status: int) -> None:
    registry = Registry()
    running = await registry.ended(work)
    assert registry.ends == [("one", state, by, status)]
    assert (running.state, running.by, running.status) == (state, by, status)
    assert (len(registry), list(registry.recent())) == (0, [running])


async def test_a_failure_that_was_told_to_the_client_is_a_failure() -> None:
    async def work(running: Running) -> None:
        running.fail(Truncated("cut"))

    assert (await Registry().ended(work)).state == "failed"


async def test_the_registry_gives_our_own_failures_no_words() -> None:
    running = await Registry().ended(raises(ZeroDivisionError("secret")))
    assert running.error is not None
    assert (running.error.code, "secret" in running.error.message) == ("internal_error", False)


# Cancelling


async def test_a_cancel_says_who_and_is_done_once() -> None:
    registry = Registry()
    running = registry.begin()
    await settled()
    assert running.stop("api")
    assert not running.stop("admin")
    await settled()
    assert registry.ends == [("one", "cancelled", "api", 499)]
    assert running.closed_ms is not None


async def test_a_handler_that_waits_and_is_cancelled_has_no_hand_in_it() -> None:
    registry = Registry()
    running = registry.begin()
    handling = asyncio.ensure_future(ended(running))
    await settled()
    handling.cancel()
    await settled()
    assert registry.ends == []
    running.stop("client_disconnect")
    await ended(running)
    assert registry.ends == [("one", "cancelled", "client_disconnect", 499)]
    assert running.closed_ms is not None


async def test_once_the_end_is_made_a_stop_changes_nothing() -> None:
    async def work(running: Running) -> None:
        running.complete()
        await asyncio.sleep(0)

    registry = Registry()
    running = registry.begin(work)
    await asyncio.sleep(0)
    assert (running.phase, running.state) == ("finishing", "completed")
    assert not running.stop("api")
    await ended(running)
    assert registry.ends == [("one", "completed", None, 200)]


async def test_a_mistake_of_ours_is_logged_with_the_phase_and_the_event(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(running: Running) -> None:
        running.trace.step("end_made")

    with capture_logs() as events:
        monkeypatch.setattr(running_module, "log", structlog.get_logger())
        running = await Registry().ended(work)
    assert (running.state, running.error and running.error.code) == ("failed", "internal_error")
    assert [(one["event"], one["phase"], one["event_met"]) for one in events] == [
        ("internal_error", "received", "end_made")
    ]


async def test_a_cancel_after_the_end_changes_nothing() -> None:
    registry = Registry()
    running = await registry.ended(answers)
    assert not running.stop("api")
    assert (running.state, running.by, len(registry.ends)) == ("completed", None, 1)


async def test_a_cancel_before_the_first_step_stops_it_too() -> None:
    steps: list[str] = []

    async def work(running: Running) -> None:
        try:
            running.begin()
            steps.append("went on")
        finally:
            steps.append(f"told of {running.by}")

    registry = Registry()
    running = registry.begin(work)
    running.stop("api")
    await ended(running)
    assert (steps, registry.ends) == (["told of api"], [("one", "cancelled", "api", 499)])


async def test_a_second_cancel_does_not_break_into_the_closing() -> None:
    closed: list[bool] = []

    async def work(_: Running) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            closed.append(True)

    running = Registry().begin(work)
    await settled()
    running.stop("api")
    running.stop("client_disconnect")
    await asyncio.wait({running.task})
    assert (closed, running.by) == ([True], "api")


async def test_all_can_be_cancelled_or_some() -> None:
    registry = Registry()
    for number in range(4):
        registry.begin(id=str(number), owner="me" if number % 2 else "you")
    await settled()
    assert len(registry.stop_all("drain", lambda one: one.owner == "me")) == 2
    assert len(registry.stop_all("drain")) == 2
    await registry.idle()
    assert {end[1:3] for end in registry.ends} == {("cancelled", "drain")}
    assert len(registry.ends) == 4


# Ids


async def test_a_clients_id_is_kept_if_it_is_free() -> None:
    registry = Registry()
    assert registry.free_id("mine-0001", "me") == "mine-0001"
    registry.begin(id="mine-0001")
    other = registry.free_id("mine-0001", "me")
    assert re.fullmatch(r"[A-Za-z0-9_-]{24}", other)
    registry.stop_all("drain")
    await registry.idle()


async def test_an_id_is_free_again_unless_it_is_resumable() -> None:
    registry = Registry()
    running = await registry.ended(answers)
    assert registry.free_id("one", "me") == "one"
    running.buffer = cast(Any, object())
    assert registry.free_id("one", "me") != "one"


async def test_ids_of_ours_do_not_repeat() -> None:
    registry = Registry()
    assert len({registry.free_id() for _ in range(1000)}) == 1000


async def test_two_requests_cannot_have_one_id() -> None:
    registry = Registry()
    registry.begin()
    with pytest.raises(GatewayError) as caught:
        registry.begin()
    assert (caught.value.status, caught.value.code) == (409, "request_id_in_use")
    registry.stop_all("drain")
    await registry.idle()


async def test_others_do_not_see_it() -> None:
    registry = Registry()
    running = registry.begin(owner="me")
    assert registry.get("one", "me") is running
    assert registry.get("one") is running
    assert registry.get("one", "you") is None
    assert registry.get("two") is None
    registry.stop_all("drain")
    await registry.idle()
    assert registry.get("one", "me") is running
    assert registry.get("one", "you") is None


async def test_two_keys_may_call_their_requests_the_same_and_neither_hides_the_others() -> None:
    registry = Registry()
    mine, yours = registry.begin(owner="me"), registry.begin(owner="you")
    assert (registry.get("one", "me"), registry.get("one", "you")) == (mine, yours)
    registry.stop_all("api")
    await registry.idle()
    assert (registry.get("one", "me"), registry.get("one", "you")) == (mine, yours)
    again = registry.begin(owner="you")
    assert registry.get("one", "me") is mine
    again.stop("api")
    await registry.idle()


async def test_only_so_many_are_remembered() -> None:
    registry = Registry(remembered=3)
    for number in range(5):
        await registry.ended(answers, str(number))
    assert [one.id for one in registry.recent()] == ["4", "3", "2"]
    assert registry.get("0") is None


async def test_idle_waits_for_the_last() -> None:
    registry = Registry()
    await registry.idle()
    running = [registry.begin(id=str(number)) for number in range(2)]
    idle = asyncio.ensure_future(registry.idle())
    running[0].stop("api")
    await settled()
    assert not idle.done()
    running[1].stop("api")
    await settled()
    assert idle.done()


# Tokens


@pytest.mark.parametrize(
    ("usage", "produced", "tokens"),
    [
        (Usage(3, 7), 100, (7, False)),
        (None, 10, (3, True)),
        (Usage(3, 0), 10, (3, True)),
        (None, 0, (0, True)),
    ],
)
async def test_tokens_are_the_providers_or_an_estimate_that_says_so(
    usage: Usage | None, produced: int, tokens: tuple[int, bool]
) -> None:
    registry = Registry()
    running = registry.begin()
    running.began(replied(usage, produced))
    assert running.tokens == tokens
    running.stop("api")
    await registry.idle()


async def test_when_it_is_over_the_numbers_stay_and_the_answer_goes() -> None:
    async def work(running: Running) -> None:
        running.began(replied(Usage(3, 7)))

    running = await Registry().ended(work)
    assert running.reply is None
    assert (running.usage, running.tokens) == (Usage(3, 7), (7, False))


# What is told


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    with capture_logs() as events:
        monkeypatch.setattr(observers, "log", structlog.get_logger())
        yield events


async def observed(work: Any, **trace: Any) -> tuple[Observer, list[Any]]:
    """A request that has ended, and the ledger's rows."""
    rows: list[Any] = []
    store = SimpleNamespace(note=lambda record, spent: rows.append(Entry.of(record, "p")))
    observer = Observer(lambda: cast(Store, store))
    registry = observer.registry = RequestRegistry(ended=observer.ended)
    question = chat()
    for name, value in {"id": "one", "provider": "p", "model": "pm", "attempts": 1, **trace}.items():
        setattr(question.trace, name, value)
    running = registry.start("one", "me", question, work)
    observer.started()
    await asyncio.wait({running.task})
    await settled()
    if observer._sweep is not None:
        observer._sweep.cancel()
    return observer, rows


async def whole(running: Running) -> None:
    running.began(replied(Usage(3, 7, cost=0.5), produced=100))


async def test_one_request_is_one_line_and_one_row(logged: list[Any]) -> None:
    _, rows = await observed(whole)
    assert [event["event"] for event in logged] == ["request"]
    line = logged[0]
    expected = {
        "provider": "p",
        "provider_model": "pm",
        "outcome": "ok",
        "status": 200,
        "tokens_in": 3,
        "tokens_out": 7,
    }
    assert {key: line[key] for key in expected} == expected
    assert "estimated" not in line
    assert [(row.id, row.state, row.usage_source) for row in rows] == [("one", "completed", "provider")]


async def test_tokens_without_a_count_are_estimated_and_say_so(logged: list[Any]) -> None:
    async def stopped(running: Running) -> None:
        running.began(replied(None, produced=41))
        running.stop("api")
        await asyncio.sleep(0)

    _, rows = await observed(stopped)
    assert (logged[0]["tokens_out"], logged[0]["estimated"], logged[0]["tokens_in"]) == (11, True, None)
    assert (logged[0]["outcome"], logged[0]["by"]) == ("cancelled", "api")
    assert [(row.state, row.stopped_by, row.usage_source, row.tokens_in) for row in rows] == [
        ("cancelled", "api", "estimated", None)
    ]


async def test_output_that_was_not_counted_is_estimated_beside_an_input_that_was(logged: list[Any]) -> None:
    async def stopped(running: Running) -> None:
        running.began(replied(Usage(3, 0), produced=41))
        running.stop("api")
        await asyncio.sleep(0)

    _, rows = await observed(stopped)
    assert (logged[0]["tokens_in"], logged[0]["tokens_out"], logged[0]["estimated"]) == (3, 11, True)
    assert [(row.usage_source, row.tokens_in, row.tokens_out) for row in rows] == [("estimated", 3, 11)]


async def test_a_request_that_never_began_counted_nothing(logged: list[Any]) -> None:
    _, rows = await observed(raises(Dropped("x")))
    assert (logged[0]["tokens_out"], logged[0]["ttft_ms"], logged[0]["code"]) == (None, None, "upstream_disconnected")
    assert (rows[0].usage_source, rows[0].state, rows[0].tokens_out) == ("none", "failed", None)


async def test_an_answer_that_was_cut_is_called_truncated(logged: list[Any]) -> None:
    await observed(raises(Truncated("cut")))
    assert logged[0]["outcome"] == "truncated"


async def test_what_happened_on_the_way_is_told(logged: list[Any]) -> None:
    await observed(whole, attempts=3, failures=["429"], dropped=["seed"], route="fast -> p/pm")
    assert (logged[0]["failures"], logged[0]["dropped"], logged[0]["route"]) == (("429",), ("seed",), "fast -> p/pm")


async def test_totals_grow_by_provider_model_and_outcome(logged: list[Any]) -> None:
    observer, _ = await observed(whole, attempts=3)
    totals = observer.metrics.totals["p", "pm", "ok"]
    assert (totals.requests, totals.retries, totals.tokens_in, totals.tokens_out) == (1, 2, 3, 7)


async def test_names_that_clients_make_up_do_not_grow_the_totals_without_bound(logged: list[Any]) -> None:
    observer = Observer()
    registry = RequestRegistry(ended=observer.ended)
    for number in range(700):
        question = chat()
        question.trace.provider, question.trace.model = "p", f"made-up-{number}"
        registry.start(str(number), "me", question, answers)
    await registry.idle()
    assert len(observer.metrics.totals) <= 502
    assert sum(one.requests for one in observer.metrics.totals.values()) == 700


async def test_nothing_that_was_said_is_told(logged: list[Any]) -> None:
    async def secret(running: Running) -> None:
        running.began(replied())
        raise ZeroDivisionError("the secret")

    _, rows = await observed(secret)
    assert "secret" not in repr(logged) + repr(rows)


def test_a_trace_begins_received() -> None:
    assert (Trace().phase, Trace().attempts, Trace().position) == ("received", 0, None)
