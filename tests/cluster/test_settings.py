"""`[cluster]` in the file and the environment: what is refused at the start, each with one sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from llmproxy.config import Cluster, Config, ConfigError, load
from llmproxy.server.process.reload import waiting_settings

SECRET = "sixteen letters or more"
HERE = {"HOME": "/nowhere"}


def from_file(tmp_path: Path, text: str) -> Cluster:
    path = tmp_path / "llmproxy.toml"
    path.write_text(f"[cluster]\n{text}")
    return load(path, HERE).cluster


def from_environment(**variables: str) -> Cluster:
    return load(
        None, {**HERE, **{f"LLMPROXY_CLUSTER_{name.upper()}": value for name, value in variables.items()}}
    ).cluster


def test_peers_are_given_in_the_file_or_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    expected = ("http://10.0.0.7:8811", "http://10.0.0.8:8811")
    in_file = from_file(tmp_path, f'peers = ["http://10.0.0.7:8811", "10.0.0.8"]\nsecret = "{SECRET}"')
    assert in_file.peers == expected
    assert from_environment(peers="10.0.0.7:8811, 10.0.0.8", secret=SECRET).peers == expected


def test_the_environment_counts_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "llmproxy.toml"
    path.write_text(f'[cluster]\ndns = "one:8811"\nsecret = "{SECRET}"\nname = "a"')
    found = load(path, {**HERE, "LLMPROXY_CLUSTER_DNS": "two:8811", "LLMPROXY_CLUSTER_NAME": "b"}).cluster
    assert (found.dns, found.name) == ("two:8811", "b")


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no secret": ({"peers": "10.0.0.7"}, "needs a `secret`"),
    "a short secret": ({"dns": "a:1", "secret": "short"}, "at least 16 characters"),
    "both": ({"dns": "a:1", "peers": "b", "secret": SECRET}, "not both"),
    "no port": ({"dns": "peers", "secret": SECRET}, "with a port"),
    "a path": ({"peers": "http://a:1/v1", "secret": SECRET}, "no path"),
    "a password": ({"peers": "http://me:pass@a:1", "secret": SECRET}, "an address"),
    "a metadata service": ({"peers": "http://169.254.169.254", "secret": SECRET}, "metadata"),
    "half of TLS": ({"peers": "a", "secret": SECRET, "ca_file": "ca.pem"}, "all of ca_file"),
    "TLS without an address": (
        {"peers": "a", "secret": SECRET, "ca_file": "a", "cert_file": "b", "key_file": "c"},
        "needs `listen`",
    ),
    "TLS to http": (
        {"peers": "http://a:1", "secret": SECRET, "ca_file": "a", "cert_file": "b", "key_file": "c", "listen": ":8812"},
        "must be https",
    ),
    "a strange store": ({"redis": "http://a:1"}, "must begin with redis://"),
    "a strange name": ({"name": "a name"}, "letters, digits"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_said_in_one_sentence(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given, sentence = WRONG[what]
    with pytest.raises(ConfigError, match=sentence) as met:
        from_environment(**given)
    assert SECRET not in str(met.value)
    assert "pass@" not in str(met.value)


@pytest.mark.parametrize(
    ("given", "notes"),
    [
        ({"peers": "10.0.0.7"}, 1),
        ({"dns": "peers:8811"}, 1),
        ({"peers": "127.0.0.1:8812"}, 0),
        ({"peers": "10.0.0.7", "listen": "0.0.0.0:8812"}, 0),
    ],
)
def test_a_replica_that_the_others_cannot_reach_is_noted(
    given: dict[str, str], notes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    variables = {f"LLMPROXY_CLUSTER_{name.upper()}": value for name, value in {**given, "secret": SECRET}.items()}
    found = load(None, {**HERE, **variables}).notes
    assert len([note for note in found if "cannot reach it" in note]) == notes


def test_secrets_are_in_no_representation() -> None:
    shown = repr(Cluster(secret=SECRET, redis="redis://:password@host"))
    assert SECRET not in shown
    assert "password" not in shown


def test_a_change_waits_for_the_next_start() -> None:
    assert waiting_settings(Config(), Config(cluster=Cluster(name="another"))) == ["cluster"]


ALONE = """
import asyncio, sys
from llmproxy.config import Config, Server, Storage
from llmproxy.server.process.process import Process

async def main():
    process = Process(Config(server=Server(port=0), storage=Storage(enabled=False)), lambda: None, lambda *_: process.stop())
    await process.serve()

asyncio.run(main())
print([name for name in sys.modules if name.startswith(("llmproxy.cluster", "llmproxy.config.cluster", "redis"))])
"""


def test_a_gateway_that_is_alone_loads_nothing_of_it() -> None:
    done = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
