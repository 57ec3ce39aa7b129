"""Providers of other dialects behind a key with a budget: whole answers are watched while they grow, or clamped."""

from __future__ import annotations

from typing import Any

import orjson

from llmproxy.testing import Behaviour
from llmproxy.testing.connection import Exchange
from tests.accounts.house import ASK, house
from tests.accounts.test_budgets import EVE, SSE, budgeted, dollars, settled

GEMINI = '[providers.gem]\nadapter = "gemini"\nbase_url = "{url}"\napi_key = "k"\nlist_models = false\n'


def said(text: str, **more: Any) -> bytes:
    candidate: Any = {"index": 0, "content": {"role": "model", "parts": [{"text": text}]}, **more.pop("candidate", {})}
    return b"data: " + orjson.dumps({"candidates": [candidate], "modelVersion": "m", **more}) + b"\r\n\r\n"


def counted(tokens: int) -> Any:
    return {"promptTokenCount": 10, "candidatesTokenCount": tokens, "totalTokenCount": 10 + tokens}


def gemini(tokens: int, asked: list[str]) -> Any:
    def route(exchange: Exchange) -> Behaviour | None:
        if exchange.method != "POST":
            return None
        asked.append(exchange.path)
        frames = [said("tok " * 4) for _ in range(tokens // 4)]
        frames.append(said("", candidate={"finishReason": "STOP"}, usageMetadata=counted(tokens)))
        return Behaviour(frames, headers=SSE, every=0.001)

    return route


async def test_a_whole_answer_of_gemini_is_watched_while_it_grows() -> None:
    asked: list[str] = []
    more = GEMINI.replace("{url}", "http://127.0.0.1:PORT/v1beta")
    async with house(budgeted(f"{dollars(2000)}/total", more), route=gemini(400, asked)) as there:
        body = {**ASK, "model": "gem/gemini-2.5-flash"}
        status, told, _ = await there.ask(EVE, body)
        assert (status, told["usage"]["completion_tokens"]) == (200, 400)
        assert told["choices"][0]["message"]["content"] == "tok " * 400
        assert "streamGenerateContent" in asked[0]
        assert await settled(there) == 10 * 10**6 + 400 * 2 * 10**6
    asked.clear()
    async with house(budgeted(f"{dollars(1000)}/total", more), route=gemini(40_000, asked)) as there:
        status, told, _ = await there.ask(EVE, body)
        assert (status, told["error"]["code"]) == (429, "insufficient_quota")


async def test_several_choices_are_each_paid_for() -> None:
    asked: list[str] = []
    more = GEMINI.replace("{url}", "http://127.0.0.1:PORT/v1beta")
    async with house(budgeted("1/total", more), route=gemini(40, asked)) as there:
        status, told, _ = await there.ask(EVE, {**ASK, "model": "gem/gemini-2.5-flash", "n": 2})
        assert (status, len(told["choices"])) == (200, 2)
        assert await settled(there) == 2 * (10 * 10**6 + 40 * 2 * 10**6)
