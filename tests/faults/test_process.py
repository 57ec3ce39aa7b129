"""F81-F95: signals, restarts, bad configurations and full disks. F96-F101 (Redis, Postgres, replicas) do not exist here;
F102 and F103 are in test_leaving.py and tests/threads."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from llmproxy.testing import FakeProvider
from tests.faults.conftest import Started
from tests.faults.house import FIRST, LAST, MORE, House, config, soon, streaming
from tests.faults.phases import PHASES, asked, full_socket
from tests.faults.wire import HOST, Wire, get, post
from tests.gateway import Gateway, running_gateway
from tests.thorough import THOROUGH
from tests.waiting import until

SHORT = streaming(FIRST, *[MORE] * 30, LAST, every=0.02)
BRIEF = streaming(FIRST, LAST)
STARTS = 4 if THOROUGH else 1  # of a process that is then told to end by many signals
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount file systems and make namespaces")


async def ended(gateway: Gateway) -> int:
    return await asyncio.to_thread(gateway.process.wait, 10)


# Ending


async def test_f81_streams_shorter_than_the_drain_are_finished(started: Started) -> None:
    async with started(drain_timeout=30) as house:
        cases = [house.case("p", SHORT) for _ in range(10)]
        wires = [await case.send() for case in cases]
        for wire in wires:
            await wire.until(b'"one "')
        house.gateway.process.terminate()
        seen = await asyncio.gather(*(wire.answer() for wire in wires))
        assert [one.events[-1] for one in seen] == ["[DONE]"] * 10
        assert await ended(house.gateway) == 0


async def test_f81_while_draining_it_is_not_ready_and_lets_no_connection_linger(started: Started) -> None:
    async with started(drain_timeout=30, drain_delay=30) as house, await Wire.open(house.port) as kept:
        await kept.send(get("/readyz"))
        assert (await kept.answer()).status == 200
        house.gateway.process.terminate()
        await soon(lambda: _draining(house))
        await kept.send(get("/readyz"))
        seen = await kept.answer()
        assert (seen.status, seen.json["status"], seen.headers["connection"]) == (503, "draining", "close")
        assert await kept.rest() == b""
        assert (await house.case("p", BRIEF).answer()).status == 200, "it still accepts, for a while"
        house.gateway.process.terminate()
        assert await ended(house.gateway) == 1


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/chat/completions", 503),
        ("/v1/messages", 529),
        pytest.param("/v1/responses", 503, marks=pytest.mark.thorough),
        pytest.param("/v1beta/models/p:generateContent", 503, marks=pytest.mark.thorough),
    ],
)
async def test_f82_a_body_that_does_not_arrive_in_time_is_refused_in_its_dialect(
    started: Started, path: str, status: int
) -> None:
    async with started(drain_timeout=0.5, body_timeout=30) as house, await Wire.open(house.port) as wire:
        await wire.send(half_of_a_body(path))
        assert (await house.call(get("/livez"))).status == 200  # what was sent before has been read
        house.gateway.process.terminate()
        seen = await wire.answer()
        assert (seen.status, seen.headers["connection"], seen.headers["retry-after"]) == (status, "close", "1")
        assert seen.whole
        assert "shutting down" in seen.error["message"]
        assert await ended(house.gateway) == 0


async def test_f82_the_answers_to_refused_bodies_arrive_though_the_clients_send_on(started: Started) -> None:
    async with started(drain_timeout=0.5, body_timeout=30) as house:
        wires = [await Wire.open(house.port) for _ in range(20)]
        for wire in wires:
            await wire.send(half_of_a_body("/v1/chat/completions"))
        assert (await house.call(get("/livez"))).status == 200  # what was sent before has been read
        house.gateway.process.terminate()
        for wire in wires:
            await wire.until(b" 503 ")
            with suppress(ConnectionError):
                await wire.send(b" " * 100)
            assert (await wire.answer()).error["code"] == "server_shutting_down"
            wire.fin()
        assert await ended(house.gateway) == 0


async def test_f81_a_body_that_arrives_during_the_drain_is_answered(started: Started) -> None:
    async with started(drain_timeout=30) as house:
        case = house.case("p", SHORT)
        request = case.ask()
        async with await Wire.open(house.port) as wire:
            await wire.send(request[:-10])
            assert (await house.call(get("/livez"))).status == 200  # what was sent before has been read
            house.gateway.process.terminate()
            await soon(lambda: _says_draining(house))
            await wire.send(request[-10:])
            assert (await wire.answer()).events[-1] == "[DONE]"
        assert await ended(house.gateway) == 0


def half_of_a_body(path: str) -> bytes:
    return post(path, {"model": "p/m", "messages": [], "input": "x" * 200})[:-100]


@pytest.mark.parametrize("loop", ["auto", "asyncio"])
async def test_f81_further_signals_after_the_last_work_do_not_change_the_exit_code(tmp_path: Path, loop: str) -> None:
    for _ in range(STARTS):
        process = serve(tmp_path, f'[server]\nloop = "{loop}"\n')
        await soon(lambda: _listens(tmp_path))
        process.terminate()
        await asyncio.to_thread(until, lambda: b'"stopped"' in said_in(tmp_path))
        assert await asyncio.to_thread(signalled_until_ended, process) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_f83_a_stream_of_signals_is_an_end_at_once_and_nothing_else(tmp_path: Path, number: int) -> None:
    for _ in range(STARTS):
        process = serve(tmp_path, "")
        await soon(lambda: _listens(tmp_path))
        assert await asyncio.to_thread(signalled_until_ended, process, number) in (0, 1)
        assert b"Traceback" not in said_in(tmp_path)


def signalled_until_ended(process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> int:
    while process.poll() is None:
        process.send_signal(number)
        time.sleep(0.0005)  # a stream of signals, which leaves the process some time
    return process.returncode


async def test_f83_what_was_cut_short_is_in_the_ledger(started: Started) -> None:
    async with started(drain_timeout=60) as house, asked(house, PHASES[4]) as one:
        for _ in range(2):
            house.gateway.process.terminate()
            await asyncio.sleep(0.1)
        assert await ended(house.gateway) == 1
        rows = ledger(house.gateway.folder / "data")
    assert rows[one.case.id] == ("cancelled", "drain")


@pytest.mark.parametrize("delay", [0.0, 0.05, 0.15, 0.3])
async def test_f84_a_signal_during_the_start_ends_it(tmp_path: Path, delay: float) -> None:
    process = serve(tmp_path, "")
    await asyncio.sleep(delay)
    began = time.monotonic()
    process.terminate()
    assert await asyncio.to_thread(process.wait, 5) in (0, 1, -signal.SIGTERM)
    assert time.monotonic() - began < 3
    assert b"Traceback" not in said_in(tmp_path)


@AS_ROOT
async def test_f84_as_the_first_process_of_a_container_it_still_obeys(tmp_path: Path) -> None:
    process = serve(tmp_path, "", prefix=["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"])
    await soon(lambda: _listens(tmp_path))
    inner = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0]
    os.kill(int(inner), signal.SIGTERM)
    assert await asyncio.to_thread(process.wait, 5) == 0


async def test_f85_killed_in_every_phase_no_row_is_broken_and_none_stays_open(tmp_path: Path) -> None:
    ids = []
    environment = {"LLMPROXY_DATA_DIR": str(tmp_path)}
    for _ in range(3):
        async with house_with(environment) as house, AsyncExitStack() as stack:
            done = house.case("p", BRIEF)
            await done.answer()
            ones = [await stack.enter_async_context(asked(house, phase)) for phase in PHASES[1:]]
            await asyncio.sleep(0.2)  # what a kill may take is a twentieth of a second
            house.gateway.process.kill()
            ids += [(one.case.id, "lost") for one in ones] + [(done.id, "completed")]
    async with house_with(environment) as house:
        await house.case("p", BRIEF).answer()
        await soon(lambda: _none_open(tmp_path))
    rows = ledger(tmp_path)
    assert [(id, rows[id][0]) for id, _ in ids] == ids


async def _none_open(folder: Path) -> bool:
    return all(state != "open" for state, _ in ledger(folder).values())


# A new configuration


async def test_f86_a_broken_config_is_refused_and_everything_goes_on(started: Started) -> None:
    async with started() as house:
        case = house.case("p", SHORT)
        async with await case.send() as wire:
            await wire.until(b'"one "')
            (house.gateway.folder / "llmproxy.toml").write_text("[server]\nmax_bodies = 3\n")
            house.gateway.process.send_signal(signal.SIGHUP)
            await soon(lambda: _logged(house, "config_rejected"))
            assert (await wire.answer()).events[-1] == "[DONE]"
        assert (await house.case("p", BRIEF).answer()).status == 200


async def test_f86_a_new_config_holds_for_new_requests_and_the_old_one_for_running_ones(started: Started) -> None:
    async with started() as house:
        case = house.case("p", SHORT)
        file = house.gateway.folder / "llmproxy.toml"
        async with await case.send() as wire:
            await wire.until(b'"one "')
            file.write_text(
                file.read_text().replace("[providers.p]", "[providers.renamed]").replace('"p/second"', '"one/x"')
            )
            house.gateway.process.send_signal(signal.SIGHUP)
            await soon(lambda: _logged(house, "config_reloaded"))
            assert (await house.case("renamed", BRIEF).answer()).status == 200
            assert (await house.case("p", BRIEF).answer()).status == 404
            assert (await wire.answer()).events[-1] == "[DONE]"


async def test_f86_a_file_that_was_refused_may_be_mended(started: Started) -> None:
    async with started() as house:
        file = house.gateway.folder / "llmproxy.toml"
        good = file.read_text()
        for bad in ("[server\n", '[providers.p]\nadapter = "compatible"\nbase_url = "https://a"\nca_file = "b.pem"\n'):
            before = len(house.gateway.events("config_rejected"))
            file.write_text(bad)
            house.gateway.process.send_signal(signal.SIGHUP)
            await soon(partial(_logged, house, "config_rejected", before))
        file.write_text(good.replace("[providers.p]", "[providers.renamed]").replace('"p/second"', '"one/x"'))
        await soon(lambda: _logged(house, "config_reloaded"))
        assert (await house.case("renamed", BRIEF).answer()).status == 200


# A start that must not be


WRONG = {
    "unknown key": ("[server]\nprot = 1\n", "prot"),
    "bad type": ('[server]\nport = "many"\n', "port"),
    "not TOML": ("[server\n", "llmproxy.toml"),
    "missing variable": (
        '[providers.p]\nadapter = "compatible"\napi_key = "${NOT_SET_ANYWHERE}"\n',
        "NOT_SET_ANYWHERE",
    ),
    "no file of certificates": (
        '[providers.p]\nadapter = "compatible"\nbase_url = "https://a"\nca_file = "b.pem"\n',
        "No such file",
    ),
    "a file of something else": (
        '[providers.p]\nadapter = "compatible"\nbase_url = "https://a"\nca_file = "llmproxy.toml"\n',
        "PEM",
    ),
    "unknown adapter": ('[providers.p]\nadapter = "compatibel"\n', 'did you mean "compatible"?'),
    "F104 open to the world without a key": ('[server]\nhost = "0.0.0.0"\n', "key"),
    "F104 open to the world without a key, IPv6": ('[server]\nhost = "::"\n', "key"),
}


@pytest.mark.parametrize("name", WRONG)
async def test_f87_a_wrong_config_is_one_clear_message(tmp_path: Path, name: str) -> None:
    text, sign = WRONG[name]
    process = serve(tmp_path, text)
    assert await asyncio.to_thread(process.wait, 10) == 2
    said = said_in(tmp_path)
    assert sign.encode() in said
    assert b"Traceback" not in said
    assert len(said.splitlines()) <= 4


async def test_f88_a_taken_port_is_said(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        process = serve(tmp_path, "", port=taken.getsockname()[1])
        assert await asyncio.to_thread(process.wait, 10) in (1, 2)
    said = said_in(tmp_path)
    assert b"in use" in said
    assert b"Traceback" not in said


# What a gateway stands on gives way


@asynccontextmanager
async def house_with(environment: dict[str, str]) -> AsyncIterator[House]:
    async with FakeProvider() as provider:
        with full_socket() as full, running_gateway(config(provider.port, full), environment) as gateway:
            yield House(gateway, provider)


async def test_f88_without_a_place_for_data_requests_are_served(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    async with house_with({"LLMPROXY_DATA_DIR": str(tmp_path / "file" / "data")}) as house:
        for _ in range(3):
            assert (await house.case("p", BRIEF).answer()).status == 200


@AS_ROOT
async def test_f89_a_full_disk_stops_no_request(tmp_path: Path) -> None:
    with small_disk(tmp_path):
        async with house_with({"LLMPROXY_DATA_DIR": str(tmp_path)}) as house:
            assert (await house.case("p", BRIEF).answer()).status == 200
            fill = tmp_path / "fill"
            with suppress(OSError), fill.open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(1024))
            for _ in range(50):
                assert (await house.case("p", BRIEF).answer()).status == 200
            await asyncio.sleep(0.3)
            fill.unlink()
            late = house.case("p", BRIEF)
            await late.answer()
            await soon(lambda: _in_ledger(tmp_path, late.id))
        database = sqlite3.connect(next(tmp_path.glob("*.db")))
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        database.close()


async def test_f90_a_locked_database_stops_no_request(tmp_path: Path) -> None:
    async with house_with({"LLMPROXY_DATA_DIR": str(tmp_path)}) as house:
        first = house.case("p", BRIEF)
        await first.answer()
        await soon(lambda: _in_ledger(tmp_path, first.id))
        holder = sqlite3.connect(next(tmp_path.glob("*.db")), isolation_level=None)
        holder.execute("BEGIN EXCLUSIVE")
        cases = [house.case("p", BRIEF) for _ in range(20)]
        assert [(await case.answer()).status for case in cases] == [200] * 20
        holder.execute("ROLLBACK")
        holder.close()
        await soon(lambda: _in_ledger(tmp_path, cases[-1].id))


async def test_f90_a_broken_database_stops_no_request_and_is_said(tmp_path: Path) -> None:
    environment = {"LLMPROXY_DATA_DIR": str(tmp_path)}
    async with house_with(environment) as house:
        first = house.case("p", BRIEF)
        await first.answer()
        await soon(lambda: _in_ledger(tmp_path, first.id))
    for file in tmp_path.glob("*.db*"):
        file.write_bytes(b"this is no database, whatever its name says. " * 1000)
    async with house_with(environment) as house:
        assert (await house.case("p", BRIEF).answer()).status == 200
        assert (await house.call(get("/threads"))).status in (200, 500, 503)
        assert (await house.case("p", BRIEF).answer()).status == 200


@pytest.mark.parametrize("reader", ["gone", "asleep"])
async def test_f95_a_log_that_nobody_takes_stops_nothing(tmp_path: Path, reader: str) -> None:
    async with FakeProvider() as provider:
        taking, giving = os.pipe()
        process = serve(tmp_path, config(provider.port), output=giving)
        os.close(giving)
        try:
            said = os.read(taking, 65536).decode()
            port = int(said.partition("127.0.0.1:")[2].partition("/")[0])
            if reader == "gone":
                os.close(taking)
            house = House(Gateway(f"http://{HOST}:{port}", tmp_path, process), provider)
            for _ in range(20):
                cases = [house.case("p", BRIEF) for _ in range(20)]
                seen = await asyncio.gather(*(case.answer() for case in cases))
                assert [one.status for one in seen] == [200] * 20
            assert (await cases[-1].state())["state"] == "completed"
            last = cases[-1].id
            process.terminate()
            await asyncio.to_thread(process.wait, 10)
            assert last in ledger(tmp_path / "data")
        finally:
            process.kill()
            if reader == "asleep":
                os.close(taking)


# Helpers


def serve(
    folder: Path, text: str, *, port: int = 0, prefix: list[str] | None = None, output: int | None = None
) -> subprocess.Popen[bytes]:
    """`llmproxy serve` in this folder; what it says is in the file `output` there."""
    (folder / "llmproxy.toml").write_text(text)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "LLMPROXY_DATA_DIR": str(folder / "data"),
        "LLMPROXY_DISCOVER": "0",
        "LLMPROXY_LOG_FORMAT": "json",
    }
    command = [*(prefix or []), sys.executable, "-m", "llmproxy", "serve", "--port", str(port)]
    with (folder / "output").open("wb") as file:
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=file, stderr=output or file)


def said_in(folder: Path) -> bytes:
    return (folder / "output").read_bytes()


def ledger(folder: Path) -> dict[str, tuple[str, str | None]]:
    """State and stopper by request id."""
    found = list(folder.glob("*.db"))
    if not found:
        return {}
    database = sqlite3.connect(f"file:{found[0]}?mode=ro", uri=True)
    try:
        rows = database.execute("SELECT id, state, stopped_by FROM ledger").fetchall()
    except sqlite3.OperationalError:
        return {}
    finally:
        database.close()
    return {id: (state, by) for id, state, by in rows}


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


async def _in_ledger(folder: Path, id: str) -> bool:
    return id in ledger(folder)


async def _logged(house: House, event: str, more_than: int = 0) -> bool:
    return len(house.gateway.events(event)) > more_than


async def _draining(house: House) -> bool:
    return (await house.call(get("/readyz"))).status == 503


async def _says_draining(house: House) -> bool:
    return bool(house.gateway.events("draining"))


async def _listens(folder: Path) -> bool:
    return b"listening" in said_in(folder)
