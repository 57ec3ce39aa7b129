"""Names to addresses: literals at once, a dead name server hurts nobody else and is never waited for."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence

import pytest

from llmproxy.core.errors import Unreachable
from llmproxy.upstream.http import resolver
from llmproxy.upstream.http.resolver import AddrInfo, Resolver


def info(address: str) -> AddrInfo:
    return (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0))


class NameServer:
    """Answers, fails, or hangs until it is released."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.dead = threading.Event()
        self.hangs: set[str] = set()
        self.fails = False

    def __call__(self, host: str) -> Sequence[AddrInfo]:
        self.asked.append(host)
        if host in self.hangs:
            self.dead.wait(30)
        if self.fails:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [info("192.0.2.1")]


@pytest.fixture
def server() -> NameServer:
    return NameServer()


@pytest.mark.parametrize(
    ("host", "addresses"),
    [("127.0.0.1", ["127.0.0.1"]), ("::1", ["::1"]), ("localhost", ["127.0.0.1", "::1"]), ("192.0.2.7", ["192.0.2.7"])],
)
async def test_literals_and_localhost_need_no_lookup(server: NameServer, host: str, addresses: list[str]) -> None:
    found = await Resolver(server).resolve(host, 8080)
    assert [(one[4][0], one[4][1]) for one in found] == [(address, 8080) for address in addresses]
    assert server.asked == []


async def test_a_name_is_looked_up_once_for_all_who_ask_at_once_and_kept_for_a_while(server: NameServer) -> None:
    names = Resolver(server)
    await asyncio.gather(*(names.resolve("api.example", 443) for _ in range(20)))
    assert (await names.resolve("api.example", 80))[0][4] == ("192.0.2.1", 80)
    assert server.asked == ["api.example"]


async def test_a_name_server_that_is_dead_for_one_name_hurts_no_other(server: NameServer) -> None:
    server.hangs = {f"dead{number}.example" for number in range(30)}
    names = Resolver(server)
    stuck = [asyncio.ensure_future(names.resolve(host, 443)) for host in server.hangs]
    for _ in range(20):
        assert await names.resolve("healthy.example", 443)
    assert not any(one.done() for one in stuck), "those of the dead one still wait"
    server.dead.set()
    assert len(await asyncio.gather(*stuck)) == 30


async def test_a_lookup_that_hangs_is_an_error_after_the_limit(
    server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver, "LIMIT", 0.05)
    server.hangs = {"dead.example"}
    with pytest.raises(Unreachable, match="did not answer") as error:
        await Resolver(server).resolve("dead.example", 443)
    assert error.value.code == "upstream_dns"
    server.dead.set()


async def test_where_a_lookup_fails_the_last_addresses_are_used(
    server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver, "FRESH", 0.0)
    names = Resolver(server)
    await names.resolve("api.example", 443)
    server.fails = True
    assert (await names.resolve("api.example", 443))[0][4] == ("192.0.2.1", 443)


async def test_where_a_lookup_hangs_the_last_addresses_are_used_soon(
    server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver, "FRESH", 0.0)
    monkeypatch.setattr(resolver, "_SOON", 0.05)
    names = Resolver(server)
    await names.resolve("api.example", 443)
    server.hangs = {"api.example"}
    assert (await names.resolve("api.example", 443))[0][4] == ("192.0.2.1", 443)
    server.dead.set()


async def test_a_name_that_is_unknown_is_an_error_of_its_own(server: NameServer) -> None:
    server.fails = True
    with pytest.raises(Unreachable, match="cannot be resolved") as error:
        await Resolver(server).resolve("nobody.example", 443)
    assert (error.value.status, error.value.code) == (502, "upstream_dns")


async def test_only_so_many_names_are_looked_up_at_once(server: NameServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "_AT_ONCE", 2)
    server.hangs = {"a.example", "b.example"}
    names = Resolver(server)
    stuck = [asyncio.ensure_future(names.resolve(host, 443)) for host in sorted(server.hangs)]
    await asyncio.sleep(0)
    with pytest.raises(Unreachable, match="Too many names"):
        await names.resolve("c.example", 443)
    server.dead.set()
    assert len(await asyncio.gather(*stuck)) == 2


def test_the_process_ends_while_a_lookup_hangs() -> None:
    code = """
import asyncio, time
from llmproxy.upstream.http.resolver import Resolver
async def main():
    asking = asyncio.ensure_future(Resolver(lambda host: time.sleep(60)).resolve("dead.example", 443))
    await asyncio.sleep(0.05)
    asking.cancel()
asyncio.run(main())
"""
    assert subprocess.run([sys.executable, "-c", code], timeout=10, check=False).returncode == 0
