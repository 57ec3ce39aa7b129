"""Converts OpenAI messages to Gemini's `contents` and `systemInstruction`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from llmproxy.adapter_kit import BadRequest, Json

from .models import Abilities
from .names import Names
from .parts import Media, as_list, render_part
from .signatures import Signatures, signature_of
from .turns import UNANSWERED, Turns
from .values import arguments, response

# Google's placeholder for a lost signature; a call without one is a 400 from Gemini 3.
LOST_SIGNATURE = "skip_thought_signature_validator"
SERVER_SIDE = ("toolCall", "toolResponse")  # parts of built-in tools, which must be sent back unchanged
_OWN_ID = re.compile(r"call_[0-9a-f]{24}")  # an ID made by the gateway; Gemini's own IDs differ


class Conversation:
    """Takes the messages in order; afterwards `contents` and `system` have Gemini's form."""

    def __init__(self, can: Abilities, signatures: Signatures, names: Names) -> None:
        self._can = can
        self._names = names
        self._signatures = signatures
        self._turns = Turns()
        self._calls: list[Json] = []  # of the last turn's calls: ID, name, and the ID as sent to Gemini
        self._results: dict[int, Json] = {}  # their results, by the call's index
        self._result_media: list[Json] = []
        self._reminders: list[Json] = []  # system messages in the middle of the conversation
        self.system: list[Json] = []
        self.media = Media()

    @property
    def contents(self) -> list[Json]:
        return self._turns.contents

    @property
    def shaped(self) -> bool:
        return self._turns.shaped

    def add_all(self, messages: Any) -> None:
        if not isinstance(messages, list) or not messages:
            raise BadRequest("'messages' must be a list with at least one message.", param="messages")
        for at, message in enumerate(messages):
            self._add(f"messages[{at}]", message)
        self._add_results()
        self._turns.end()
        if not self._can.system or not self.contents:
            self._move_system_to_user()
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
        match role:
            case "system" | "developer":
                self._instruct(self._parts(where, message))
            case "user":
                self._add_results()
                self._turns.user(self._parts(where, message))
            case "assistant":
                if self._results or self._reminders:
                    self._add_results()
                self._turns.model(self._assistant(where, message))
            case "tool":
                self._result(where, message)
            case _:
                raise BadRequest(f"{where} has no role that Gemini knows: {role!r}.", param=f"{where}.role")

    def _instruct(self, parts: list[Json]) -> None:
        """Gemini has one instruction, before all contents: a later instruction becomes part of a user turn at its place."""
        if not self.contents and not self._calls:
            self.system.extend(parts)
            return
        texts = (part.get("text") for part in parts)
        self._reminders += [{"text": f"<system-reminder>\n{text}\n</system-reminder>"} for text in texts if text]

    def _parts(self, where: str, message: Json) -> list[Json]:
        content = message.get("content")
        indexed = isinstance(content, list)
        placed = ((f"{where}.content{f'[{at}]' * indexed}", part) for at, part in enumerate(as_list(content)))
        rendered = (render_part(place, part, self.media) for place, part in placed)
        return [part for part in rendered if part is not None]

    def _assistant(self, where: str, message: Json) -> list[Json]:
        if message.get("function_call"):
            raise BadRequest("Gemini takes 'tool_calls', not 'function_call'.", param=f"{where}.function_call")
        parts = self._parts(where, message)
        for at, image in enumerate(as_list(message.get("images"))):
            if (part := render_part(f"{where}.images[{at}]", image, self.media)) is not None:
                parts.append(_signed(part, signature_of(image)))
        if parts and (signature := signature_of(message)):
            parts[-1] = _signed(parts[-1], signature)
        given = as_list(message.get("tool_calls"))
        calls = [self._call(f"{where}.tool_calls[{at}]", call) for at, call in enumerate(given)]
        if calls and self._can.signatures and "thoughtSignature" not in calls[0]:
            calls[0] = _signed(calls[0], LOST_SIGNATURE)
        return [*_server_side(message), *parts, *calls]

    def _call(self, where: str, call: Any) -> Json:
        custom = call.get("custom") if isinstance(call, dict) else None
        function = custom or (call.get("function") if isinstance(call, dict) else None)
        if not isinstance(function, dict) or not isinstance(name := function.get("name"), str) or not name:
            raise BadRequest(f"{where} is not a call of a tool with a name.", param=where)
        id = str(call.get("id") or "")
        sent_id = self._id(id)
        self._calls.append({"id": id, "name": name, "sent_id": sent_id})
        given = {"input": str(function.get("input") or "")} if custom else function.get("arguments")
        args = arguments(given, f"{where}.function.arguments")
        part: Json = {"functionCall": {**sent_id, "name": self._names.theirs(name), "args": args}}
        return _signed(part, signature_of(call) or self._signatures.get(id))

    def _id(self, id: str) -> Json:
        """The ID as the model accepts it: always one, only IDs from Gemini or the client, or none."""
        if self._can.ids:
            return {"id": id or f"call_{len(self._calls)}"}
        return {"id": id} if id and self._can.takes_ids and not _OWN_ID.fullmatch(id) else {}

    def _result(self, where: str, message: Json) -> None:
        place = self._place(message)
        if place is None:
            raise BadRequest(f"{where} answers no tool call of the message before it.", param=f"{where}.tool_call_id")
        parts = self._parts(where, message)
        text = "".join(part["text"] for part in parts if "text" in part)
        media = [part for part in parts if "text" not in part]
        answer = self._answer(place, response(text))
        if media and self._can.media_results:
            answer["functionResponse"]["parts"] = media
        else:
            self._result_media.extend(media)
        self._results[place] = answer

    def _answer(self, place: int, response: Json) -> Json:
        call = self._calls[place]
        named = {**call["sent_id"], "name": self._names.theirs(call["name"])}
        return {"functionResponse": {**named, "response": response}}

    def _place(self, message: Json) -> int | None:
        """Index of the call that a result belongs to: by ID, otherwise by name, otherwise the next without a result."""
        waiting = [(place, call) for place, call in enumerate(self._calls) if place not in self._results]
        id, name = message.get("tool_call_id"), message.get("name")
        for key, value in (("id", id), ("name", name)):
            for place, call in waiting:
                if value and value == call[key]:
                    return place
        return waiting[0][0] if waiting and not (id and name) else None

    def _add_results(self) -> None:
        """All results of one turn go into one content, in the order of the calls; each call must have one."""
        if self._calls:
            self._settle_calls()
        if self._reminders:
            self._turns.user(self._reminders)
            self._reminders = []

    def _settle_calls(self) -> None:
        missing = [place for place in range(len(self._calls)) if place not in self._results]
        self._turns.shaped = self._turns.shaped or bool(missing)
        filled = {place: self._answer(place, UNANSWERED) for place in missing}
        ordered = [part for _, part in sorted({**self._results, **filled}.items())]
        self._turns.results([*ordered, *self._result_media])
        self._calls, self._results, self._result_media = [], {}, []

    def _move_system_to_user(self) -> None:
        """Moves the instructions into the first user turn: for models without `systemInstruction`, and if there is no user turn."""
        if not self.system:
            return
        first = self.contents[0] if self.contents else None
        if first is not None and first["role"] == "user":
            first["parts"][:0] = self.system
        else:
            self.contents.insert(0, {"role": "user", "parts": self.system})
        self.system = []


def _signed(part: Json, signature: str | None) -> Json:
    return {**part, "thoughtSignature": signature} if signature else part


def _server_side(message: Json) -> Iterable[Json]:
    extra = message.get("extra_content")
    google = extra.get("google") if isinstance(extra, dict) else None
    parts: Sequence[Any] = as_list(google.get("parts")) if isinstance(google, dict) else ()
    return [part for part in parts if isinstance(part, dict) and any(kind in part for kind in SERVER_SIDE)]
