"""A process as operators meet it: a port that is taken, a folder that cannot be written to, a stop in mid-stream."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from llmproxy.config import Server
from llmproxy.requests.registry import RequestRegistry
from llmproxy.server.process import drain
from llmproxy.server.process.socket_options import PortTaken, bound, refuse_taken
from llmproxy.upstream.idle_timer import IdleTimer
from tests.core.kit import chat
from tests.faults.conftest import Started, started  # noqa: F401  # a fixture
from tests.faults.house import FIRST, LAST, MORE, streaming
from tests.gateway import Gateway, free_port, running_gateway
from tests.server.asking import ask
from tests.waiting import until

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root may make mounts and give up its rights")
HELLO = {"model": "demo/hello", "messages": [{"role": "user", "content": "hi"}]}
QUICK = "[providers.demo]\noptions = { tokens_per_second = 4000 }\n"


# The port


@pytest.mark.parametrize("first", [1, 2])
@pytest.mark.parametrize("second", [1, 2])
def test_two_gateways_never_share_a_port(tmp_path: Path, first: int, second: int) -> None:
    port = free_port()
    with running_gateway(f"[server]\nworkers = {first}\n", port=port):
        command = [sys.executable, "-m", "llmproxy", "serve", "--port", str(port), "--workers", str(second)]
        environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LLMPROXY_DISCOVER": "0"}
        ended = subprocess.run(
            command, check=False, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=20
        )
    assert ended.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_port_is_taken_by_who_listens_on_every_address() -> None:
    with bound("0.0.0.0", 0, share=True) as other:
        other.listen()
        with pytest.raises(PortTaken):
            refuse_taken("127.0.0.1", other.getsockname()[1])


def test_a_port_that_was_left_a_moment_ago_is_free() -> None:
    """Its old connections linger (TIME_WAIT), which is no reason not to start again."""
    with bound("127.0.0.1", 0) as one:
        one.listen()
        port = one.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            one.accept()[0].close()
    refuse_taken("127.0.0.1", port)


# The log


def test_in_json_every_line_is_json_from_the_first_on() -> None:
    with running_gateway(QUICK) as gateway:
        ask(gateway.url, "/v1/nothing")
        gateway.stop()
        lines = [json.loads(line) for line in gateway.output.splitlines()]
    assert (lines[0]["event"], lines[0]["url"], lines[0]["providers"]) == ("listening", gateway.base_url, ["demo"])
    assert [line["event"] for line in lines] == ["listening", "refused", "draining", "stopped"]


def test_where_it_listens_is_said_at_every_level() -> None:
    with running_gateway("[logs]\nlevel = 'error'\n" + QUICK) as gateway:
        assert json.loads(gateway.output.splitlines()[0])["message"].endswith("(providers: demo)")


# The folder for data


def mounted(script: str, serve: list[str], output: Path, environ: dict[str, str]) -> subprocess.Popen[bytes]:
    """The command after these mounts, which nobody else sees."""
    command = ["unshare", "--mount", "sh", "-c", f'{script} && exec "$@"', "sh", *serve]
    with output.open("wb") as file:
        return subprocess.Popen(command, cwd="/", env={**os.environ, **environ}, stdout=file, stderr=file)


def announced(gateway: Gateway) -> Gateway:
    gateway.url = until(lambda: gateway.events("listening"))[0]["url"].removesuffix("/v1")
    return gateway


@AS_ROOT
def test_a_folder_that_cannot_be_written_to_is_said_at_once_everywhere(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    environ = {"LLMPROXY_DATA_DIR": str(data), "LLMPROXY_LOG_FORMAT": "json"}
    serve = [sys.executable, "-m", "llmproxy", "serve", "--port", "0"]
    script = f"mount -o bind {data} {data} && mount -o remount,ro,bind {data}"
    process = mounted(script, serve, tmp_path / "output", environ)
    try:
        gateway = announced(Gateway("", tmp_path, process))
        line = until(lambda: gateway.events("storage_failed"))[0]
        assert line["reason"].startswith(f"{data} is not writable")
        assert ask(gateway.url, "/readyz").json["storage"] == "failing"
        assert ask(gateway.url, "/v1/chat/completions", method="POST", body=HELLO).status == 200
        refused = ask(gateway.url, "/threads", method="POST", body={"title": "t"})
        assert (refused.status, refused.code) == (503, "storage_unavailable")
        until(lambda: [one for one in gateway.events("refused") if one["code"] == "storage_unavailable"])
    finally:
        process.terminate()
        process.wait(10)


def test_a_file_in_its_place_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with running_gateway(QUICK, {"LLMPROXY_DATA_DIR": str(tmp_path / "file" / "data")}) as gateway:
        assert "is not a folder" in until(lambda: gateway.events("storage_failed"))[0]["reason"]
        assert ask(gateway.url, "/readyz").json["storage"] == "failing"


def test_a_database_of_a_later_version_is_said_at_the_start(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "llmproxy.db") as later:
        later.execute("PRAGMA user_version = 9999")
    with running_gateway(QUICK, {"LLMPROXY_DATA_DIR": str(tmp_path)}) as gateway:
        until(lambda: gateway.events("storage_failed"))
        assert ask(gateway.url, "/readyz").json["storage"] == "failing"


def test_a_folder_that_can_be_made_is_fine(tmp_path: Path) -> None:
    with running_gateway(QUICK, {"LLMPROXY_DATA_DIR": str(tmp_path / "a" / "b")}) as gateway:
        assert ask(gateway.url, "/readyz").json["storage"] == "ok"
        assert not (tmp_path / "a").exists(), "nothing is opened before it is needed"


@AS_ROOT
def test_several_workers_run_where_only_the_data_folder_can_be_written_to(tmp_path: Path) -> None:
    data = Path(tempfile.mkdtemp(prefix="data-"))  # with a short name: sockets have no long ones
    environ = {"LLMPROXY_DATA_DIR": str(data), "LLMPROXY_LOG_FORMAT": "json", "TMPDIR": ""}
    serve = [sys.executable, "-m", "llmproxy", "serve", "--workers", "2", "--port", "0"]
    process = mounted(f"mount -o bind {data} {data} && mount -o remount,ro,bind /", serve, data / "output", environ)
    try:
        gateway = announced(Gateway("", data, process))
        assert ask(gateway.url, "/v1/chat/completions", method="POST", body=HELLO).status == 200
        assert "Traceback" not in gateway.output
    finally:
        process.terminate()
        process.wait(15)
        shutil.rmtree(data)


# The end


def test_a_stop_is_over_before_a_container_engine_kills() -> None:
    assert Server().drain_delay + Server().drain_timeout + drain._LAST_WORDS < 10


# A process that is stopped for a while


async def test_a_stop_of_the_process_blames_no_provider_and_cuts_no_stream(started: Started) -> None:  # noqa: F811
    """What came meanwhile waits in the socket, and the timers that are due must not judge before it is read."""
    async with started() as house:
        case = house.case("brief", streaming(FIRST, *[MORE] * 40, LAST, every=0.05))
        async with await case.send() as wire:
            await wire.until(b'"one "')
            house.gateway.process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(1.6)  # several idle limits of this provider, and less than the stream
            house.gateway.process.send_signal(signal.SIGCONT)
            assert (await wire.answer()).events[-1] == "[DONE]"
        assert (await house.case("brief", streaming(FIRST, LAST)).answer()).status == 200


async def test_a_timer_that_comes_late_gives_another_chance() -> None:
    with IdleTimer(0.05) as timer:
        time.sleep(1.2)  # noqa: ASYNC251  # the process stands still
        await asyncio.sleep(0.01)
        assert not timer.fired
        timer.moved()
    with pytest.raises(TimeoutError), IdleTimer(0.05):
        await asyncio.sleep(5)


async def test_a_deadline_does_not_count_the_time_in_which_the_process_stood_still() -> None:
    registry = RequestRegistry()
    asked = chat()
    asked.trace.deadline = asyncio.get_running_loop().time() + 0.1

    async def work(running: Any) -> None:
        await asyncio.sleep(0.3)
        running.complete()

    running = registry.start("an-id-of-a-request", "", asked, work)
    await asyncio.sleep(0)
    time.sleep(1.3)  # noqa: ASYNC251  # the process stands still
    await asyncio.wait([running.task])
    assert running.state == "completed"
