"""What Codex and opencode really send: every body of theirs is answered, streamed as they want it, on every kind of provider."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from llmproxy.testing import FakeProvider
from tests.dialects.responses.house import Open, checked, kinds, said
from tests.dialects.streams import Json
from tests.recordings.recording import FOLDER

FILES = sorted((FOLDER.parent / "captures").glob("*.json"))


def bodies() -> Iterator[Any]:
    for path in FILES:
        for number, request in enumerate(requests(json.loads(path.read_text()))):
            if request["path"].partition("?")[0].endswith("/responses"):
                yield pytest.param(request["body"], id=f"{path.stem}-{number}")


def requests(capture: Any) -> list[Any]:
    found = capture if isinstance(capture, list) else capture.get("requests", [])
    return [one for one in found if isinstance(one, dict) and isinstance(one.get("body"), dict)]


@pytest.mark.skipif(not FILES, reason="there are no captures here")
@pytest.mark.parametrize("body", list(bodies()))
async def test_a_real_clients_request_is_answered(opened: Open, provider: FakeProvider, body: Json) -> None:
    provider.streams(*said({"reasoning_content": "Hm."}, {"content": "Hello"}))
    async with opened("compatible") as house:
        stream = await house.stream(**{**body, "model": "m"})
    assert kinds(checked(stream))[-1] == "completed"
    sent = provider.last.json
    assert sent["messages"][0]["role"] in ("system", "user")
    assert all(tool["type"] == "function" for tool in sent.get("tools") or ())
    answered = [one["tool_call_id"] for one in sent["messages"] if one["role"] == "tool"]
    called = [call["id"] for one in sent["messages"] for call in one.get("tool_calls") or ()]
    assert answered == called
