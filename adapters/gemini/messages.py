"""A conversation in OpenAI's words as Gemini's `contents` and `systemInstruction`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from llmproxy.core.chat import Json
from llmproxy.core.errors import BadRequest

from .models import Abilities
from .parts import Media, as_list, render_part
from .signatures import Signatures, signature_of

# Google's own word for a call whose signature is lost; without one Gemini 3 answers 400.
LOST_SIGNATURE = "skip_thought_signature_validator"
SERVER_SIDE = ("toolCall", "toolResponse")  # parts of built-in tools that must come back as they were


class Conversation:
    """Takes the messages in order; afterwards `contents` and `system` are what Gemini takes."""

    def __init__(self, can: Abilities, signatures: Signatures) -> None:
        self._can = can
        self._signatures = signatures
        self._calls: list[tuple[str, str]] = []  # id and name of the calls of the last assistant turn
        self._results: list[tuple[int, Json]] = []  # their results, each with its call's place
        self._result_media: list[Json] = []
        self.contents: list[Json] = []
        self.system: list[Json] = []
        self.media = Media()

    def add_all(self, messages: Any) -> None:
        if not isinstance(messages, list) or not messages:
            raise BadRequest("'messages' must be a list with at least one message.", param="messages")
        for at, message in enumerate(messages):
            self._add(f"messages[{at}]", message)
        self._end_results()
        if not self._can.system or not self.contents:
            self._speak_as_user()
        if not self.contents:
            raise BadRequest("The messages hold no content.", param="messages")
        if self.contents[-1]["role"] == "model" and not self._can.prefill:
            raise BadRequest(
                "This model does not continue an answer: the last message must be from the user or a tool.",
                param="messages",
                code="prefill_not_supported",
            )

    def _add(self, where: str, message: Any) -> None:
        role = message.get("role") if isinstance(message, dict) else None
        if role != "tool":
            self._end_results()
        match role:
            case "system" | "developer":
                self.system.extend(self._parts(where, message))
            case "user":
                self._say("user", self._parts(where, message))
            case "assistant":
                self._say("model", self._assistant(where, message))
            case "tool":
                self._result(where, message)
            case _:
                raise BadRequest(f"{where} has no role that Gemini knows: {role!r}.", param=f"{where}.role")

    def _say(self, role: str, parts: list[Json]) -> None:
        last = self.contents[-1] if self.contents else None
        if not parts:
            return
        if last is not None and last["role"] == role and not _is_results(last):
            last["parts"].extend(parts)
        else:
            self.contents.append({"role": role, "parts": parts})

    def _parts(self, where: str, message: Json) -> list[Json]:
        rendered = (render_part(f"{where}.content", part, self.media) for part in as_list(message.get("content")))
        return [part for part in rendered if part is not None]

    def _assistant(self, where: str, message: Json) -> list[Json]:
        if message.get("function_call"):
            raise BadRequest("Gemini takes 'tool_calls', not 'function_call'.", param=f"{where}.function_call")
        said = self._parts(where, message)
        for image in as_list(message.get("images")):
            if (part := render_part(f"{where}.images", image, self.media)) is not None:
                said.append(_signed(part, signature_of(image)))
        if said and (signature := signature_of(message)):
            said[-1] = _signed(said[-1], signature)
        given = as_list(message.get("tool_calls"))
        calls = [self._call(f"{where}.tool_calls[{at}]", call) for at, call in enumerate(given)]
        if calls and self._can.signatures and "thoughtSignature" not in calls[0]:
            calls[0] = _signed(calls[0], LOST_SIGNATURE)
        return [*_server_side(message), *said, *calls]

    def _call(self, where: str, call: Any) -> Json:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(name := function.get("name"), str) or not name:
            raise BadRequest(f"{where} is not a function call with a name.", param=where)
        id = str(call.get("id") or "")
        self._calls.append((id, name))
        arguments = _arguments(function.get("arguments"), f"{where}.function.arguments")
        part: Json = {"functionCall": {**self._id(id), "name": name, "args": arguments}}
        return _signed(part, signature_of(call) or self._signatures.get(id))

    def _id(self, id: str) -> Json:
        """The id as the model wants it: `call_` are those that we, or another provider, gave where Gemini had none."""
        return {"id": id} if id and (self._can.ids or not id.startswith("call_")) else {}

    def _result(self, where: str, message: Json) -> None:
        place = self._place(message)
        name = self._calls[place][1] if place is not None else message.get("name")
        if not name:
            raise BadRequest(f"{where} answers no tool call of the message before it.", param=f"{where}.tool_call_id")
        parts = self._parts(where, message)
        text = "".join(part["text"] for part in parts if "text" in part)
        media = [part for part in parts if "text" not in part]
        response: Json = {**self._id(str(message.get("tool_call_id") or "")), "name": name, "response": _response(text)}
        if media and self._can.media_results:
            response["parts"] = media
        else:
            self._result_media.extend(media)
        self._results.append((len(self._calls) if place is None else place, {"functionResponse": response}))

    def _place(self, message: Json) -> int | None:
        """Which call this answers: by its id, else by its name, else the next that has no answer yet."""
        answered = {place for place, _ in self._results}
        open_calls = [(place, *call) for place, call in enumerate(self._calls) if place not in answered]
        id, name = message.get("tool_call_id"), message.get("name")
        for place, its_id, _ in open_calls:
            if id and id == its_id:
                return place
        for place, _, its_name in open_calls:
            if name and name == its_name:
                return place
        return open_calls[0][0] if open_calls and not (id and name) else None

    def _end_results(self) -> None:
        """All results of one turn go into one content, in the order of the calls."""
        if self._results:
            ordered = [part for _, part in sorted(self._results, key=lambda result: result[0])]
            self.contents.append({"role": "user", "parts": [*ordered, *self._result_media]})
            self._results, self._result_media, self._calls = [], [], []

    def _speak_as_user(self) -> None:
        """Puts the instructions before the first question: for Gemma, and for a question of instructions only."""
        if not self.system:
            return
        first = self.contents[0] if self.contents else None
        if first is not None and first["role"] == "user":
            first["parts"][:0] = self.system
        else:
            self.contents.insert(0, {"role": "user", "parts": self.system})
        self.system = []


def _is_results(content: Json) -> bool:
    return any("functionResponse" in part for part in content["parts"])


def _signed(part: Json, signature: str | None) -> Json:
    return {**part, "thoughtSignature": signature} if signature else part


def _server_side(message: Json) -> Iterable[Json]:
    extra = message.get("extra_content")
    google = extra.get("google") if isinstance(extra, dict) else None
    parts: Sequence[Any] = as_list(google.get("parts")) if isinstance(google, dict) else ()
    return [part for part in parts if isinstance(part, dict) and any(kind in part for kind in SERVER_SIDE)]


def _arguments(given: Any, where: str) -> Json:
    if isinstance(given, str):
        try:
            given = orjson.loads(given) if given.strip() else {}
        except orjson.JSONDecodeError as error:
            raise BadRequest(f"{where} is not JSON: {error}.", param=where) from error
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise BadRequest(f"{where} must be a JSON object.", param=where)
    return given


def _response(text: str) -> Json:
    """A tool's answer as the object that Gemini wants."""
    try:
        parsed = orjson.loads(text)
    except orjson.JSONDecodeError:
        parsed = None
    return parsed if isinstance(parsed, dict) else {"output": text}
