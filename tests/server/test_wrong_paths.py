"""What a client hears that asks at a path which is not there."""

from __future__ import annotations

import pytest

from llmproxy.config import Config
from tests.in_loop import served

OFFERED = (
    "/v1/chat/completions",
    "/v1/responses",
    "/v1/messages",
    "/v1beta/models/NAME:generateContent",
    "GET /v1/models",
)


@pytest.mark.parametrize("path", ["/v1/message", "/v1/response", "/v1/chat/completion"])
async def test_it_hears_which_paths_there_are(path: str) -> None:
    async with served(Config()) as gateway, gateway.client.post(gateway.url + path, json={}) as answer:
        error = (await answer.json())["error"]
    assert (answer.status, error["code"]) == (404, "unknown_url")
    assert all(one in error["message"] for one in (path, *OFFERED))
