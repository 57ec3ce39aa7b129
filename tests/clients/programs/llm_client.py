"""llm, the command line tool's library: a model of extra-openai-models.yaml, with its key in keys.json."""
# mypy: disable-error-code="import-not-found, no-any-return, untyped-decorator"

from __future__ import annotations

import gc
import json
import os
from pathlib import Path
from typing import Any

import llm
from pydantic import BaseModel
from speak import cancelled, speak, weather

Json = dict[str, Any]
HOME = Path(os.environ["LLM_USER_PATH"])


class Forecast(BaseModel):
    city: str
    degrees: int


def get_weather(city: str) -> str:
    """The weather of one city."""
    return weather(city)


def _configure(base_url: str, key: str, model: str) -> None:
    """What a user writes by hand. It is JSON, which is YAML too."""
    row = {
        "model_id": "gateway",
        "model_name": model,
        "api_base": base_url,
        "api_key_name": "gateway",
        "supports_tools": True,
        "supports_schema": True,
    }
    (HOME / "extra-openai-models.yaml").write_text(json.dumps([row]))
    (HOME / "keys.json").write_text(json.dumps({"gateway": key}))


def _model(**where: str) -> Any:
    _configure(**where)
    return llm.get_model("gateway")


def _usage(response: Any) -> list[int]:
    return [response.usage().input, response.usage().output]


def chat(text: str, **where: str) -> Json:
    response = _model(**where).prompt(text, stream=False)
    return {"text": response.text(), "usage": _usage(response)}


def stream(text: str, **where: str) -> Json:
    response = _model(**where).prompt(text, stream=True)
    pieces = [piece for piece in response if piece]
    return {"text": "".join(pieces), "pieces": len(pieces), "usage": _usage(response)}


def tools(questions: list[str], streamed: bool, **where: str) -> Json:
    conversation = _model(**where).conversation(tools=[get_weather])
    return {"answers": [conversation.chain(question, stream=streamed).text() for question in questions]}


def parse(text: str, **where: str) -> Json:
    return {"parsed": json.loads(_model(**where).prompt(text, schema=Forecast).text())}


def stop(text: str, **where: str) -> Json:
    pieces = iter(_model(**where).prompt(text, stream=True))
    first = next(piece for piece in pieces if piece)
    pieces.close()
    gc.collect()  # only then the OpenAI client beneath knows that it was left
    return {"text": first}


async def cancel(text: str, until: str, **where: str) -> Json:
    _configure(**where)
    return await cancelled(llm.get_async_model("gateway").prompt(text, stream=True), until)


if __name__ == "__main__":
    speak({"chat": chat, "stream": stream, "tools": tools, "parse": parse, "stop": stop, "cancel": cancel})
