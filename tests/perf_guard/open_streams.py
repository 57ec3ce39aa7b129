"""Counts the bytes that Python holds for one open stream, from socket to socket. Prints the number.

A process of its own, as a gateway is: `python -m tests.perf_guard.open_streams`. The provider and the clients are threads,
whose few objects are counted too. An argument is the length of the question. Every feature is in its default state.
"""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import sys
import tempfile
import threading
import tracemalloc
from pathlib import Path

import orjson
import uvloop

from llmproxy.config import load
from llmproxy.observe.log import log
from llmproxy.server.process.process import Process
from llmproxy.testing import chunk, sse

from ..gateway import free_port
from .whole_request import until_there

STREAMS = 150
_QUESTION = "What is the meaning of it all? "
_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-request-id: req_1\r\ntransfer-encoding: chunked\r\n\r\n"
)
_TEXT = b"Hello there"
_EVENT = sse(chunk({"content": _TEXT.decode()}), done=False)


def _provide(listening: socket.socket, there: list[socket.socket]) -> None:
    """Answers every request with one event, and then is silent."""
    while True:
        sock, _ = listening.accept()
        asked = sock.recv(65536)
        if asked.startswith(b"POST"):
            there.append(sock)
            sock.sendall(_HEAD + b"%x\r\n%b\r\n" % (len(_EVENT), _EVENT))
        else:  # the list of its models
            sock.close()


def _open(port: int, count: int, clients: list[socket.socket], question: str) -> None:
    body = orjson.dumps({"model": "there/gpt", "stream": True, "messages": [{"role": "user", "content": question}]})
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: */*\r\nUser-Agent: client/1.0\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    for _ in range(count):
        sock = socket.create_connection(("127.0.0.1", port))
        sock.settimeout(60)
        clients.append(sock)
        sock.sendall(head.encode() + body)
        _until_begun(sock)


def _until_begun(sock: socket.socket) -> None:
    heard = b""
    while _TEXT not in heard:
        heard += sock.recv(65536)
        assert heard.startswith(b"HTTP/1.1 200"), heard


async def _held(text: str, port: int, question: str) -> float:
    path = Path("llmproxy.toml")
    path.write_text(text)
    config = load(path)
    log.configure(config.logs)
    process = Process(config, lambda: load(path), None)
    serving = asyncio.create_task(process.serve())
    clients: list[socket.socket] = []
    await asyncio.to_thread(until_there, port)
    await asyncio.to_thread(_open, port, 20, clients, question)
    tracemalloc.start()
    await asyncio.to_thread(_open, port, STREAMS // 4, clients, question)  # tables grow in steps
    gc.collect()
    before, _ = tracemalloc.get_traced_memory()
    await asyncio.to_thread(_open, port, STREAMS, clients, question)
    gc.collect()
    held = (tracemalloc.get_traced_memory()[0] - before) / STREAMS
    tracemalloc.stop()
    for client in clients:
        client.close()
    process.stop()
    await serving
    return held


def main(length: int) -> None:
    port, listening = free_port(), socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_provide, args=(listening, []), daemon=True).start()
    provider = f'adapter = "openai"\nbase_url = "http://127.0.0.1:{listening.getsockname()[1]}/v1"\napi_key = "x"'
    text = f"[server]\nport = {port}\nmax_lag = 0\n[providers.there]\n{provider}\n"
    question = (_QUESTION * (length // len(_QUESTION) + 1))[:length]
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.environ["XDG_DATA_HOME"] = folder
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            print(f"{runner.run(_held(text, port, question)):.0f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 30)
