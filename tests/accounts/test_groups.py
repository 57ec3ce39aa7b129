"""Groups made, changed and deleted while the gateway runs: over HTTP, and by a command beside it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmproxy.accounts.accounts import Accounts
from llmproxy.accounts.bank import Bank
from llmproxy.accounts.groups import created
from llmproxy.accounts.keys import Keyring
from llmproxy.accounts.prices import Prices
from llmproxy.accounts.pricing import Pricing
from llmproxy.config import Budget, Group, Key
from llmproxy.core.chat import Chat
from llmproxy.core.errors import BadRequest, GatewayError
from llmproxy.store.accounts import Known
from tests.accounts.house import ANN, KEYS, ROOT, House, answer, house, usage
from tests.accounts.test_budgets import dollars
from tests.waiting import soon


async def made(there: House, path: str, **body: Any) -> Any:
    status, told, _ = await there.call("POST", path, ROOT, body)
    assert status == 201, told
    return told


async def test_a_group_made_over_http_limits_all_its_keys_together() -> None:
    async with house() as there:
        group = await made(there, "/api/groups", name="team", budget=f"{dollars(150)}/month", rpm=100)
        assert (group["kind"], group["keys"], group["rpm"]) == ("store", 0, 100)
        kim, lee = [(await made(there, "/api/keys", name=name, group="team"))["secret"] for name in ("kim", "lee")]
        there.provider.answers(answer(usage=usage(10, 150)))
        assert (await there.ask(kim))[0] == 200
        status, told, _ = await there.ask(lee)
        assert (status, told["error"]["code"]) == (429, "insufficient_quota")
        assert "group 'team'" in told["error"]["message"]
        _, shown, _ = await there.call("PATCH", "/api/groups/team", ROOT, {"budget": "1/month", "rpm": None})
        assert (shown["budget"], shown["rpm"], shown["keys"]) == (["1/month"], None, 2)
        there.provider.answers(answer())
        assert (await there.ask(lee))[0] == 200
        _, shown, _ = await there.call("GET", "/api/keys/lee", ROOT)
        assert [(one["account"], one["limit"]) for one in shown["budgets"]] == [("group:team", 1.0)]


async def test_a_group_is_deleted_when_no_key_is_in_it() -> None:
    async with house() as there:
        await made(there, "/api/groups", name="team", rpm=5)
        await made(there, "/api/keys", name="kim", group="team")
        status, told, _ = await there.call("DELETE", "/api/groups/team", ROOT)
        assert (status, told["error"]["code"], "kim" in told["error"]["message"]) == (409, "group_in_use", True)
        await there.call("DELETE", "/api/keys/kim", ROOT)
        assert (await there.call("DELETE", "/api/groups/team", ROOT))[:2] == (
            200,
            {"object": "group", "name": "team", "deleted": True},
        )
        for method in ("GET", "PATCH", "DELETE"):
            status, told, _ = await there.call(method, "/api/groups/team", ROOT, {})
            assert (status, told["error"]["code"]) == (404, "group_not_found"), method
        status, told, _ = await there.call("POST", "/api/keys", ROOT, {"name": "lee", "group": "team"})
        assert (status, told["error"]["param"]) == (400, "group")


async def test_only_an_administrator_makes_groups_and_a_key_sees_its_own() -> None:
    async with house() as there:
        for name in ("team", "other"):
            await made(there, "/api/groups", name=name, rpm=5)
        kim = (await made(there, "/api/keys", name="kim", group="team"))["secret"]
        for method, path in (("POST", ""), ("PATCH", "/team"), ("DELETE", "/team")):
            status, told, _ = await there.call(method, f"/api/groups{path}", kim, {"name": "x"})
            assert (status, told["error"]["code"]) == (403, "forbidden"), method
        _, told, _ = await there.call("GET", "/api/groups", kim)
        assert [one["name"] for one in told["data"]] == ["team"]
        foreign, unknown = [await there.call("GET", f"/api/groups/{name}", kim) for name in ("other", "nobody")]
        assert foreign[0] == unknown[0] == 404
        assert foreign[1]["error"]["code"] == unknown[1]["error"]["code"] == "group_not_found"
        _, told, _ = await there.call("GET", "/api/groups", ANN)
        assert told["data"] == []


async def test_a_group_and_a_key_may_have_one_name_and_one_of_the_config_is_changed_there() -> None:
    async with house(
        '[groups.fixed]\nrpm = 7\n[[server.keys]]\nname = "root"\nadmin = true\nsecret = "' + ROOT + '"'
    ) as there:
        await made(there, "/api/groups", name="kim", rpm=5)
        await made(there, "/api/keys", name="kim", group="kim")
        assert (await there.call("GET", "/api/keys/kim", ROOT))[1]["group"] == "kim"
        assert (await there.call("GET", "/api/keys/group:kim", ROOT))[0] == 404
        assert (await there.call("DELETE", "/api/keys/group:kim", ROOT))[0] == 404
        _, told, _ = await there.call("GET", "/api/groups", ROOT)
        assert {one["name"]: one["kind"] for one in told["data"]} == {"fixed": "config", "kim": "store"}
        status, told, _ = await there.call("PATCH", "/api/groups/fixed", ROOT, {"rpm": 8})
        assert (status, told["error"]["code"]) == (409, "group_in_config")
        for name in ("fixed", "kim"):
            status, told, _ = await there.call("POST", "/api/groups", ROOT, {"name": name})
            assert (status, told["error"]["code"]) == (409, "group_exists")


@pytest.mark.thorough
async def test_the_command_makes_a_group_that_the_running_gateway_takes_up() -> None:
    async with house() as there:
        assert there.command("groups", "create", "team", "--budget", "200/month", "--rpm", "2").returncode == 0

        async def taken_up() -> bool:
            return bool((await there.call("GET", "/api/groups/team", ROOT))[0] == 200)

        await soon(taken_up)
        secret = there.command("keys", "create", "eve", "--group", "team").stdout.strip()
        assert there.command("keys", "create", "moe", "--group", "nobody").returncode == 1
        assert there.command("groups", "delete", "team").returncode == 1
        told = json.loads(there.command("groups", "set", "team", "--rpm", "none", "--tpm", "9000").stdout)
        assert (told["rpm"], told["tpm"], told["budget"]) == (None, 9000, ["200/month"])
        assert "team" in there.command("groups", "list").stdout
        there.command("keys", "set", "eve", "--group", "none")
        assert there.command("groups", "delete", "team").returncode == 0
        assert json.loads(there.command("groups", "list", "--json").stdout) == []
        assert secret.startswith("llmp_")


async def test_what_one_worker_has_made_all_others_know_at_once() -> None:
    async with house(f"[server]\nworkers = 3\n{KEYS}") as there:

        async def call(method: str, path: str, body: Any = None) -> Any:
            """Over a connection of its own, so that any worker may take it."""
            return await there.call(method, path, ROOT, body, Connection="close")

        for number in range(8):
            name = f"team-{number}"
            assert (await call("POST", "/api/groups", {"name": name}))[0] == 201
            assert (await call("GET", f"/api/groups/{name}"))[0] == 200
            assert (await call("POST", "/api/keys", {"name": name, "group": name}))[0] == 201
            for method, path in (("GET", ""), ("PATCH", ""), ("POST", "/rotate"), ("DELETE", "")):
                assert (await call(method, f"/api/keys/{name}{path}", {}))[0] == 200, method
            assert (await call("DELETE", f"/api/groups/{name}"))[0] == 200


def accounts(*rows: Any, groups: Any = ()) -> Accounts:
    ring = Keyring(known=Known(1, (), tuple(rows)))
    return Accounts(ring, Pricing(Prices(), {}), Bank(lambda: None), groups=dict(groups))  # type: ignore[arg-type, return-value]


def test_a_key_whose_group_is_gone_is_refused_as_nobody_knows_its_limits() -> None:
    with pytest.raises(GatewayError) as caught:
        accounts().admit(Key("kim", "", group="team"), Chat({"messages": []}, "m"))
    assert (caught.value.status, caught.value.code) == (403, "group_not_found")


def test_a_group_of_the_config_counts_before_one_of_the_same_name() -> None:
    row = created({"name": "team", "budget": "1/day"}, 0.0, ())
    there, key = accounts(row, groups={"team": Group("team", rpm=3)}), Key("kim", "", group="team")
    assert there.group(key) == Group("team", rpm=3)
    assert list(there.budgets(key)) == []
    assert accounts(row).group(key) == Group("team", budget=(Budget("day", 10**12),))


@pytest.mark.parametrize(
    ("body", "param"),
    [({"name": "a b"}, "name"), ({"name": "x", "rpm": 0}, "rpm"), ({"name": "x", "models": ["*"]}, "models")],
)
def test_a_wrong_member_is_named(body: Any, param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        created(body, 0.0, ())
    assert caught.value.param == param
