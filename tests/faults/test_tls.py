"""F74: providers behind https whose certificate, or whose handshake, is not what it must be."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from tests.faults.conftest import Started
from tests.faults.house import FIRST, LAST, House
from tests.faults.wire import Seen, post
from tests.upstream.http.scripted import Peer, serving

LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n" + FIRST + LAST
Issue = Callable[[trustme.CA], trustme.LeafCert]
BAD: dict[str, Issue] = {
    "of another name": lambda ca: ca.issue_cert("example.org"),
    "that has expired": lambda ca: ca.issue_cert("localhost", not_after=LONG_AGO),
    "of an unknown authority": lambda _: trustme.CA().issue_cert("localhost"),
}


def good(ca: trustme.CA) -> trustme.LeafCert:
    return ca.issue_cert("localhost")


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@asynccontextmanager
async def behind(
    started: Started, folder: Path, authority: trustme.CA, issue: Issue, settings: str = ""
) -> AsyncIterator[tuple[House, list[bytes]]]:
    """A gateway that trusts this authority, and what its provider has been asked."""
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issue(authority).configure_cert(context)
    asked: list[bytes] = []

    async def talk(peer: Peer) -> None:
        asked.append(await peer.request())
        await peer.say(ANSWER)

    async with serving(talk, context) as provider, started(config(provider.url, folder, settings)) as house:
        yield house, asked


def config(url: str, folder: Path, settings: str = "", connect: float = 5) -> str:
    return f"""
        [providers.p]
        adapter = "compatible"
        base_url = "{url}"
        api_key = "a-key"
        list_models = false
        ca_file = "{folder / "ca.pem"}"
        timeouts = {{ connect = {connect} }}
        {settings}
        """


async def answered(house: House) -> Seen:
    question = {"model": "p/any", "stream": True, "messages": [{"role": "user", "content": "?"}]}
    return await house.call(post("/v1/chat/completions", question))


async def test_f74_a_good_certificate_is_taken(started: Started, tmp_path: Path, authority: trustme.CA) -> None:
    async with behind(started, tmp_path, authority, good) as (house, asked):
        assert (await answered(house)).text == "one "
        assert b"authorization: bearer a-key" in asked[0].lower()


@pytest.mark.parametrize("name", BAD)
async def test_f74_a_bad_certificate_is_a_502_and_gets_no_byte_of_the_request(
    started: Started, tmp_path: Path, authority: trustme.CA, name: str
) -> None:
    async with behind(started, tmp_path, authority, BAD[name]) as (house, asked):
        seen = await answered(house)
        assert (seen.status, seen.error["code"], seen.headers["x-llmproxy-attempts"]) == (502, "upstream_tls", "1")
        assert asked == []


async def test_f74_only_the_operator_may_switch_the_check_off(
    started: Started, tmp_path: Path, authority: trustme.CA
) -> None:
    bad = BAD["of an unknown authority"]
    async with behind(started, tmp_path, authority, bad, "verify_tls = false") as (house, asked):
        assert (await answered(house)).text == "one "
        assert len(asked) == 1


async def test_f74_a_handshake_that_does_not_end_is_given_up(
    started: Started, tmp_path: Path, authority: trustme.CA
) -> None:
    async def talk(peer: Peer) -> None:
        await asyncio.Event().wait()

    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    async with serving(talk) as provider:
        url = provider.url.replace("http:", "https:")
        async with started(config(url, tmp_path, "retries = 0", connect=0.3)) as house:
            seen = await answered(house)
            assert (seen.status, seen.error["code"]) == (502, "upstream_tls")
