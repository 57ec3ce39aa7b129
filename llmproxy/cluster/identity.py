"""Identity of a process in the cluster: its name, and the tag at the start of its request IDs."""

from __future__ import annotations

import secrets
import socket
from dataclasses import dataclass, field

from llmproxy import __version__
from llmproxy.core.chat import Json

from .signature import PROTOCOL

_MACHINE, _WORKER = 6, 2  # hex digits of a tag
TAG = _MACHINE + _WORKER


@dataclass(frozen=True, slots=True)
class Identity:
    """One process.

    instance: random ID of the gateway on its machine, new at each start. worker: its number on that machine. workers: how many
    there are. protocol: see `PROTOCOL`. now: its clock, Unix seconds.
    """

    name: str
    instance: str
    worker: int = 0
    workers: int = 1
    version: str = __version__
    protocol: int = PROTOCOL
    now: float = field(default=0.0, compare=False)

    @classmethod
    def fresh(cls, name: str = "", instance: str = "", worker: int = 0, workers: int = 1) -> Identity:
        return cls(name or socket.gethostname(), instance or secrets.token_hex(16), worker, workers)

    @property
    def machine(self) -> str:
        """The part of the tag that all workers of the machine share."""
        return self.instance[:_MACHINE]

    @property
    def tag(self) -> str:
        return f"{self.machine}{self.worker:0{_WORKER}x}"

    def as_json(self, now: float) -> Json:
        return {
            "name": self.name,
            "instance": self.instance,
            "worker": self.worker,
            "workers": self.workers,
            "version": self.version,
            "protocol": self.protocol,
            "now": now,
        }

    @classmethod
    def from_json(cls, members: Json) -> Identity:
        """From a peer's answer. Members that only a newer version knows are ignored."""
        return cls(**{name: members[name] for name in cls.__slots__ if name in members})


def tag_in(id: str) -> tuple[str, int] | None:
    """Machine and worker in a gateway's request or response ID, otherwise None. A client's own ID may look like one."""
    tag = id.rpartition("_")[2][:TAG] if id.startswith("resp_") else id[:TAG]
    try:
        worker = int(tag[_MACHINE:], 16)
    except ValueError:
        return None
    return (tag[:_MACHINE], worker) if len(tag) == TAG else None
