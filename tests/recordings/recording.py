"""A recorded exchange with a provider: how a client asks for it through the gateway, and what the provider said."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Json = dict[str, Any]

FOLDER = Path(os.environ.get("LLMPROXY_RECORDINGS") or Path(__file__).parents[3] / "shared" / "recordings")
_PROVIDERS = {
    "openai": "openai",
    "openrouter": "openrouter",
    "perplexity": "perplexity",
    "llamacpp": "llamacpp",
    "gemini": "gemini",
    "gemini-vertex": "gemini",
    "gemini-openai-compat": "compat",
    "azure-openai": "compat",
    "ollama-openai-compat": "compat",
}
_FACES = {
    "chat": "chat",
    "completions": "completions",
    "embeddings": "embeddings",
    "models": "models",
    "generateContent": "chat",
    "streamGenerateContent": "chat",
    "batchEmbedContents": "embeddings",
}
PATHS = {"chat": "/v1/chat/completions", "completions": "/v1/completions", "embeddings": "/v1/embeddings"}
_ELIDED = re.compile(r"\.\.\.\[\d+ chars elided\]")
_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@dataclass(frozen=True, slots=True)
class Recording:
    """`provider` is its name in the gateway's config; `stream` says whether the body is an event stream."""

    name: str
    number: int
    provider: str
    api: str
    face: str
    stream: bool
    status: int
    headers: dict[str, str]
    body: bytes = field(repr=False)
    asked: Json = field(repr=False)  # the recorded request, if it speaks OpenAI's dialect, else a neutral one
    native: bool  # Gemini's own API

    def question(self, mode: str, **changes: Any) -> Json:
        """What a client sends to the gateway. The model's name says which recording is meant, and how it is sent."""
        model = f"{self.provider}/{self.asked.get('model') or 'model'}--{self.number}-{mode}"
        return {**self.asked, "model": model, **changes}

    @property
    def wants_usage(self) -> bool:
        return bool((self.asked.get("stream_options") or {}).get("include_usage"))


def recordings() -> list[Recording]:
    """All that can be replayed; empty where the folder does not exist."""
    return list(_read_all())


def _read_all() -> Iterator[Recording]:
    files = sorted(path for path in FOLDER.glob("*/*.json") if path.name != "INDEX.json")
    for number, path in enumerate(files):
        recorded = json.loads(path.read_text())
        if recorded["api"] in _FACES and recorded["provider"] in _PROVIDERS:
            yield _recording(f"{path.parent.name}/{path.stem}", number, recorded)


def _recording(name: str, number: int, recorded: Json) -> Recording:
    response = recorded["response"]
    face = _FACES[recorded["api"]]
    native = recorded["api"] in ("generateContent", "streamGenerateContent", "batchEmbedContents")
    asked = recorded["request"]["body"]
    said_so = isinstance(asked, dict) and not native
    streams = recorded["stream"] or recorded["api"] == "streamGenerateContent"
    return Recording(
        name,
        number,
        _PROVIDERS[recorded["provider"]],
        recorded["api"],
        face,
        recorded["stream"],
        response["status"],
        {key.lower(): value for key, value in response["headers"].items() if key.lower() in _KEPT},
        base64.b64decode(response["body_b64"]),
        _restored(asked) if said_so else _neutral(face, recorded["request"]["path"], streams, asked),
        native,
    )


_KEPT = frozenset(
    ("content-type", "retry-after", "retry-after-ms", "x-request-id", "x-ratelimit-reset", "content-disposition")
)


def _neutral(face: str, path: str, streams: bool, asked: Any) -> Json:
    named = re.search(r"/models/([^:?/]+)", path)
    model = named[1] if named else "model"
    if face == "embeddings":
        count = len(asked.get("requests", ())) if isinstance(asked, dict) else 1
        return {"model": model, "input": [f"text {n}" for n in range(count or 1)], "encoding_format": "float"}
    if face == "completions":
        return {"model": model, "prompt": "Hello", "stream": streams}
    options = {"stream_options": {"include_usage": True}} if streams else {}
    return {"model": model, "messages": [{"role": "user", "content": "Hello"}], "stream": streams, **options}


def _restored(value: Any) -> Any:
    """The request with something valid where long base64 was left out."""
    if isinstance(value, dict):
        return {key: _restored(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_restored(inner) for inner in value]
    if isinstance(value, str) and _ELIDED.search(value):
        head, comma, _ = value.partition(",")
        return f"{head}{comma}{_PIXEL}" if head.startswith("data:") else _PIXEL
    return value
