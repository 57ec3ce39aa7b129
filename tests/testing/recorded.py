"""Recorded answers of one provider and API, as parameters of a test; none where the recordings are not there."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.recordings.recording import FOLDER

# Streams of hosts that have rules of their own, and files that were not recorded as they say.
_NOT_STRICT = ("odd:", "via:")
_MADE_UP = ("responses-json-complete-previous-response-id--", "responses-stream-shell-call--")


@dataclass(frozen=True, slots=True)
class Recorded:
    status: int
    stream: bool
    body: bytes = field(repr=False)


def recorded(provider: str, api: str) -> list[Any]:
    """Those that keep the provider's own rules."""
    index = FOLDER / provider / "INDEX.json"
    if not index.exists():
        return [pytest.param(None, marks=pytest.mark.skip(reason=f"no recordings of {provider}"), id="none")]
    found = []
    for one in json.loads(index.read_bytes()):
        name = one["file"].rpartition("/")[2]
        if one["api"] != api or name.startswith(_MADE_UP) or any(tag.startswith(_NOT_STRICT) for tag in one["tags"]):
            continue
        said = json.loads((FOLDER / provider / name).read_bytes())["response"]
        case = Recorded(said["status"], one["stream"], base64.b64decode(said["body_b64"]))
        found.append(pytest.param(case, id=name.removesuffix(".json")))
    return found
