"""What the tests ask, and the models by the names that clients of the gateway say."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from openai import pydantic_function_tool
from pydantic import BaseModel

from tests.clients import gemini_upstream, openai_upstream
from tests.clients.model import TOOL, weather

OPENAI = f"openai/{openai_upstream.CHAT}"
GEMINI = f"gemini/{gemini_upstream.MODEL}"
GEMINI_WITH_IDS = f"gemini/{gemini_upstream.WITH_IDS}"
BOTH = pytest.mark.parametrize("model", [OPENAI, GEMINI])
ALL_WITH_TOOLS = pytest.mark.parametrize("model", [OPENAI, GEMINI, GEMINI_WITH_IDS])

ENDLESS, CUT = f"openai/{openai_upstream.ENDLESS}", f"openai/{openai_upstream.CUT}"
BOTH_ENDLESS = pytest.mark.parametrize("model", [ENDLESS, f"gemini/{gemini_upstream.ENDLESS}"])

HELLO: list[Any] = [{"role": "user", "content": "Hello"}]
TWO_CITIES, TWO_ANSWERS = "Weather in Paris, Rome", "Paris: 21 degrees; Rome: 21 degrees"
ONE_CITY, ONE_ANSWER = "Weather in Oslo", "Oslo: 21 degrees"


class Forecast(BaseModel):
    city: str
    degrees: int


class Weather(BaseModel):
    """The weather of one city."""

    city: str


TOOLS: list[Any] = [pydantic_function_tool(Weather, name=TOOL)]


def results(calls: Any) -> list[Any]:
    """What the tools answer, as messages."""
    cities = [orjson.loads(call.function.arguments)["city"] for call in calls]
    return [
        {"role": "tool", "tool_call_id": call.id, "content": weather(city)}
        for call, city in zip(calls, cities, strict=True)
    ]
