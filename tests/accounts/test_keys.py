"""Keys made, changed and revoked while the gateway runs: over HTTP, and by a command beside it."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest

from llmproxy.server.middleware.routes import Route
from llmproxy.server.routes import API
from llmproxy.testing import chunk, sse
from tests.accounts.house import ANN, ASK, BOB, ROOT, House, answer, house
from tests.waiting import soon

pytestmark = pytest.mark.usefixtures("place")

FIRST = sse(chunk({"role": "assistant", "content": "one "}), done=False)
STREAMED = {**ASK, "stream": True}
PATIENCE = 10.0


async def made(there: House, **body: Any) -> str:
    status, told, _ = await there.call("POST", "/api/keys", ROOT, {"name": "team-a", **body})
    assert status == 201, told
    return str(told["secret"])


async def answered(there: House, key: str, status: int) -> None:
    """Until a key is answered so: what another process wrote is seen within a second or so."""

    async def look() -> bool:
        return bool((await there.call("GET", "/v1/requests", key))[0] == status)

    await soon(look, every=0.3)  # many wrong keys would be answered with 429


async def test_a_key_is_made_used_shown_changed_and_revoked() -> None:
    async with house() as there:
        secret = await made(there, models=["near/m*"], rpm=100, budget="5/day", expires="30d")
        there.provider.answers(answer())
        assert (await there.ask(secret))[0] == 200
        assert (await there.ask(secret, {**ASK, "model": "near/other"}))[0] == 404
        _, shown, _ = await there.call("GET", "/api/keys/team-a", ROOT)
        assert (shown["kind"], shown["rpm"], shown["budget"], shown["models"]) == ("store", 100, ["5/day"], ["near/m*"])
        assert secret not in json.dumps(shown)
        _, changed, _ = await there.call("PATCH", "/api/keys/team-a", ROOT, {"rpm": None, "models": ["near/*"]})
        assert (changed["rpm"], changed["budget"]) == (None, ["5/day"])
        there.provider.answers(answer())
        assert (await there.ask(secret, {**ASK, "model": "near/m2"}))[0] == 200
        _, gone, _ = await there.call("DELETE", "/api/keys/team-a", ROOT)
        assert gone["revoked_at"] is not None
        status, told, _ = await there.ask(secret)
        assert (status, told["error"]["code"]) == (401, "invalid_api_key")
        status, told, _ = await there.call("POST", "/api/keys", ROOT, {"name": "team-a"})
        assert (status, told["error"]["code"]) == (409, "key_exists")


async def test_revoking_a_key_stops_what_it_streams() -> None:
    async with house() as there:
        secret = await made(there)
        there.provider.hangs(FIRST)
        bearer = {"Authorization": f"Bearer {secret}"}
        url = f"{there.gateway.base_url}/chat/completions"
        async with there.client.post(url, json=STREAMED, headers=bearer) as streaming, asyncio.timeout(PATIENCE):
            assert await streaming.content.readany() == FIRST
            exchange = await there.provider.received()
            await there.call("DELETE", "/api/keys/team-a", ROOT)
            rest = await streaming.content.read()
            await exchange.closed.wait()
        assert b"revoked" in rest
        assert b"request_cancelled" in rest


async def test_a_rotated_key_has_two_secrets_for_a_while() -> None:
    async with house() as there:
        old = await made(there)
        _, told, _ = await there.call("POST", "/api/keys/team-a/rotate", ROOT, {"overlap": "1h"})
        assert told["secrets"] == 2
        for secret in (old, told["secret"]):
            assert (await there.call("GET", "/v1/requests", secret))[0] == 200
        _, last, _ = await there.call("POST", "/api/keys/team-a/rotate", ROOT, {"overlap": "0s"})
        statuses = [
            (await there.call("GET", "/v1/requests", secret))[0] for secret in (old, told["secret"], last["secret"])
        ]
        assert statuses == [401, 401, 200]


async def test_only_an_administrator_makes_keys_and_everybody_sees_their_own() -> None:
    async with house() as there:
        secret = await made(there)
        for method, path in (("POST", "/api/keys"), ("PATCH", "/api/keys/bob"), ("DELETE", "/api/keys/team-a"),
                             ("POST", "/api/keys/team-a/rotate")):  # fmt: skip
            status, told, _ = await there.call(method, path, secret, {})
            assert (status, told["error"]["code"]) == (403, "forbidden"), path
        _, told, _ = await there.call("GET", "/api/keys", secret)
        assert [one["name"] for one in told["data"]] == ["team-a"]
        foreign, unknown = [await there.call("GET", f"/api/keys/{name}", secret) for name in ("bob", "nobody")]
        assert (
            (foreign[0], foreign[1]["error"]["code"])
            == (unknown[0], unknown[1]["error"]["code"])
            == (404, "key_not_found")
        )
        status, told, _ = await there.call("DELETE", "/api/keys/bob", ROOT)
        assert (status, told["error"]["code"]) == (409, "key_in_config")
        status, told, _ = await there.call("POST", "/api/keys", ROOT, {"name": "bob"})
        assert (status, told["error"]["code"]) == (409, "key_exists")


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {ANN}"},
        {"x-api-key": ANN},
        {"api-key": ANN},
        {"x-goog-api-key": ANN},
        {"x-api-key": ANN, "Authorization": f"Bearer {ANN}"},
    ],
    ids="+".join,
)
async def test_a_key_is_taken_from_wherever_a_client_puts_it(headers: dict[str, str]) -> None:
    async with house() as there:
        assert (await there.call("GET", "/v1/models", **headers))[0] == 200
        assert (await there.call("GET", "/v1/models", **{**headers, "x-api-key": BOB}))[0] == (
            200 if headers == {"x-api-key": ANN} else 400
        )


async def test_a_key_in_the_query_opens_and_goes_no_further() -> None:
    async with house() as there:
        there.provider.answers(answer())
        status, _, _ = await there.call("POST", f"/v1/chat/completions?key={ANN}&alt=sse", body=ASK)
        assert status == 200
        await there.call("POST", f"/v1/chat/completions?key={ANN}", body={})
        await there.call("GET", f"/nothing?key={ANN}")
        assert (await there.call("GET", "/v1/models?key=wrong"))[0] == 401
        exchange = there.provider.last
        assert "key=" not in exchange.path
        assert ANN not in str(exchange.headers)
        there.gateway.stop()
        assert ANN not in there.gateway.output


async def test_the_command_makes_a_key_that_the_running_gateway_takes_up() -> None:
    async with house("") as there:
        assert (await there.call("GET", "/v1/requests"))[0] == 200
        secret = there.command(
            "keys", "create", "eve", "--budget", "2/day", "--rpm", "9", "--expires", "30d"
        ).stdout.strip()
        await answered(there, "", 401)
        assert (await there.call("GET", "/v1/requests", secret))[0] == 200
        listed = json.loads(there.command("keys", "list", "--json").stdout)
        assert [(one["name"], one["rpm"], one["budget"]) for one in listed] == [("eve", 9, ["2/day"])]
        assert there.command("keys", "set", "eve", "--rpm", "none", "--models", "a,b/*").returncode == 0
        assert json.loads(there.command("keys", "show", "eve").stdout)["models"] == ["a", "b/*"]
        fresh = there.command("keys", "rotate", "eve", "--overlap", "0s").stdout.strip()
        await answered(there, fresh, 200)
        assert (await there.call("GET", "/v1/requests", secret))[0] == 401
        there.command("keys", "revoke", "eve")
        await answered(there, fresh, 401)
        assert (await there.call("GET", "/v1/requests"))[0] == 401  # who revokes the last one opens no door by it


async def test_a_mistake_on_the_command_line_is_a_sentence() -> None:
    async with house() as there:
        for arguments, word in (
            (("create", "ann"), "config"),
            (("create", "eve", "--budget", "20/year"), "windows are day, week, month, total"),
            (("show", "nobody"), "nobody"),
            (("revoke",), "NAME"),
        ):
            told = there.command("keys", *arguments)
            assert told.returncode in (1, 2)
            assert word in told.stderr
            assert "Traceback" not in told.stderr


def paths(route: Route, id: str) -> str:
    return re.sub(r"\{[^}]*\}+", id, route.path)


WITH_ID = [
    route for route in API if "{" in route.path and "models" not in route.path and not route.path.startswith("/v1beta")
]


async def test_a_second_key_finds_nothing_of_the_first_on_any_route() -> None:
    """Neither a request nor a thread: a foreign id and an unknown id get the same answer."""
    async with house() as there:
        there.provider.hangs(FIRST)
        _, thread, _ = await there.call("POST", "/threads", ANN, {})
        bearer = {"Authorization": f"Bearer {ANN}", "X-Request-ID": "request-of-ann"}
        url = f"{there.gateway.base_url}/chat/completions"
        async with there.client.post(url, json=STREAMED, headers=bearer) as streaming:
            assert await streaming.content.readany() == FIRST
            for route in WITH_ID:
                mine = thread["id"] if route.path.startswith("/threads/{id}") else "request-of-ann"
                body = {"message": "x"} if route.counts else {}
                foreign = await there.call(route.method, paths(route, mine), BOB, body)
                unknown = await there.call(route.method, paths(route, "x" * len(mine)), BOB, body)
                assert foreign[0] == unknown[0], route.path
                assert _same(foreign[1], mine) == _same(unknown[1], "x" * len(mine)), route.path
            _, told, _ = await there.call("GET", "/v1/requests", ANN)
            assert [one["state"] for one in told["data"]] == ["running"]
            for path in ("/v1/requests", "/threads", "/api/usage", "/threads/search?q=one"):
                _, told, _ = await there.call("GET", path, BOB)
                assert "ann" not in json.dumps(told), path


def _same(told: Any, id: str) -> str:
    return json.dumps(told).replace(id, "ID")
