"""A network of namespaces: replicas behind a router that can drop what one address sends to another. Needs root and iproute2."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import pytest

CLIENTS, STORE, REDIS = 1, 2, 3  # the last parts of addresses outside: clients and the provider, the database, Redis
_ROUTER, _REPLICA = 254, 11


@dataclass
class Network:
    """Namespaces for `count` replicas, and addresses on this side of the router. Addresses are `net` and a last part."""

    count: int
    id: str = field(default_factory=lambda: secrets.token_hex(3))
    net: str = ""

    def address(self, last: int) -> str:
        return f"{self.net}.{last}"

    def replica(self, number: int) -> int:
        """The last part of a replica's address."""
        return _REPLICA + number

    def within(self, number: int) -> tuple[str, ...]:
        """What runs a command in the place of a replica."""
        return ("ip", "netns", "exec", self._space(number))

    def drop(self, source: int, target: int) -> None:
        """From now on nothing that the one sends reaches the other, and nobody is told; the other way stays as it is."""
        self._router(f"rule add from {self.address(source)} to {self.address(target)} blackhole")

    def heal(self) -> None:
        """All reach each other again."""
        with suppress(subprocess.CalledProcessError):  # until there is none left
            while True:
                self._router("rule del blackhole")

    def begin(self) -> None:
        """Makes the router's place. Skips where that is not allowed."""
        try:
            _ip(f"netns add {self._space('r')}")
        except subprocess.CalledProcessError as error:
            pytest.skip(f"networks are not partitioned: {error.stderr.decode().strip()}")

    def build(self) -> None:
        self.net = f"10.{secrets.randbelow(100) + 100}.{secrets.randbelow(250)}"
        router = self._space("r")
        _run(("ip", "netns", "exec", router, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"))
        self._router("link set lo up")
        _ip(f"link add lp{self.id}o type veth peer name out netns {router}")
        for last in (CLIENTS, STORE, REDIS):
            _ip(f"addr add {self.address(last)}/32 dev lp{self.id}o")
        _ip(f"link set lp{self.id}o up")
        self._router("link set out up")
        self._router(f"addr add {self.address(_ROUTER)}/32 dev out")
        for last in (CLIENTS, STORE, REDIS):
            self._router(f"route add {self.address(last)} dev out")
        _ip(f"route add {self.address(_ROUTER)} dev lp{self.id}o")
        _ip(f"route add {self.net}.0/24 via {self.address(_ROUTER)} dev lp{self.id}o src {self.address(CLIENTS)}")
        for number in range(self.count):
            self._add(number, router)

    def _add(self, number: int, router: str) -> None:
        space, address = self._space(number), self.address(self.replica(number))
        _ip(f"netns add {space}")
        _ip(f"-n {space} link set lo up")
        _ip(f"-n {space} link add uplink type veth peer name to{number} netns {router}")
        _ip(f"-n {space} addr add {address}/32 dev uplink")
        _ip(f"-n {space} link set uplink up")
        self._router(f"link set to{number} up")
        self._router(f"addr add {self.address(_ROUTER)}/32 dev to{number}")
        self._router(f"route add {address} dev to{number}")
        _ip(f"-n {space} route add {self.address(_ROUTER)} dev uplink")
        _ip(f"-n {space} route add default via {self.address(_ROUTER)} dev uplink")

    def remove(self) -> None:
        for space in (*range(self.count), "r"):
            with suppress(subprocess.CalledProcessError):
                _ip(f"netns del {self._space(space)}")
        with suppress(subprocess.CalledProcessError):
            _ip(f"link del lp{self.id}o")

    def _space(self, number: int | str) -> str:
        return f"llmproxy-{self.id}-{number}"

    def _router(self, words: str) -> None:
        _ip(f"-n {self._space('r')} {words}")


@contextmanager
def network(count: int = 3) -> Iterator[Network]:
    """Skips where none can be made."""
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("networks are not partitioned: only root may make namespaces, with iproute2")
    made = Network(count)
    try:
        made.begin()
        made.build()
        yield made
    finally:
        made.remove()


def _ip(words: str) -> None:
    _run(("ip", *words.split()))


def _run(command: tuple[str, ...]) -> None:
    subprocess.run(command, check=True, capture_output=True)
