"""Periodic jobs go on after a failure, which is logged and counted."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web

from llmproxy.config import Config, Provider, Server
from llmproxy.core.trace import Trace
from llmproxy.observe import periodic
from llmproxy.requests import registry
from llmproxy.routing.model_catalog import ModelCatalog, Source
from llmproxy.server.context import CURRENT, LOAD_SHEDDING, REGISTRY, TURNS
from llmproxy.server.middleware import load_shedding
from llmproxy.server.process import disconnect_watchdog, listener, load_monitor, reload
from llmproxy.server.streaming import client_socket
from llmproxy.store import Store
from llmproxy.store.ledger import Entry
from llmproxy.upstream.http.pool import Pool

LOOPS: list[Callable[[], asyncio.AbstractEventLoop]] = [asyncio.new_event_loop]
try:
    import uvloop

    LOOPS.append(uvloop.new_event_loop)
except ImportError:
    pass


@pytest.fixture(params=LOOPS, ids=lambda make: make.__module__.partition(".")[0])
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, None]], None]:
    def runs(main: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(main)

    return runs


@pytest.fixture(autouse=True)
def counted() -> Iterator[None]:
    periodic.failures.clear()
    yield
    periodic.failures.clear()


class FailsOnce:
    """Raises at the first call; `again` is set at the second."""

    def __init__(self, result: object = None, error: type[Exception] = RuntimeError) -> None:
        self.calls, self.again, self._result, self._error = 0, asyncio.Event(), result, error

    def __call__(self, *_: object, **__: object) -> Any:
        self.calls += 1
        if self.calls == 1:
            raise self._error("secret")
        self.again.set()
        return self._result


async def second_time(job: FailsOnce, name: str) -> None:
    async with asyncio.timeout(5):
        await job.again.wait()
    assert periodic.failures == {name: 1}


async def test_a_failure_is_logged_by_its_type_and_place_and_not_by_its_values(caplog: Any, capsys: Any) -> None:
    job = FailsOnce()
    with periodic.every(0.001, job, "example"):
        await second_time(job, "example")
    assert "secret" not in "".join(capsys.readouterr())


async def test_nothing_runs_after_the_block() -> None:
    job = FailsOnce()
    with periodic.every(0.001, job, "example"):
        await second_time(job, "example")
    calls = job.calls
    with periodic.every(0.001, later := FailsOnce(), "later"):
        await second_time_of(later)
    assert job.calls == calls


async def second_time_of(job: FailsOnce) -> None:
    async with asyncio.timeout(5):
        await job.again.wait()


class Every:
    """The jobs that one helper runs: what each does in the block, with the call in it that fails once."""

    @staticmethod
    def disconnect_watchdog(patch: pytest.MonkeyPatch, job: FailsOnce) -> AbstractContextManager[None]:
        patch.setattr(disconnect_watchdog, "_gone", job)
        asked = SimpleNamespace(transport=object(), cancel=lambda by: None)
        patch.setattr(disconnect_watchdog, "_EVERY", 0.001)
        return disconnect_watchdog.running({REGISTRY: [asked]})  # type: ignore[arg-type]

    @staticmethod
    def header_timeouts(patch: pytest.MonkeyPatch, job: FailsOnce) -> AbstractContextManager[None]:
        patch.setattr(listener, "_EVERY", 0.001)
        entry = listener.Listener(SimpleNamespace(request_factory=None), Server(), 30.0)  # type: ignore[arg-type]
        entry.inside = [SimpleNamespace(is_late=job)]  # type: ignore[assignment]
        return entry.watched()

    @staticmethod
    def load_monitor(patch: pytest.MonkeyPatch, job: FailsOnce) -> AbstractContextManager[None]:
        patch.setattr(load_monitor, "_EVERY", 0.001)
        current = SimpleNamespace(config=SimpleNamespace(server=Server()))
        app: Any = {LOAD_SHEDDING: load_shedding.LoadShedding(), CURRENT: current, REGISTRY: (), TURNS: ()}
        patch.setattr(load_monitor, "_resident", job)
        return load_monitor.watching(app)

    @staticmethod
    def config_file(patch: pytest.MonkeyPatch, job: FailsOnce) -> AbstractContextManager[None]:
        patch.setattr(reload, "_LOOK", 0.001)
        patch.setattr(reload, "_changed", lambda _: 0.0)
        watched = reload.Reload(web.Application(), Config, "x").watched()
        patch.setattr(reload, "_changed", job)
        return watched


@pytest.mark.parametrize("name", [name for name in vars(Every) if not name.startswith("_")])
def test_each_goes_on_after_its_body_failed(
    name: str, run: Callable[[Coroutine[Any, Any, None]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        job = FailsOnce(result=0)
        with getattr(Every, name)(monkeypatch, job):
            await second_time(job, name)

    run(main())


def test_a_socket_that_was_closed_counts_as_gone(run: Callable[[Coroutine[Any, Any, None]], None]) -> None:
    """uvloop raises ValueError where asyncio raises OSError."""

    async def main() -> None:
        one, other = socket.socketpair()
        transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=one)
        transport.abort()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        other.close()
        assert disconnect_watchdog._gone(transport) or transport.get_extra_info("socket") is None
        assert client_socket.unsent(transport) == 0

    run(main())


async def test_the_lists_of_models_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    job = FailsOnce()
    source: Any = Source(Provider("p", "compatible"), object(), object())  # type: ignore[arg-type]
    monkeypatch.setattr("llmproxy.routing.model_catalog._SOON", 0.001)
    catalog = ModelCatalog([source])

    async def refresh(*_: object) -> None:
        job()

    monkeypatch.setattr(ModelCatalog, "_refresh", refresh)
    async with asyncio.TaskGroup() as group:
        fresh = group.create_task(catalog.keep_fresh())
        await second_time(job, "model_lists")
        fresh.cancel()


async def test_deadlines_go_on() -> None:
    requests = registry.RequestRegistry(remembered=10)
    now = asyncio.get_running_loop().time()
    job = FailsOnce()
    for number in (1, 2):
        requests._running[("", str(number))] = SimpleNamespace(  # type: ignore[assignment]
            trace=Trace(str(number), deadline=now + 0.001 * number), stop=job
        )
        requests._limit(now + 0.001 * number, ("", str(number)))
    await second_time(job, "deadlines")


async def test_connections_that_are_kept_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    job = FailsOnce()
    pool = Pool(0.001)
    connection: Any = SimpleNamespace(rest=lambda: None, idle_since=0.0, abort=job, closed=True)
    for _ in range(2):
        pool.put("route", connection)  # type: ignore[arg-type]
        async with asyncio.timeout(5):
            while pool._timer is not None:  # noqa: ASYNC110  # the timer tells nobody
                await asyncio.sleep(0)
    await second_time(job, "idle_connections")


async def test_the_store_is_tidied_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    async with Store(tmp_path / "data") as store:
        await store.write(lambda db: None)
        job = FailsOnce(result=set())
        loop, done = asyncio.get_running_loop(), asyncio.Event()
        monkeypatch.setattr("llmproxy.store.sqlite.processes.living", job)
        monkeypatch.setattr("llmproxy.store.store.TIDY_SECONDS", 0.0)
        monkeypatch.setattr(job, "again", SimpleNamespace(set=lambda: loop.call_soon_threadsafe(done.set)))
        store._tidy_at = 0.0
        async with asyncio.timeout(5):
            while not done.is_set():
                await store.write(lambda db: None)
    assert periodic.failures == {"store_tidy": 1}


async def test_the_ledger_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Store(None) as store:
        job = FailsOnce()
        monkeypatch.setattr(store.ledger, "flush", job)
        for _ in range(2):
            store.ledger._timer = None
            store.ledger.put(Entry(0.0, "x", "p"))
            await asyncio.sleep(0)
        await second_time(job, "ledger")
