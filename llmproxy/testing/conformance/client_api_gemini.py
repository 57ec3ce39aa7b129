"""Gemini's API for clients of the checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..check_gemini import check_gemini, check_gemini_error, check_gemini_stream
from .client_apis import PICTURE, SCHEMA, ClientApi
from .client_view_gemini import view_of_gemini
from .scripted_reply import Json

_THOUGHTS = {"thinkingConfig": {"includeThoughts": True}}


class _InGemini:
    def system(self, text: str) -> Json:
        return {"systemInstruction": {"parts": [{"text": text}]}}

    def limits(self, tokens: int, top_p: float) -> Json:
        return {"generationConfig": {"maxOutputTokens": tokens, "topP": top_p}}

    def _asked(self, part: Json) -> Json:
        return {"contents": [{"role": "user", "parts": [{"text": "What is it?"}, part]}]}

    def _image(self) -> Json:
        return {"inlineData": {"mimeType": "image/png", "data": PICTURE}}

    def picture(self) -> Json:
        return self._asked(self._image())

    def document(self, data: str) -> Json:
        return self._asked({"inlineData": {"mimeType": "application/pdf", "data": data, "displayName": "a.pdf"}})

    def tools(self, *names: str) -> Json:
        declared = [{"name": one, "description": f"To {one}.", "parametersJsonSchema": SCHEMA} for one in names]
        return {"tools": [{"functionDeclarations": declared}]}

    def must_call(self, name: str | None) -> Json:
        only = {"allowedFunctionNames": [name]} if name else {}
        return {"toolConfig": {"functionCallingConfig": {"mode": "ANY", **only}}}

    def turn(self, content: Sequence[Json], results: Mapping[str, Any]) -> Json:
        calls = [one["functionCall"] for one in content if "functionCall" in one]
        known = {call.get("id") or call["name"]: call for call in calls}
        given = [{"functionResponse": {**_named(known[id]), **_response(result)}} for id, result in results.items()]
        return {
            "contents": [
                {"role": "user", "parts": [{"text": "Hello"}]},
                {"role": "model", "parts": list(content)},
                {"role": "user", "parts": [*given, {"text": "Go on."}]},
            ]
        }

    def call(self, id: str, name: str, arguments: Json) -> Json:
        return {"functionCall": {"id": id, "name": name, "args": arguments}}

    def picture_result(self) -> Any:
        return {"response": {"output": "a lamp"}, "parts": [self._image()]}

    def schema(self) -> Json:
        return {"generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": SCHEMA}}

    def effort(self, effort: str) -> Json:
        return {"generationConfig": {"thinkingConfig": {"thinkingLevel": effort}}}


def _named(call: Json) -> Json:
    return {name: call[name] for name in ("id", "name") if name in call}


def _response(result: Any) -> Json:
    return result if isinstance(result, dict) else {"response": {"output": result}}


GEMINI = ClientApi(
    "gemini",
    "/v1beta/models/{model}:{method}",
    {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}], "generationConfig": _THOUGHTS},
    _InGemini(),
    view_of_gemini,
    check_gemini_stream,
    check_gemini,
    check_gemini_error,
    names_optional=True,
    usage_optional=True,
)
