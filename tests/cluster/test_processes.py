"""Three real replicas behind a random balancer: a stop always arrives, a resumed stream has no gap, and who is gone is said."""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
import ssl
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import trustme
from aiohttp import ClientError, ClientSession

from tests import postgres
from tests.cluster.ports import free_port
from tests.cluster.processes import EVENTS, Cluster, Proxy, events, ids, replicas
from tests.cluster.redis_server import own_redis
from tests.waiting import soon

STOPS = int(os.environ.get("LLMPROXY_STOPS", "24"))  # with each kind of trouble
CUTS = int(os.environ.get("LLMPROXY_CUTS", "24"))
AT_ONCE = 8
PATIENCE = 30.0  # seconds after which something that must happen is said not to have
pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="stops and kills processes"),
    pytest.mark.timeout(300 + STOPS),
]


# Stop


def stop_routes(id: str) -> list[tuple[str, object]]:
    return [
        (f"/v1/requests/{id}/cancel", None),
        ("/chat/cancel", {"request_id": id}),
        (f"/threads/cancel/{id}", None),
    ]


async def stopped_elsewhere(cluster: Cluster, id: str) -> float | None:
    """Begins a stream somewhere, and stops it through another replica. Gives the seconds until the provider's connection
    was closed; None if it never was. A replica that could not answer in time says so, and is asked again."""
    owner = cluster.any()
    reading = await cluster.begun(owner, id)
    exchange, (path, body) = cluster.exchange(id), random.choice(stop_routes(id))
    asked = time.monotonic()

    async def answered() -> tuple[int, Any]:
        status, told = await cluster.call(cluster.any(but=owner), "POST", path, body)
        return (0, None) if status == 503 and told["error"]["code"] == "peer_unreachable" else (status, told)

    try:
        status, told = await soon(lambda: _answer(answered), PATIENCE)
        assert (status, told.get("state", told.get("status"))) == (200, "cancelled")
        async with asyncio.timeout(PATIENCE):
            await exchange.closed.wait()
    except TimeoutError:
        return None
    finally:
        reading.cancel()
    return (exchange.closed_at or time.monotonic()) - asked


async def _answer(asking: Callable[[], Awaitable[tuple[int, Any]]]) -> tuple[int, Any] | None:
    status, told = await asking()
    return (status, told) if status else None


async def stopped(cluster: Cluster, count: int, at_once: int = AT_ONCE, prefix: str = "stop") -> list[float | None]:
    """That many, some of them at once."""
    turn = asyncio.Semaphore(at_once)

    async def one(number: int) -> float | None:
        async with turn:
            return await stopped_elsewhere(cluster, f"{prefix}-number-{number}")

    return await asyncio.gather(*(one(number) for number in range(count)))


@asynccontextmanager
async def with_trouble(trouble: str) -> AsyncIterator[Cluster]:
    """Replicas that share a Redis and a PostgreSQL, one of which is not there any more."""
    async with AsyncExitStack() as stack:
        sync = stack.enter_context(ExitStack())
        redis = sync.enter_context(own_redis())
        more, way = "", None
        if trouble == "the database gone":
            url = sync.enter_context(postgres.database(sync.enter_context(postgres.server())))
            parts = urlsplit(url)
            way = await stack.enter_async_context(Proxy(free_port(), parts.port or 5432).serving())
            place = f"{(parts.netloc.rpartition('@')[0] + '@').removeprefix('@')}127.0.0.1:{way.port}"
            more = f'[storage]\nurl = "{parts._replace(netloc=place).geturl()}"'
        limits = '[[server.keys]]\nname = "limited"\nsecret = "a-secret-of-a-key"\nrpm = 100000\nmax_parallel = 1000\n'
        cluster = await stack.enter_async_context(
            replicas(cluster=f'redis = "{redis.url}"', more=f"{limits}{more}", key="a-secret-of-a-key")
        )
        assert None not in await stopped(cluster, 2)
        if trouble == "Redis stopped":
            redis.hang()
        elif trouble == "Redis killed":
            redis.kill()
        elif way is not None:
            way.cut()
        yield cluster


@pytest.mark.parametrize(
    "trouble",
    [
        "none",
        pytest.param("the database gone", marks=pytest.mark.thorough),
        pytest.param("Redis stopped", marks=pytest.mark.thorough),
        pytest.param("Redis killed", marks=pytest.mark.thorough),
    ],
)
async def test_a_stop_through_a_replica_that_does_not_own_it_always_arrives(trouble: str) -> None:
    async with with_trouble(trouble) as cluster:
        took = await stopped(cluster, STOPS)
    assert took.count(None) == 0


# Resume


async def read_with_cuts(cluster: Cluster, id: str, cuts: int) -> list[bytes]:
    """All events of a stream, read through random replicas, each of which is left after a few events."""
    seen: list[bytes] = []
    while not (seen and b"event: done" in seen[-1]):
        after = {"Last-Event-ID": str(ids(seen[-1] + b"\n")[-1])} if seen else {}
        few = random.randrange(1, 6) if cuts > 0 else 10**6
        cuts -= 1
        got = b""
        url = f"{cluster.url(cluster.any())}/v1/requests/{id}/stream"
        async with cluster.client.get(url, headers=after) as response:
            assert response.status == 200, await response.read()
            async for piece in response.content.iter_any():
                got += piece
                if len(events(got)) >= few:
                    response.close()
                    break
        seen += events(got)
    return seen


async def test_a_stream_that_is_read_through_any_replica_has_each_event_once_and_in_order() -> None:
    async with replicas() as cluster:
        streams = max(1, CUTS // 8)
        reading = [await cluster.begun(cluster.any(), f"resumed-{number}", "counting") for number in range(streams)]
        seen = await asyncio.gather(*(read_with_cuts(cluster, f"resumed-{number}", 8) for number in range(streams)))
        whole = [events(one) for one in await asyncio.gather(*reading)]
    numbers = "".join(f"{number} " for number in range(EVENTS)).encode()
    for one, of_the_first in zip(seen, whole, strict=True):
        assert one == of_the_first
        assert ids(b"\n".join(one) + b"\n") == list(range(1, len(one) + 1))
        assert b"".join(re.findall(rb'event: token\ndata: {"t":"([^"]*)"}', b"\n".join(one))) == numbers


# The network between them


async def test_a_connection_between_replicas_that_is_reset_leaves_no_gap() -> None:
    """Five times, after every tenth event or so."""
    async with replicas(2, with_proxies=True) as cluster:
        reading = await cluster.begun(0, "over-a-bad-line", "counting")
        told, resets = b"", 0
        async with cluster.client.get(f"{cluster.url(1)}/v1/requests/over-a-bad-line/stream") as response:
            async for piece in response.content.iter_any():
                told += piece
                if len(ids(told)) > 10 * (resets + 1) and resets < 5:
                    resets += 1
                    cluster.proxies[1, 0].reset()
        assert resets == 5
        assert ids(told) == ids(await reading)
        assert b"answer_lost" not in told


@pytest.mark.thorough
async def test_a_replica_that_is_cut_off_is_said_and_found_again() -> None:
    async with replicas(2, with_proxies=True) as cluster:
        reading = await cluster.begun(0, "beyond-the-cut")
        way = cluster.proxies[1, 0]
        way.cut()
        status, told = await cluster.call(1, "POST", "/v1/requests/beyond-the-cut/cancel")
        assert (status, told["error"]["code"]) == (503, "peer_unreachable")
        assert cluster.exchange("beyond-the-cut").closed_at is None
        way.mend()
        way.reset()

        async def stopped() -> bool:
            return (await cluster.call(1, "POST", "/v1/requests/beyond-the-cut/cancel"))[0] == 200

        await soon(stopped, PATIENCE)
        assert b'"stopped":true' in await reading


# One that hangs, dies, or shuts down


async def test_one_that_is_stopped_by_a_signal_is_said_and_found_again() -> None:
    async with replicas() as cluster:
        reading = await cluster.begun(0, "with-the-hanging")
        mine = await cluster.begun(1, "with-another")
        cluster.send(0, signal.SIGSTOP)
        _, told = await cluster.call(2, "GET", "/v1/requests?all=true")
        assert told["unanswered"] == ["replica-0"]
        status, told = await cluster.call(2, "POST", "/v1/requests/with-the-hanging/cancel")
        assert (status, told["error"]["code"]) == (503, "peer_unreachable")
        assert (await cluster.call(2, "POST", "/v1/requests/with-another/cancel"))[0] == 200
        assert b'"stopped":true' in await mine
        cluster.send(0, signal.SIGCONT)

        async def stopped() -> bool:
            return (await cluster.call(2, "POST", "/v1/requests/with-the-hanging/cancel"))[0] == 200

        await soon(stopped, PATIENCE)
        assert b'"stopped":true' in await reading


async def test_after_a_kill_the_kept_events_come_from_the_store_and_the_end_says_that_the_answer_is_lost(
    tmp_path: Path,
) -> None:
    async with replicas(environment={"LLMPROXY_DATA_DIR": str(tmp_path / "shared")}) as cluster:
        _, thread = await cluster.call(0, "POST", "/threads", {})
        path = f"/threads/{thread['id']}/messages/stream"
        reading = await cluster.begun(0, "orphaned-answer", path=path)

        async def kept() -> bool:
            _, told = await cluster.call(1, "GET", f"/threads/{thread['id']}/messages")
            return bool(told["messages"][-1]["content"])

        await soon(kept, PATIENCE)
        async with cluster.client.get(f"{cluster.url(1)}/v1/requests/orphaned-answer/stream") as following:
            begun = await following.content.readuntil(b"event: token")
            cluster.send(0, signal.SIGKILL)
            await reading
            followed = begun + await following.read()
        for told in (followed, (await cluster.call(2, "GET", "/v1/requests/orphaned-answer/stream"))[1]):
            assert b"event: token" in told
            assert told.rstrip().rpartition(b"\n\n")[2].count(b'"answer_lost"') == 1


@pytest.mark.thorough
async def test_while_one_shuts_down_its_streams_are_reached_through_the_others() -> None:
    async with replicas() as cluster:
        reading = await cluster.begun(0, "still-running")
        cluster.send(0, signal.SIGTERM)

        async def refuses() -> bool:
            async with ClientSession() as fresh, fresh.get(f"{cluster.url(0)}/v1/models") as response:
                return response.status == 503 and "server_shutting_down" in await response.text()

        await soon(refuses, PATIENCE)
        assert (await cluster.call(1, "GET", "/v1/requests/still-running"))[1]["state"] == "running"
        assert (await cluster.call(1, "POST", "/v1/requests/still-running/cancel"))[1]["state"] == "cancelled"
        assert b'"stopped":true' in await reading
        assert await asyncio.to_thread(cluster.gateways[0].process.wait, PATIENCE) == 0


@pytest.mark.thorough
async def test_replicas_with_workers_find_what_any_worker_of_any_machine_knows() -> None:
    async with replicas(2, more="", workers=2) as cluster:
        for number in range(6):
            id = f"of-some-worker-{number}"
            async with ClientSession() as fresh:  # its connections lead to any worker
                cluster.client, before = fresh, cluster.client
                reading = await cluster.begun(number % 2, id)
                cluster.client = before
                async with ClientSession() as another:
                    url = f"{cluster.url(1 - number % 2)}/v1/requests/{id}/cancel"
                    async with another.post(url) as response:
                        assert response.status == 200, await response.text()
                assert b'"stopped":true' in await reading


# TLS


async def test_with_tls_only_who_shows_a_certificate_is_served_as_a_peer(tmp_path: Path) -> None:
    authority, stranger = trustme.CA(), trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    leaf = authority.issue_cert("replica.example")
    leaf.private_key_pem.write_to_path(str(tmp_path / "replica.key"))
    leaf.cert_chain_pems[0].write_to_path(str(tmp_path / "replica.pem"))
    ports = [free_port(), free_port()]
    tls = "\n".join(
        f'{name} = "{tmp_path / file}"'
        for name, file in (("ca_file", "ca.pem"), ("cert_file", "replica.pem"), ("key_file", "replica.key"))
    )
    async with replicas(2, cluster=tls, listening=ports) as cluster:
        reading = await cluster.begun(0, "behind-tls")
        assert (await cluster.call(1, "POST", "/v1/requests/behind-tls/cancel"))[1]["state"] == "cancelled"
        assert b'"stopped":true' in await reading
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        stranger.issue_cert("replica.example").configure_cert(context)
        with pytest.raises((ClientError, OSError)):
            async with cluster.client.get(f"https://127.0.0.1:{ports[0]}/v1/models", ssl=context) as response:
                await response.read()
        ours = ssl.create_default_context()
        ours.check_hostname, ours.verify_mode = False, ssl.CERT_NONE
        leaf.configure_cert(ours)
        async with cluster.client.get(f"https://127.0.0.1:{ports[0]}/v1/models", ssl=ours) as response:
            assert response.status == 401, "a certificate alone is no signature"
    with suppress(FileNotFoundError):
        (tmp_path / "replica.key").unlink()
