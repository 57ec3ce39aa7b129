"""The scenarios S1 to S10 and the translators' own cost: what each asks of every target, and what it measures."""

from __future__ import annotations

import asyncio
import dataclasses
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from . import aborts, installed, machine, readers, translate
from .call import Asked, Tally, closed_loop
from .frames import Order
from .open_loop import Load
from .results import Metrics, Results
from .running import PATIENCE, Launched, NotStarted, Running, answers, launched, started
from .targets import SHARED, TARGETS, Kind, Target, wide

BODY_MB = 4


@dataclass(frozen=True, slots=True)
class Bench:
    """One run: whom it measures, how much it takes, and where it writes."""

    targets: Sequence[Target]
    mock: int
    results: Results
    quick: bool

    @property
    def repeats(self) -> int:
        return 1 if self.quick else 3

    def seconds(self, full: float) -> float:
        return full / 3 if self.quick else full

    def record(self, scenario: str, level: str, target: Target, metrics: Metrics) -> None:
        self.results.record(scenario, level, target.name, metrics)
        shown = "  ".join(f"{name} {value:,.4g}" for name, value in metrics.items())
        print(f"{scenario:3} {level:16} {target.name:14} {shown}", file=sys.stderr, flush=True)

    @asynccontextmanager
    async def all_up(self, *, but: Kind | None = None) -> AsyncIterator[list[Running]]:
        """Every target that starts, `but` those of a kind, all at once, so that repetitions can be interleaved."""
        async with AsyncExitStack() as stack:
            up = []
            for target in self.targets:
                if target.kind == but:
                    continue
                try:
                    up.append(await stack.enter_async_context(started(target, self.mock)))
                except NotStarted as error:
                    self.left_out(target, error)
            yield up

    @asynccontextmanager
    async def fresh(self, target: Target) -> AsyncIterator[Running | None]:
        """A target in a new process, without the traces of what came before; None if it does not start."""
        async with AsyncExitStack() as stack:
            try:
                running = await stack.enter_async_context(started(target, self.mock))
            except NotStarted as error:
                self.left_out(target, error)
                running = None
            yield running

    def left_out(self, target: Target, error: NotStarted) -> None:
        self.results.notes.append(f"{target.name} was left out: {error}")
        print(self.results.notes[-1], file=sys.stderr)


def _percentiles(seconds: list[float]) -> Metrics:
    """p50 and p99 in ms."""
    if len(seconds) < 2:
        return {}
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return {"p50_ms": cuts[49] * 1e3, "p99_ms": cuts[98] * 1e3}


def _per(running: Running, spent: float, count: int) -> Metrics:
    return {"cpu_us": spent * 1e6 / count} if running.pid is not None and count else {}


async def _load(running: Running, request: bytes, concurrency: int, seconds: float) -> Metrics:
    pids = running.pids
    await closed_loop(running.asked, request, concurrency, seconds / 4)
    before, begun = machine.cpu(pids), time.perf_counter()
    tally: Tally = await closed_loop(running.asked, request, concurrency, seconds)
    spent, took = machine.cpu(pids) - before, time.perf_counter() - begun
    rate = {"per_s": tally.answers / took, "errors": float(tally.errors)}
    return {**_per(running, spent, tally.answers), **rate, **_percentiles(tally.latencies)}


async def small_json(bench: Bench) -> None:
    """S1: small JSON answers at three concurrencies."""
    async with bench.all_up() as up:
        for concurrency in (1, 32, 256):
            for _ in range(bench.repeats):
                for running in up:
                    metrics = await _load(
                        running, running.asked.request(Order("json")), concurrency, bench.seconds(1.2)
                    )
                    bench.record("S1", f"c={concurrency}", running.target, metrics)


async def large_bodies(bench: Bench) -> None:
    """S2: 200 KB of messages, and 4 MB with an image."""
    for target in bench.targets:
        async with bench.fresh(target) as running:
            if running is not None:
                bench.record("S2", "4 MB image", target, await _peak(running))
    async with bench.all_up() as up:
        for _ in range(bench.repeats):
            for running in up:
                request = running.asked.request(Order("json"), bulk=BODY_MB * machine.MB, image=True)
                bench.record("S2", "4 MB image", running.target, await _load(running, request, 1, bench.seconds(1.2)))
                request = running.asked.request(Order("json"), bulk=200_000)
                bench.record("S2", "200 KB text", running.target, await _load(running, request, 8, bench.seconds(1.2)))


async def _peak(running: Running) -> Metrics:
    """What one 4 MB body adds to the memory of a process that has seen none, at its highest."""
    request = running.asked.request(Order("json"), bulk=BODY_MB * machine.MB, image=True)
    pids = running.pids
    machine.forget_peak(pids)
    before = machine.rss(pids)
    tally = await closed_loop(running.asked, request, 1, 0.0)
    return {"peak_mb": machine.peak_rss(pids) - before, "errors": float(tally.errors)} if pids else {}


async def paced_streams(bench: Bench) -> None:
    """S3: 100 streams of 50 events a second, and 1,000 of 5 (100 of one, where that is too much)."""
    async with bench.all_up() as up:
        for _ in range(bench.repeats):
            for running in up:
                bench.record("S3", "100 x 50/s", running.target, await _paced(running, 100, 50, bench.seconds(1.8)))
    for target in bench.targets:
        # A thousand streams of a slow one would take minutes to begin.
        count, rate = (100, 1) if target.slow else (1000, 5)
        async with bench.fresh(target) as one:
            if one is not None:
                metrics = await _paced(one, count, rate, bench.seconds(3.0), fresh=True)
                bench.record("S3", f"{count:,} x {rate}/s", target, metrics)


async def _paced(running: Running, count: int, rate: int, seconds: float, *, fresh: bool = False) -> Metrics:
    marks: list[tuple[float, float, int]] = []
    await closed_loop(running.asked, running.asked.request(Order("json")), 8, 0.1)
    pids = running.pids
    idle = machine.rss(pids)

    def mark(heard: readers.Heard) -> None:
        marks.append((machine.cpu(pids), machine.rss(pids), heard.events))

    ramp = count / (50 if running.target.slow else 400)
    heard = await readers.paced(running.asked, count, rate, seconds, ramp, mark)
    (cpu0, _, events0), (cpu1, resident, events1) = marks
    memory = {"kb_per_stream": (resident - idle) * 1024 / count} if pids and fresh else {}
    cost = _per(running, cpu1 - cpu0, events1 - events0)
    return {**cost, "errors": float(heard.broken), **memory, **_percentiles(heard.delays)}


async def many_streams(bench: Bench) -> None:
    """S10: 3,000 and 5,000 streams of 2 events a second, each in a fresh process."""
    for target in bench.targets:
        if target.slow:
            continue
        for count in (3000, 5000):
            async with bench.fresh(wide(target)) as one:
                if one is not None:
                    metrics = await _paced(one, count, 2, bench.seconds(6.0), fresh=True)
                    bench.record("S10", f"{count:,} x 2/s", target, metrics)


async def burst_streams(bench: Bench) -> None:
    """S4: eight streams at once, each as fast as the mock can; one more level in Gemini's dialect where a target speaks it."""
    async with bench.all_up() as up:
        for _ in range(bench.repeats):
            for running in up:
                bench.record("S4", "OpenAI", running.target, await _burst(bench, running, running.asked))
                if running.target.gemini:
                    gemini = dataclasses.replace(running.asked, model=running.target.gemini)
                    bench.record("S4", "Gemini", running.target, await _burst(bench, running, gemini))


async def _burst(bench: Bench, running: Running, asked: Asked) -> Metrics:
    events = 500 if running.target.slow else 4000
    request = asked.request(Order("burst", {"n": events}))
    await readers.burst(asked, 2, events, 0.0, request)
    pids = running.pids
    before, begun = machine.cpu(pids), time.perf_counter()
    heard = await readers.burst(asked, 8, events, bench.seconds(1.2), request)
    spent, took = machine.cpu(pids) - before, time.perf_counter() - begun
    return {**_per(running, spent, heard.events), "per_s": heard.events / took, "errors": float(heard.broken)}


async def leaving_clients(bench: Bench) -> None:
    """S5: clients that leave, in every phase; then thousands of them, and what they left behind."""
    async with bench.all_up(but="peer") as up, aborts.watching(bench.mock) as watch:
        for phase in aborts.PHASES:
            for running in up:
                await _leaving(bench, running, watch, phase, 30 if bench.quick else 300)
            await _leaving_peers(bench, watch, phase)
        for running in up:
            if running.target.kind == "ours":
                bench.record("S5", "left behind", running.target, await _left_behind(bench, running, watch))


async def _leaving_peers(bench: Bench, watch: aborts.Watch, phase: aborts.Phase) -> None:
    """Each in a process for this phase alone: one that reads on without its clients has no time for the next."""
    for target in bench.targets:
        if target.kind == "peer":
            async with bench.fresh(target) as running:
                if running is not None:
                    await _leaving(bench, running, watch, phase, 30)


async def _leaving(bench: Bench, running: Running, watch: aborts.Watch, phase: aborts.Phase, count: int) -> None:
    closings = await aborts.leave_often(running.asked, watch, phase, count)
    ends = {"never": float(closings.never), "errors": float(closings.errors)}
    bench.record("S5", phase.name, running.target, {**_percentiles(closings.delays), **ends})


async def _left_behind(bench: Bench, running: Running, watch: aborts.Watch) -> Metrics:
    share = (500 if bench.quick else 10_000) // len(aborts.PHASES)

    async def all_phases(count: int) -> int:
        closed = [await aborts.leave_often(running.asked, watch, phase, count, 50) for phase in aborts.PHASES]
        await asyncio.sleep(0.5)
        return sum(one.never + one.errors for one in closed)

    await all_phases(300)  # pools, and the list of finished requests that is kept, grow to their size once
    pids = running.pids
    resident, sockets = machine.rss(pids), machine.sockets(pids)
    failed = await all_phases(share)
    return {
        "aborts": float(share * len(aborts.PHASES)),
        "never": float(failed),
        "grown_mb": machine.rss(pids) - resident,
        "sockets": float(machine.sockets(pids) - sockets),
    }


async def starting(bench: Bench) -> None:
    """S6: CPU and time to the first 200, memory at rest, and what an installation takes."""
    for _ in range(bench.repeats):
        for target in (TARGETS["bare aiohttp"], *bench.targets):
            if target.command is not None:
                await _start(bench, target)
    if not bench.quick:
        for target, metrics in installed.sizes(bench.targets):
            bench.record("S6", "installed", target, metrics)


async def _start(bench: Bench, target: Target) -> None:
    with launched(target, bench.mock) as one:
        assert isinstance(one, Launched)
        begun = time.perf_counter()
        try:
            await answers(one.asked, one.process, PATIENCE)
        except NotStarted as error:
            bench.left_out(target, error)
            return
        took = time.perf_counter() - begun
        pids = machine.tree(one.process.pid)
        spent = machine.cpu(pids)
        await asyncio.sleep(0.7)
        metrics = {"start_s": took, "start_cpu_s": spent, "idle_mb": machine.rss(machine.tree(one.process.pid))}
        bench.record("S6", "start", target, metrics)


async def stalled_readers(bench: Bench, count: int = 8) -> None:
    """S7: readers that do not read, while the mock has 30 MB for each of them."""
    for target in bench.targets:
        async with bench.fresh(target) as running:
            if running is None or running.pid is None:
                continue
            await closed_loop(running.asked, running.asked.request(Order("json")), 8, 0.1)
            resident = machine.rss(running.pids)
            highest = await _stall(running, count, bench.seconds(2.4))
            bench.record("S7", f"{count} readers", target, {"mb_per_reader": (highest - resident) / count})


async def _stall(running: Running, count: int, seconds: float) -> float:
    """The highest memory (MB) seen while they stall."""
    stalled = [readers.Stalled() for _ in range(count)]
    request = running.asked.request(Order("burst", {"n": 100_000}))
    highest = 0.0
    try:
        for one in stalled:
            await one.open(running.asked.port, receive_buffer=4096)
            one.send(request)
        for _ in range(10):
            await asyncio.sleep(seconds / 10)
            highest = max(highest, machine.rss(running.pids))
    finally:
        for one in stalled:
            one.close()
    return highest


LOADS = (0.5, 0.8, 1.0, 1.5)  # times what it can answer


async def open_loop(bench: Bench) -> None:
    """S8: requests that arrive at random moments, up to more than can be answered; and how soon it is as before."""
    for target in bench.targets:
        async with bench.fresh(target) as running:
            if running is not None and running.pid is not None and not target.slow:
                for _ in range(bench.repeats):
                    await _rising(bench, running)
        if target.other_key:
            async with bench.fresh(target) as running:
                if running is not None:
                    await _flooded(bench, running)


async def _rising(bench: Bench, running: Running) -> None:
    request, seconds = running.asked.request(Order("json")), bench.seconds(6.0)
    capacity = await _capacity(running, request)
    load = Load(running.asked, request)
    try:
        for times in LOADS:
            found = await load.run(capacity * times, seconds)
            shares = {"goodput": found.answers / seconds / capacity, "refused": found.refused / max(1, found.asked)}
            waits = {**_percentiles(found.latencies), "longest_s": max(found.latencies, default=0.0)}
            metrics = {"asked_per_s": capacity * times, **shares, **waits, "errors": float(found.errors)}
            bench.record("S8", f"{times} x capacity", running.target, metrics)
        after = await load.run(capacity * LOADS[0], 1.0)
        bench.record("S8", "the second after", running.target, _percentiles(after.latencies))
    finally:
        load.close()


async def _capacity(running: Running, request: bytes) -> float:
    """Answers a second, with enough connections that it always has something to do."""
    await closed_loop(running.asked, request, 64, 0.5)
    begun = time.perf_counter()
    tally = await closed_loop(running.asked, request, 64, 2.0)
    return tally.answers / (time.perf_counter() - begun)


async def _flooded(bench: Bench, running: Running) -> None:
    """A key that asks now and then: alone, and while another one asks for more than can be answered."""
    request, seconds = running.asked.request(Order("json")), bench.seconds(6.0)
    capacity = await _capacity(running, request)
    second = dataclasses.replace(running.asked, headers=running.asked.headers.replace(*running.target.other_key))
    quiet, flood = Load(second, second.request(Order("json")), seed=2), Load(running.asked, request)
    try:
        alone = await quiet.run(20, seconds)
        bench.record("S8", "another key alone", running.target, _percentiles(alone.latencies))
        beside, _ = await asyncio.gather(quiet.run(20, seconds), flood.run(capacity * LOADS[-1], seconds))
        metrics = {**_percentiles(beside.latencies), "refused": beside.refused / beside.asked}
        bench.record("S8", "while a key floods", running.target, metrics)
    finally:
        quiet.close()
        flood.close()


async def shared_stores(bench: Bench) -> None:
    """S9: what a request with a limit and a budget, and an event of its answer, cost with each store, and with replicas.

    Rounds are short and many, so that all see the same of a machine that does other things too.
    """
    async with dataclasses.replace(bench, targets=SHARED).all_up() as up:
        for _ in range(3 * bench.repeats):
            for running in up:
                request = running.asked.request(Order("json"))
                bench.record("S9", "JSON, c=8", running.target, await _load(running, request, 8, bench.seconds(1.2)))
            for running in up:
                bench.record("S9", "20 x 50/s", running.target, await _paced(running, 20, 50, bench.seconds(1.5)))


async def translating(bench: Bench) -> None:
    """T: what a translator costs for an event, within this process."""
    for _ in range(bench.repeats):
        for name, seconds in translate.costs(0.1 if bench.quick else 0.4):
            bench.record("T", name, TARGETS["llmproxy"], {"cpu_us": seconds * 1e6})


SCENARIOS: dict[str, Callable[[Bench], Awaitable[None]]] = {
    "S1": small_json,
    "S2": large_bodies,
    "S3": paced_streams,
    "S4": burst_streams,
    "S5": leaving_clients,
    "S6": starting,
    "S7": stalled_readers,
    "S8": open_loop,
    "S9": shared_stores,
    "S10": many_streams,
    "T": translating,
}
