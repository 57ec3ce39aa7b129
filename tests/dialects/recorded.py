"""Recorded answers of everybody who speaks Messages or Responses."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.recordings.recording import FOLDER
from tests.thorough import THOROUGH

# Of the pieces into which an answer is cut.
SIZES = (1, 2, 3, 7, 64, 1000, 4096, 1 << 20) if THOROUGH else (1, 7, 1 << 20)


@dataclass(frozen=True)
class Recording:
    """Of a good answer, as it was sent."""

    name: str
    stream: bool
    body: bytes

    @property
    def named(self) -> bool:
        """Whether a Messages stream names its events, as all but some hosts' do."""
        return b"event: message_start" in self.body

    @property
    def failed(self) -> bool:
        """Whether the last event of a Responses stream says so."""
        return b"response.failed" in self.body


@cache
def _good(path: Path, api: str) -> Recording | None:
    """None for other calls and for errors by status."""
    case = json.loads(path.read_text())
    if case["response"]["status"] != 200 or case["api"] != api:
        return None
    return Recording(path.stem, case["stream"], base64.b64decode(case["response"]["body_b64"]))


def recordings(folder: str, api: str, *, stream: bool) -> list[Recording]:
    """Those in a folder of the recordings; none where there are no recordings."""
    found = (_good(path, api) for path in sorted((FOLDER / folder).glob(f"{api}-*.json")))
    return [one for one in found if one is not None and one.stream == stream]


_DIALECTS = {
    "messages": "messages",
    "responses": "responses",
    "generateContent": "gemini",
    "streamGenerateContent": "gemini",
    "chat": "chat to Anthropic",
}


def requests_of(*folders: str) -> list[Any]:
    """Parameters of a test: the dialect's name and the body of every recorded request that was answered well."""
    found = []
    for path in (one for folder in folders for one in sorted((FOLDER / folder).glob("*.json"))):
        case = json.loads(path.read_text())
        dialect = _DIALECTS.get(case["api"]) if path.name != "INDEX.json" else None
        body = case["request"].get("body") if dialect else None
        if dialect and isinstance(body, dict) and body and case["response"]["status"] == 200:
            found.append(pytest.param(dialect, body, id=f"{dialect}: {path.stem}"))
    return found
