"""Identity of a process in the cluster: its name, and the tag that its requests' IDs begin with."""

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

    instance: of its machine's gateway, drawn at each start, so that a replica that was replaced is another one. worker: its
    number there. workers: how many there are. now: its clock, Unix seconds.
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
        """What the tags of all its workers begin with."""
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
    def told(cls, said: Json) -> Identity:
        """From what a peer says of itself. What a newer one says beside is left out."""
        return cls(**{name: said[name] for name in cls.__slots__ if name in said})


def tag_in(id: str) -> tuple[str, int] | None:
    """Machine and worker that an id of ours names, `resp_` or the like before it. A client's own id may look like one."""
    tag = id.rpartition("_")[2][:TAG] if id.startswith("resp_") else id[:TAG]
    try:
        worker = int(tag[_MACHINE:], 16)
    except ValueError:
        return None
    return (tag[:_MACHINE], worker) if len(tag) == TAG else None
