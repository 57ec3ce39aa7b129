"""A wire to a PostgreSQL server that a test can cut, clog and mend."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import parse_qs, urlsplit

_SIZE = 65_536


class Wire:
    """Listens for a server. `url` leads through it."""

    def __init__(self, url: str) -> None:
        self._there = urlsplit(url)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._open = threading.Event()
        self._open.set()
        self._flows = threading.Event()
        self._flows.set()
        self._cut_after: bytes | None = None
        user = f"{self._there.username}@" if self._there.username else ""
        self.url = f"postgresql://{user}127.0.0.1:{self._listener.getsockname()[1]}{self._there.path}"
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Every connection breaks off, and new ones are closed at once."""
        self._open.clear()
        for pair in self._pairs:
            for one in pair:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def cut_after(self, word: bytes) -> None:
        """The server gets a message with this word, and nobody gets its answer: then it is cut."""
        self._cut_after = word

    def clog(self) -> None:
        """Nothing goes through any more, and nothing breaks off."""
        self._flows.clear()

    def mend(self) -> None:
        self._cut_after = None
        self._open.set()
        self._flows.set()

    def close(self) -> None:
        self.mend()
        self.cut()
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                here, _ = self._listener.accept()
                if not self._open.is_set():
                    here.close()
                    continue
                there = self._dialled()
                self._pairs.append((here, there))
                threading.Thread(target=self._pass, args=(here, there, True), daemon=True).start()
                threading.Thread(target=self._pass, args=(there, here, False), daemon=True).start()

    def _dialled(self) -> socket.socket:
        folder = parse_qs(self._there.query).get("host")
        if folder:
            there = socket.socket(socket.AF_UNIX)
            there.connect(f"{folder[0]}/.s.PGSQL.5432")
            return there
        return socket.create_connection((self._there.hostname or "127.0.0.1", self._there.port or 5432))

    def _pass(self, source: socket.socket, target: socket.socket, asks: bool) -> None:
        with suppress(OSError):
            while data := source.recv(_SIZE):
                self._flows.wait()
                target.sendall(data)
                if asks and self._cut_after is not None and self._cut_after in data:
                    self._open.clear()
                    break
        for one in (source, target):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


@contextmanager
def wire(url: str) -> Iterator[Wire]:
    made = Wire(url)
    try:
        yield made
    finally:
        made.close()
