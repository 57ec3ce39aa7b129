"""A provider whose model repeats what it is told after `say:`, as a stream, as fast as it can."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PIECE = 7  # characters: pieces that end in the middle of words and of markup


def chunk(delta: dict[str, str], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    body = {"id": "told", "object": "chat.completion.chunk", "created": 1, "model": "told", "choices": [choice]}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


class Server(BaseHTTPRequestHandler):
    """OpenAI's streaming answer around whatever `pieces` gives."""

    def pieces(self, asked: dict[str, Any]) -> Iterator[bytes]:
        raise NotImplementedError

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for piece in self.pieces(asked):
            self.wfile.write(piece)
        self.wfile.write(chunk({}, "stop") + b"data: [DONE]\n\n")

    def log_message(self, format: str, *args: object) -> None:
        """Quiet: what it says is seen on the page."""


class Parrot(Server):
    def pieces(self, asked: dict[str, Any]) -> Iterator[bytes]:
        text = _told(asked["messages"])
        for start in range(0, len(text), PIECE):
            yield chunk({"content": text[start : start + PIECE]})


def _told(messages: list[dict[str, Any]]) -> str:
    content = messages[-1]["content"]
    texts = [content] if isinstance(content, str) else [part.get("text", f"[{part['type']}]") for part in content]
    return "\n".join(texts).removeprefix("say:")


@contextmanager
def serving(kind: type[Server]) -> Iterator[str]:
    """The address of a provider of that kind."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
