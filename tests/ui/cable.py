"""A network cable between the page and the gateway, which can be pulled and put back."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit


class Cable:
    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self.target = (str(parts.hostname), int(parts.port or 80))
        self.plugged = True
        self._wires: set[socket.socket] = set()

    def pull(self) -> None:
        """Ends every connection at once; new ones are refused until it is put back."""
        self.plugged = False
        for wire in list(self._wires):
            with suppress(OSError):
                wire.shutdown(socket.SHUT_RDWR)

    def put_back(self) -> None:
        self.plugged = True

    def carry(self, near: socket.socket) -> None:
        if not self.plugged:
            return
        with socket.create_connection(self.target) as far:
            self._wires |= {near, far}
            back = threading.Thread(target=_copy, args=(far, near), daemon=True)
            back.start()
            _copy(near, far)
            back.join()
            self._wires -= {near, far}


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


@contextmanager
def cable(target: str) -> Iterator[tuple[Cable, str]]:
    """A cable to `target`, and the address at its near end."""
    line = Cable(target)

    class Socket(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            line.carry(self.request)

    with _Server(("127.0.0.1", 0), Socket) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield line, f"http://127.0.0.1:{server.server_address[1]}"
        line.pull()
        server.shutdown()
