"""Gemini's `contents` as OpenAI's messages. A call without an id is given one, which its result finds by name and order."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from llmproxy.core.chat import Json
from llmproxy.core.errors import BadRequest

from . import signatures
from .fields import an_object, listed, spelled, words

_SOUNDS = {"audio/wav": "wav", "audio/x-wav": "wav", "audio/mp3": "mp3", "audio/mpeg": "mp3"}
_OF_PART = frozenset(("text", "thought", "thoughtSignature", "videoMetadata", "mediaResolution", "partMetadata"))
_WRAPS = ("output", "result", "return_value")  # Google's own, LangChain's and pydantic-ai's
_URL_SAFE = str.maketrans("-_", "+/")


@dataclass(slots=True)
class _Said:
    """One turn of the model's in the making."""

    text: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    details: list[Json] = field(default_factory=list)
    images: list[Json] = field(default_factory=list)
    calls: list[Json] = field(default_factory=list)
    signature: str = ""  # Gemini's own, of a part that is no call

    def message(self) -> Json | None:
        said = "".join(self.text)
        if not (said or self.calls or self.images or self.thoughts or self.details):
            return None
        message: Json = {"role": "assistant", "content": said or None}
        optional = {
            "reasoning_content": "".join(self.thoughts),
            "reasoning_details": self.details,
            "images": self.images,
            "tool_calls": self.calls,
        }
        message |= {name: value for name, value in optional.items() if value}
        return {**message, **(signatures.extra_content(self.signature) if self.signature else {})}


class Messages:
    """Takes the contents in order; afterwards `messages` is the conversation, and `lost` what could not be carried."""

    def __init__(self) -> None:
        self.messages: list[Json] = []
        self.lost: list[str] = []
        self._waiting: list[tuple[str, str]] = []  # id and name of calls without a result
        self._said: _Said | None = None  # the model's turn that may go on
        self._calls = 0

    def instruct(self, instruction: Any) -> None:
        """The system's instruction: a content, or only its text."""
        if instruction is None:
            return
        parts = [{"text": instruction}] if isinstance(instruction, str) else spelled(instruction).get("parts")
        said = [words(part.get("text")) for part in listed(parts, "systemInstruction.parts")]
        if text := "\n\n".join(one for one in said if one):
            self.messages.append({"role": "system", "content": text})

    def add_all(self, contents: Any) -> None:
        for at, content in enumerate(listed(contents, "contents")):
            role, where = content.get("role") or "user", f"contents[{at}].parts"
            parts = listed(content.get("parts"), where)
            if role == "model":
                self._model(where, parts)
                continue
            self._end_turn()
            if role == "system":
                self.instruct(content)
            elif role in ("user", "function", "tool"):
                self._user(where, parts)
            else:
                text = "Please use a valid role: user, model."
                raise BadRequest(text, param=f"contents[{at}].role", code="invalid_value")
        self._end_turn()

    # The user's turns, and results

    def _user(self, where: str, parts: list[Json]) -> None:
        said: list[Json] = []
        for at, part in enumerate(parts):
            if "functionResponse" in part:
                self._result(f"{where}[{at}]", spelled(part["functionResponse"]))
            elif (found := self._part(f"{where}[{at}]", part)) is not None:
                said.append(found)
        if said:
            texts = [part["text"] for part in said if part["type"] == "text"]
            content: Any = texts[0] if len(said) == len(texts) == 1 else said
            self.messages.append({"role": "user", "content": content})

    def _result(self, where: str, given: Json) -> None:
        name, id = words(given.get("name")), words(given.get("id"))
        place = next((at for at, call in enumerate(self._waiting) if id and call[0] == id), None)
        if place is None:
            place = next((at for at, call in enumerate(self._waiting) if call[1] == name), None)
        if place is None:
            text = f"{where}.functionResponse answers no function call of the turn before it."
            raise BadRequest(text, param=f"{where}.functionResponse", code="invalid_value")
        id, _ = self._waiting.pop(place)
        text = _answer(given.get("response"))
        media = [self._part(f"{where}.parts", part) for part in listed(given.get("parts"), f"{where}.parts")]
        pictures = [one for one in media if one is not None]
        content: Any = [{"type": "text", "text": text}, *pictures] if pictures else text
        self.messages.append({"role": "tool", "tool_call_id": id, "content": content})

    def _part(self, where: str, part: Json) -> Json | None:
        """OpenAI's part for one of the user's; None for one that says nothing or cannot be carried."""
        kind = next((name for name in _READ if name in part), None)
        if kind is not None:
            return _READ[kind](where, spelled(part[kind]))
        if text := words(part.get("text")):
            return {"type": "text", "text": text}
        self._lose(part)
        return None

    def _lose(self, part: Json) -> None:
        self.lost += [f"contents.parts.{name}" for name in part if name not in _OF_PART]

    # The model's turns

    def _model(self, where: str, parts: list[Json]) -> None:
        """Several contents in a row are one turn: Python's SDK keeps one for each event of a stream."""
        if self._said is None:
            self._said, self._waiting = _Said(), []
        for at, part in enumerate(parts):
            self._spoken(f"{where}[{at}]", part, self._said)

    def _end_turn(self) -> None:
        said, self._said = self._said, None
        if said is not None and (message := said.message()) is not None:
            self.messages.append(message)

    def _spoken(self, where: str, part: Json, said: _Said) -> None:
        if "functionCall" in part:
            said.calls.append(self._call(where, part, said))
            return
        self._state(part, said)
        if part.get("thought") is True:
            said.thoughts.append(words(part.get("text")))
        elif "inlineData" in part or "fileData" in part:
            said.images += [one for one in [self._part(where, part)] if one and one["type"] == "image_url"]
        elif "executableCode" in part:
            said.text.append(_fenced(words(an_object(part["executableCode"]).get("code"))))
        elif "codeExecutionResult" in part:
            said.text.append(_fenced(words(an_object(part["codeExecutionResult"]).get("output"))))
        elif text := words(part.get("text")):
            said.text.append(text)
        else:
            self._lose(part)

    def _state(self, part: Json, said: _Said) -> None:
        signature = words(part.get("thoughtSignature"))
        if (packed := signatures.read(signature)) is not None:
            said.details += packed.details
        elif signature and not signatures.is_foreign(signature):
            said.signature = signature

    def _call(self, where: str, part: Json, said: _Said) -> Json:
        given = spelled(part["functionCall"])
        name, args = words(given.get("name")), given.get("args")
        if not name or not isinstance(args, (dict, type(None))):
            text = f"{where}.functionCall must have a name, and an object as args."
            raise BadRequest(text, param=f"{where}.functionCall", code="invalid_value")
        id = words(given.get("id")) or self._fresh()
        self._waiting.append((id, name))
        call: Json = {"id": id, "type": "function", "function": {"name": name, "arguments": _json(args or {})}}
        signature = words(part.get("thoughtSignature"))
        if (packed := signatures.read(signature)) is not None:
            said.details += packed.details
            return {**packed.extra, **call}
        own = signature and signature != signatures.NO_CHECK and not signatures.is_foreign(signature)
        return {**call, **(signatures.extra_content(signature) if own else {})}

    def _fresh(self) -> str:
        """The same for the same call of the same conversation, whenever it is sent again."""
        self._calls += 1
        return f"call_{self._calls}"


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _answer(response: Any) -> str:
    """A function's answer as text: Google has an object, in which SDKs put one text under a name of theirs."""
    if isinstance(response, str):
        return response
    if isinstance(response, dict) and len(response) == 1:
        name, value = next(iter(response.items()))
        if name in _WRAPS and isinstance(value, str):
            return value
    return _json({} if response is None else response)


def _fenced(inside: str) -> str:
    return f"\n```\n{inside.rstrip()}\n```\n" if inside else ""


def _inline(where: str, blob: Json) -> Json:
    kind = words(blob.get("mimeType")).lower()
    data = _base64(where, blob.get("data"))
    if kind.startswith("text/"):
        return {"type": "text", "text": base64.b64decode(data).decode("utf-8", "replace")}
    if kind in _SOUNDS:
        return {"type": "input_audio", "input_audio": {"data": data, "format": _SOUNDS[kind]}}
    url = f"data:{kind or 'application/octet-stream'};base64,{data}"
    if kind.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": url}}
    name = words(blob.get("displayName")) or f"file.{kind.rpartition('/')[2] or 'bin'}"
    return {"type": "file", "file": {"filename": name, "file_data": url}}


def _linked(where: str, file: Json) -> Json:
    kind, uri = words(file.get("mimeType")).lower(), words(file.get("fileUri"))
    if not uri:
        raise BadRequest(f"{where}.fileData has no fileUri.", param=f"{where}.fileData", code="invalid_value")
    if kind.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": uri}}
    if kind.startswith("video/") or not kind:
        return {"type": "video_url", "video_url": {"url": uri}}
    return {"type": "file", "file": {"file_data": uri, "format": kind}}


def _base64(where: str, data: Any) -> str:
    """In the common alphabet: Python's SDK sends the other one."""
    text = words(data).translate(_URL_SAFE)
    text += "=" * (-len(text) % 4)
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise BadRequest(f"{where}.inlineData is not base64.", param=where, code="invalid_value") from None
    return text


_READ: dict[str, Callable[[str, Json], Json]] = {"inlineData": _inline, "fileData": _linked}
