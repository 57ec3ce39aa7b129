"""Providers for the page's tests; the parrot repeats what it is told after `say:`, as a stream, as fast as it can."""

from __future__ import annotations

import json
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PIECE = 7  # characters: pieces that end in the middle of words and of markup


# What Perplexity says beside the text of an answer with sources.
SOURCES = {
    "citations": ["https://a.example/boiling", "https://b.example/freezing"],
    "search_results": [
        {"title": "On boiling", "url": "https://a.example/boiling"},
        {"title": "On freezing", "url": "https://b.example/freezing"},
    ],
}


def chunk(delta: dict[str, Any], finish: str | None = None, **beside: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    body = {
        "id": "told",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "told",
        "choices": [choice],
        **beside,
    }
    return b"data: " + json.dumps(body).encode() + b"\n\n"


class Server(BaseHTTPRequestHandler, ABC):
    """OpenAI's streaming answer around whatever `pieces` gives."""

    @abstractmethod
    def pieces(self, asked: dict[str, Any]) -> Iterator[bytes]:
        """The answer's events, but for its end."""

    def do_POST(self) -> None:
        self.answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def answer(self, asked: dict[str, Any]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        with suppress(ConnectionError):  # it was stopped
            for piece in self.pieces(asked):
                self.wfile.write(piece)
            self.wfile.write(chunk({}, "stop") + b"data: [DONE]\n\n")

    def log_message(self, format: str, *args: object) -> None:
        """Quiet: what it says is seen on the page."""


PICTURE = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAEAAAABACAIAAAAlC+aJAAAAT0lEQVR42u3PQQkAAAgEsEtiTiMaywi+hcEKLNXzWgQEBAQEBAQE"
    "BAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQELgt9cOE8/JmApAAAAABJRU5ErkJggg=="
)
SILENCE = "AAAA" * 800  # base64 of a tenth of a second, as PCM


class Parrot(Server):
    def pieces(self, asked: dict[str, Any]) -> Iterator[bytes]:
        if asked["model"] == "painter":
            yield from self.painted()
            return
        if asked["model"] == "endless":
            yield from _on_and_on("on and on\n\n")
        text = _told(asked["messages"])
        beside: dict[str, Any] = SOURCES if asked["model"].startswith("sonar") else {}
        for start in range(0, len(text), PIECE):
            yield chunk({"content": text[start : start + PIECE]}, **beside)

    def painted(self) -> Iterator[bytes]:
        """Words, a picture, words, and a sound."""
        yield chunk({"content": "Here is a dot:"})
        yield chunk({"images": [{"type": "image_url", "image_url": {"url": PICTURE}}]})
        yield chunk({"content": "And this is how it sounds."})
        for word in ("Nearly ", "nothing."):
            yield chunk({"audio": {"id": "sound", "data": SILENCE, "transcript": word}})
        yield chunk({"images": [{"type": "image_url", "image_url": {"url": "https://elsewhere.example/dot.png"}}]})


class Endless(Server):
    """Speaks until it is stopped, so that no test depends on how long an answer takes."""

    def pieces(self, asked: dict[str, Any]) -> Iterator[bytes]:
        yield from _on_and_on("on and ")


def _on_and_on(words: str) -> Iterator[bytes]:
    while True:
        yield chunk({"content": words})
        time.sleep(0.1)


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
