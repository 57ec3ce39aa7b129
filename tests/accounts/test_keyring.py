"""Which key a secret is, whether it stands in the config or was made at run time."""

from __future__ import annotations

import timeit
from dataclasses import replace
from typing import Any

import pytest

from llmproxy.accounts.keys import Fresh, Keyring, checked, created, digest, key_of
from llmproxy.config import Budget, Key
from llmproxy.core.errors import BadRequest, GatewayError
from llmproxy.store.accounts import Account, Known, Secret

NOW = 1_800_000_000.0
STATIC = Key("ci", "a-static-secret")


def made(**body: Any) -> tuple[Account, str]:
    return created({"name": "ann", **body}, NOW, (), ("team",))


def ring(*accounts: Account, static: tuple[Key, ...] = (STATIC,)) -> Keyring:
    return Keyring(static, Known(1, accounts))


def test_a_key_is_found_by_its_secret_alone() -> None:
    account, secret = made(models=["fast"], rpm=5, budget="20/month, 1.5/day")
    found = ring(account).find(secret, NOW)
    assert found is not None
    assert (found.name, found.models, found.rpm, found.secret) == ("ann", ("fast",), 5, "")
    assert found.budget == (Budget("month", 20 * 10**12), Budget("day", 1_500_000_000_000))
    assert ring(account).find("a-static-secret", NOW) == STATIC


def test_the_secret_is_in_no_form_kept() -> None:
    account, secret = made()
    assert secret.startswith(f"llmp_{account.id}_")
    assert secret not in repr(account)
    assert account.secrets == (Secret(digest(secret), None),)


@pytest.mark.parametrize("change", ["cut", "longer", "other id", "other letter", "empty", "id alone"])
def test_anything_else_is_no_key(change: str) -> None:
    account, secret = made()
    wrong = {
        "cut": secret[:-1], "longer": secret + "x", "other id": secret.replace(account.id, "A" * 12),
        "other letter": secret[:-1] + ("a" if secret[-1] != "a" else "b"), "empty": "", "id alone": f"llmp_{account.id}_",
    }[change]  # fmt: skip
    assert ring(account).find(wrong, NOW) is None


def test_what_is_revoked_or_has_expired_counts_no_more() -> None:
    account, secret = made(expires="30d")
    assert ring(account).find(secret, NOW + 29 * 86_400) is not None
    assert ring(account).find(secret, NOW + 31 * 86_400) is None
    assert ring(account._replace(revoked_at=NOW)).find(secret, NOW) is None
    assert ring(static=(replace(STATIC, expires=NOW),)).find("a-static-secret", NOW) is None


def test_both_secrets_of_a_rotated_key_count_for_a_while() -> None:
    account, old = made()
    fresh = Fresh.of(account.id)
    both = account._replace(secrets=(Secret(digest(old), NOW + 60), Secret(fresh.hash, None)))
    assert [ring(both).find(one, NOW) is not None for one in (old, fresh.secret)] == [True, True]
    assert [ring(both).find(one, NOW + 61) is not None for one in (old, fresh.secret)] == [False, True]


def test_keys_are_required_as_soon_as_there_ever_was_one() -> None:
    account, _ = made()
    assert not ring(static=()).required
    assert ring(account._replace(revoked_at=NOW), static=()).required


def test_ten_thousand_keys_are_found_as_fast_as_one() -> None:
    many = [made(name=f"key{n}") for n in range(10_000)]
    one, all_of_them = ring(many[0][0]), ring(*(account for account, _ in many))

    def seconds(keys: Keyring) -> float:
        return min(timeit.repeat(lambda: keys.find(many[0][1], NOW), number=200, repeat=5))

    assert all_of_them.find(many[9_999][1], NOW) is not None
    assert seconds(all_of_them) < 5 * seconds(one)  # a search would take thousands of times as long


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"name": ""}, "name"),
        ({"name": "a b"}, "name"),
        ({"rpm": 0}, "rpm"),
        ({"rpm": "many"}, "rpm"),
        ({"tpm": 1.5}, "tpm"),
        ({"budget": "20"}, "budget"),
        ({"budget": "20/year"}, "budget"),
        ({"budget": ["1/day", "2/day"]}, "budget"),
        ({"models": []}, "models"),
        ({"group": "nobody"}, "group"),
        ({"admin": "yes"}, "admin"),
        ({"expires": "soon"}, "expires"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_member(body: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        created({"name": "ann", **body}, NOW, ("ci",), ("team",))
    assert caught.value.param == param


@pytest.mark.parametrize("name", ["environment", "ci"])
def test_a_name_of_the_configuration_is_taken(name: str) -> None:
    with pytest.raises(GatewayError) as caught:
        created({"name": name}, NOW, ("ci",), ("team",))
    assert (caught.value.status, caught.value.code, caught.value.param) == (409, "key_exists", "name")


def test_a_limit_that_is_null_is_taken_away() -> None:
    assert checked({"rpm": None, "budget": None}, NOW, ()) == {"limits": {"rpm": None, "budget": None}}
    account, _ = made(rpm=None, group="team", expires="2027-01-31")
    assert (account.limits, key_of(account).group) == ({}, "team")
    assert account.expires_at == 1_801_353_600.0
