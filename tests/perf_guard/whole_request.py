"""Counts the calls of the event loop's thread for one small JSON request, from socket to socket. Prints the count.

A process of its own, as a gateway is: `python -m tests.perf_guard.whole_request [TOML [STATUS]]`. The provider and the client are
threads, whose calls are not counted. Every feature is in its default state; TOML is added to the configuration. With STATUS 503 all
places seem to be taken.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

import orjson
import uvloop

from llmproxy.config import load
from llmproxy.observe.log import log
from llmproxy.requests.registry import RequestRegistry
from llmproxy.server.process.process import Process

from ..gateway import free_port
from .counting import calls_of_loop

REQUESTS = 100
SECRET = "sk-of-the-test"
_BODY = orjson.dumps({"model": "there/gpt", "messages": [{"role": "user", "content": "Hello"}]})
_ANSWER = orjson.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello there.", "refusal": None, "annotations": []},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 9,
            "completion_tokens": 3,
            "total_tokens": 12,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        },
    }
)
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req_1\r\ncontent-length: %d\r\n\r\n"


def _message(sock: socket.socket, data: bytes = b"") -> bytes:
    """The next whole HTTP message; empty where the other side has closed."""
    while b"\r\n\r\n" not in data or len(data.partition(b"\r\n\r\n")[2]) < _length(data):
        piece = sock.recv(65536)
        if not piece:
            return b""
        data += piece
    return data


def _length(data: bytes) -> int:
    return int(data.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)


def _provide(listening: socket.socket) -> None:
    while True:
        sock, _ = listening.accept()
        threading.Thread(target=_answer, args=(sock,), daemon=True).start()


def _answer(sock: socket.socket) -> None:
    while _message(sock):
        sock.sendall(_HEAD % len(_ANSWER) + _ANSWER)


def _ask(port: int, count: int, status: str) -> None:
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {SECRET}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(_BODY)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port)) as sock:
        for _ in range(count):
            sock.sendall(head.encode() + _BODY)
            answer = _message(sock)
            assert answer.startswith(b"HTTP/1.1 " + status.encode()), answer


async def _counted(text: str, port: int, status: str) -> float:
    path = Path("llmproxy.toml")
    path.write_text(text)
    config = load(path)
    log.configure(config.logs)
    process = Process(config, lambda: load(path), None)
    serving = asyncio.create_task(process.serve())
    await asyncio.to_thread(until_there, port)
    if status == "503":
        RequestRegistry.__len__ = lambda _: 1_000_000  # type: ignore[method-assign]
    await asyncio.to_thread(_ask, port, 20, status)
    counted = await calls_of_loop(asyncio.to_thread(_ask, port, REQUESTS, status))
    process.stop()
    await serving
    return counted.total() / REQUESTS


def until_there(port: int) -> None:
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)


def main(more: str = "", status: str = "200") -> None:
    port, listening = free_port(), socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_provide, args=(listening,), daemon=True).start()
    provider = f'adapter = "openai"\nbase_url = "http://127.0.0.1:{listening.getsockname()[1]}/v1"\napi_key = "x"'
    text = f'{more}\n[server]\nport = {port}\n[storage]\ndir = "data"\n[providers.there]\n{provider}\n'
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(runner.run(_counted(text, port, status)))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        main(*sys.argv[1:])
