"""Translates Gemini's `contents` to chat messages. A call without an ID gets one; its result is matched by name and
order.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from llmproxy.core.chat import Json
from llmproxy.core.errors import BadRequest
from llmproxy.core.places import Places
from llmproxy.wire.tool_names import ChatToolNames

from . import signatures
from .fields import an_object, listed, spelled, words

_SOUNDS = {"audio/wav": "wav", "audio/x-wav": "wav", "audio/mp3": "mp3", "audio/mpeg": "mp3"}
_OF_PART = frozenset(("text", "thought", "thoughtSignature", "videoMetadata", "mediaResolution", "partMetadata"))
_WRAPS = ("output", "result", "return_value")  # Google's own, LangChain's and pydantic-ai's
_SEE_BELOW = "[image below]"
_URL_SAFE = str.maketrans("-_", "+/")


@dataclass(slots=True)
class _ModelTurn:
    """One turn of the model, while its parts are read."""

    text: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    details: list[Json] = field(default_factory=list)
    images: list[Json] = field(default_factory=list)
    calls: list[Json] = field(default_factory=list)
    signature: str = ""  # Gemini's own, of a part that is not a call

    def message(self) -> Json | None:
        text = "".join(self.text)
        if not (text or self.calls or self.images or self.thoughts or self.details):
            return None
        message: Json = {"role": "assistant", "content": text or None}
        optional = {
            "reasoning_content": "".join(self.thoughts),
            "reasoning_details": self.details,
            "images": self.images,
            "tool_calls": self.calls,
        }
        message |= {name: value for name, value in optional.items() if value}
        return {**message, **(signatures.extra_content(self.signature) if self.signature else {})}


class Messages:
    """Takes the contents in order. Afterwards `messages` is the conversation and `lost` has the names of what was
    dropped.
    """

    def __init__(self, names: ChatToolNames, places: Places) -> None:
        self._names = names
        self._places = places
        self.messages: list[Json] = []
        self.lost: list[str] = []
        self._open_calls: list[tuple[str, str]] = []  # id and name of calls without a result
        self._result_media: list[Json] = []  # media of results, added to the user message after them
        self._turn: _ModelTurn | None = None  # the open turn of the model
        self._turn_place = ""
        self._calls = 0

    def _append(self, message: Json, where: str) -> None:
        self.messages.append(self._places.keep(message, where))

    def instruct(self, instruction: Any, where: str = "systemInstruction") -> None:
        """Adds the system instruction: a content object or a plain text."""
        if instruction is None:
            return
        parts = [{"text": instruction}] if isinstance(instruction, str) else spelled(instruction).get("parts")
        texts = [words(part.get("text")) for part in listed(parts, f"{where}.parts")]
        if text := "\n\n".join(one for one in texts if one):
            self._append({"role": "system", "content": text}, where)

    def add_all(self, contents: Any) -> None:
        for at, content in enumerate(listed(contents, "contents")):
            role, where = content.get("role") or "user", f"contents[{at}].parts"
            parts = listed(content.get("parts"), where)
            if role == "model":
                self._model(where, parts)
                continue
            self._end_turn()
            if role == "system":
                self.instruct(content, f"contents[{at}]")
            elif role in ("user", "function", "tool"):
                self._user(where, parts)
            else:
                text = "Please use a valid role: user, model."
                raise BadRequest(text, param=f"contents[{at}].role", code="invalid_value")
        self._end_turn()

    # User turns and results

    def _user(self, where: str, parts: list[Json]) -> None:
        parts_made: list[Json] = []
        for at, part in enumerate(parts):
            if "functionResponse" in part:
                self._result(f"{where}[{at}]", spelled(part["functionResponse"]))
            elif (found := self._part(f"{where}[{at}]", part)) is not None:
                parts_made.append(found)
        parts_made, self._result_media = [*self._result_media, *parts_made], []
        if parts_made:
            texts = [part["text"] for part in parts_made if part["type"] == "text"]
            content: Any = texts[0] if len(parts_made) == len(texts) == 1 else parts_made
            self._append({"role": "user", "content": content}, where.removesuffix(".parts"))

    def _result(self, where: str, given: Json) -> None:
        name, id = words(given.get("name")), words(given.get("id"))
        place = next((at for at, call in enumerate(self._open_calls) if id and call[0] == id), None)
        if place is None:
            place = next((at for at, call in enumerate(self._open_calls) if call[1] == name), None)
        if place is None:
            text = f"{where}.functionResponse answers no function call of the turn before it."
            raise BadRequest(text, param=f"{where}.functionResponse", code="invalid_value")
        id, _ = self._open_calls.pop(place)
        text = _answer(given.get("response"))
        inside = f"{where}.functionResponse.parts"
        media = [self._part(f"{inside}[{at}]", part) for at, part in enumerate(listed(given.get("parts"), inside))]
        pictures = [one for one in media if one is not None]
        self._result_media += pictures
        content = "\n\n".join(filter(None, (text, _SEE_BELOW if pictures else "")))
        self._append({"role": "tool", "tool_call_id": id, "content": content}, where)

    def _part(self, where: str, part: Json) -> Json | None:
        """A chat part for one of the user's parts; None for an empty part or one that cannot be translated."""
        kind = next((name for name in _READ if name in part), None)
        if kind is not None:
            return self._places.keep(_READ[kind](where, spelled(part[kind])), where)
        if text := words(part.get("text")):
            return self._places.keep({"type": "text", "text": text}, where)
        self._drop(part)
        return None

    def _drop(self, part: Json) -> None:
        self.lost += [f"contents.parts.{name}" for name in part if name not in _OF_PART]

    # Model turns

    def _model(self, where: str, parts: list[Json]) -> None:
        """Consecutive contents of the model are one turn: the Python SDK keeps one content for each event of a stream."""
        if self._turn is None:
            self._turn, self._open_calls, self._turn_place = _ModelTurn(), [], where.removesuffix(".parts")
        for at, part in enumerate(parts):
            self._model_part(f"{where}[{at}]", part, self._turn)

    def _end_turn(self) -> None:
        turn, self._turn = self._turn, None
        if turn is not None and (message := turn.message()) is not None:
            self._append(message, self._turn_place)

    def _model_part(self, where: str, part: Json, turn: _ModelTurn) -> None:
        if "functionCall" in part:
            turn.calls.append(self._places.keep(self._call(where, part, turn), where))
            return
        self._state(part, turn)
        if part.get("thought") is True:
            turn.thoughts.append(words(part.get("text")))
        elif "inlineData" in part or "fileData" in part:
            turn.images += [one for one in [self._part(where, part)] if one and one["type"] == "image_url"]
        elif "executableCode" in part:
            turn.text.append(_fenced(words(an_object(part["executableCode"]).get("code"))))
        elif "codeExecutionResult" in part:
            turn.text.append(_fenced(words(an_object(part["codeExecutionResult"]).get("output"))))
        elif text := words(part.get("text")):
            turn.text.append(text)
        else:
            self._drop(part)

    def _state(self, part: Json, turn: _ModelTurn) -> None:
        signature = words(part.get("thoughtSignature"))
        if (packed := signatures.read(signature)) is not None:
            turn.details += packed.details
        elif signature and not signatures.is_foreign(signature):
            turn.signature = signature

    def _call(self, where: str, part: Json, turn: _ModelTurn) -> Json:
        given = spelled(part["functionCall"])
        name, args = words(given.get("name")), given.get("args")
        if not name or not isinstance(args, (dict, type(None))):
            text = f"{where}.functionCall must have a name, and an object as args."
            raise BadRequest(text, param=f"{where}.functionCall", code="invalid_value")
        id = words(given.get("id")) or self._new_id()
        self._open_calls.append((id, name))
        function = {"name": self._names.theirs(name), "arguments": _json(args or {})}
        call: Json = {"id": id, "type": "function", "function": function}
        signature = words(part.get("thoughtSignature"))
        if (packed := signatures.read(signature)) is not None:
            turn.details += packed.details
            return {**packed.extra, **call}
        own = signature and signature != signatures.NO_CHECK and not signatures.is_foreign(signature)
        return {**call, **(signatures.extra_content(signature) if own else {})}

    def _new_id(self) -> str:
        """A new ID, the same one each time the same conversation is sent."""
        self._calls += 1
        return f"call_{self._calls}"


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _answer(response: Any) -> str:
    """A function's response as text. Google's clients send an object: SDKs put a plain text under a name of theirs, and
    an error under `error`.
    """
    if isinstance(response, str):
        return response
    if isinstance(response, dict) and len(response) == 1:
        name, value = next(iter(response.items()))
        if name == "error":
            return f"Error: {value if isinstance(value, str) else _json(value)}"
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
    """Converts URL-safe base64, which the Python SDK sends, to the standard alphabet."""
    text = words(data).translate(_URL_SAFE)
    text += "=" * (-len(text) % 4)
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise BadRequest(f"{where}.inlineData is not base64.", param=where, code="invalid_value") from None
    return text


_READ: dict[str, Callable[[str, Json], Json]] = {"inlineData": _inline, "fileData": _linked}
