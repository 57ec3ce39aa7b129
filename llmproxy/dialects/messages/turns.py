"""Translates the turns of a Messages conversation to chat messages.

The results of a turn's calls come first, one tool message for each call, in the order of the calls. The rest of the
user's turn follows, with the images of the results. A call without a result gets one, because chat models require it. A
later system message becomes part of a user message: many models' templates allow one system prompt only, at the
beginning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import orjson

from llmproxy.core.chat import Json
from llmproxy.core.places import Places
from llmproxy.wire.foreign_reasoning import unpack
from llmproxy.wire.tool_names import ChatToolNames

from .parts import blocks, parts, result, shortest, text_of

_BILLING = "x-anthropic-billing-header:"
_ABORTED = "aborted"  # the result of a call without one


@dataclass(slots=True)
class Turns:
    """Takes messages in order. lost: names of what a chat does not have. names: maps tool names.

    beside: for each chat message, the blocks it was made from; a later system message as a whole. places: records
    where the messages and their parts come from.
    """

    lost: list[str] = field(default_factory=list)
    names: ChatToolNames = field(default_factory=ChatToolNames)
    places: Places = field(default_factory=lambda: Places({}))
    made: list[Json] = field(default_factory=list)
    beside: list[list[Json]] = field(default_factory=list)
    _open_calls: list[str] = field(default_factory=list)  # IDs of the last turn's calls without a result
    _where: str = ""  # the place of the message that is read
    _at: dict[int, str] = field(default_factory=dict)  # the places of its blocks, by their `id`

    def read(self, system: object, messages: Sequence[Json]) -> list[Json]:
        self._where = "system"
        if text := _system(system):
            self._append({"role": "system", "content": text}, blocks(system))
        for number, message in enumerate(messages):
            self._where = f"messages.{number}"
            self._at = {id(block): f"{self._where}.content.{at}" for at, block in enumerate(blocks(message["content"]))}
            if message["role"] == "assistant":
                self._assistant(blocks(message["content"]))
            elif message["role"] == "system":
                self._system(message["content"])
            else:
                self._user(blocks(message["content"]))
        self._add_results({})
        return self.made

    def _user(self, content_blocks: list[Json]) -> None:
        given = {str(one.get("tool_use_id")): one for one in content_blocks if one["type"] == "tool_result"}
        pictures = self._add_results(given)
        others = [one for one in content_blocks if one["type"] != "tool_result"]
        rest = [part for block in others for part in self._keep(parts([block], self.lost), block)]
        strays = [_result_as_text(id, text) for id, (text, _) in self._unmatched(given)]
        if made := [*pictures, *strays, *rest]:
            self._add_to_user(made, [*strays, *others])

    def _add_results(self, given: dict[str, Json]) -> list[Json]:
        """Adds the results of the open calls, and removes them from `given`. Returns their images."""
        others: list[Json] = []
        for id in self._open_calls:
            block = given.pop(id, None)
            text, more = self._result(block) if block is not None else (_ABORTED, [])
            message = {"role": "tool", "tool_call_id": id, "content": text}
            self._append(message, [block] if block is not None else [])
            others += more
            if block is not None:
                self._keep([message], block)
        self._open_calls = []
        return others

    def _unmatched(self, given: dict[str, Json]) -> list[tuple[str, tuple[str, list[Json]]]]:
        return [(id, self._result(block)) for id, block in given.items()]

    def _result(self, block: Json) -> tuple[str, list[Json]]:
        text, others = result(block, self.lost)
        return text, self._keep(others, block)

    def _keep(self, made: list[Json], block: Json) -> list[Json]:
        """Records that these parts were made of a block of this message."""
        for one in made:
            self.places.keep(one, self._at.get(id(block), self._where))
        return made

    def _system(self, content: object) -> None:
        if text := text_of(parts(content, self.lost)):
            self._add_results({})
            reminder = [{"type": "text", "text": f"<system-reminder>\n{text}\n</system-reminder>"}]
            self._add_to_user(reminder, [{"role": "system", "content": blocks(content)}])

    def _add_to_user(self, made: list[Json], of: list[Json]) -> None:
        """Adds to the user's message; two in a row are joined, because some templates require alternating roles."""
        last = self.made[-1] if self.made else {}
        if last.get("role") == "user":
            before = last["content"]
            made = [*([{"type": "text", "text": before}] if isinstance(before, str) else before), *made]
            self.made.pop()
            of = [*self.beside.pop(), *of]
        self._append({"role": "user", "content": shortest(made)}, of)

    def _append(self, message: Json, of: list[Json]) -> None:
        self.made.append(self.places.keep(message, self._where))
        self.beside.append(of)

    def _assistant(self, content_blocks: list[Json]) -> None:
        self._add_results({})
        text, thoughts = "", []
        details: list[Json] = []
        bound: dict[str, Json] = {}  # further members of a call, by its ID
        calls: list[Json] = []
        between = False  # another block was between this text and the last
        for block in content_blocks:
            kind = block["type"]
            if kind == "text":
                text += "\n\n" * (between and bool(text)) + str(block.get("text") or "")
                between = False
                continue
            between = True
            if kind in ("thinking", "redacted_thinking"):
                thoughts += [block["thinking"]] if isinstance(block.get("thinking"), str) and block["thinking"] else []
                packed = unpack(block.get("signature") or block.get("data"))
                if packed is not None:
                    details += packed.details
                    bound |= {packed.call_id: packed.extra} if packed.call_id and packed.extra else {}
            elif kind == "tool_use":
                calls += self._keep([_call(block, bound, self.names)], block)
            else:
                self.lost.append(f"content.{kind}")
        message: Json = {"role": "assistant", "content": text or None}
        if thoughts:
            message["reasoning_content"] = "\n\n".join(thoughts)
        if details:
            message["reasoning_details"] = details
        if calls:
            message["tool_calls"] = calls
            self._open_calls = [call["id"] for call in calls]
        if text or calls:
            self._append(message, content_blocks)


def _call(block: Json, bound: dict[str, Json], names: ChatToolNames) -> Json:
    id = str(block.get("id") or "")
    arguments = orjson.dumps(block.get("input") if block.get("input") is not None else {}).decode()
    function = {"name": names.theirs(str(block.get("name") or "")), "arguments": arguments}
    return {**bound.get(id, {}), "id": id, "type": "function", "function": function}


def _result_as_text(id: str, text: str) -> Json:
    return {"type": "text", "text": f"[Result of the tool call {id}]\n{text}"}


def _system(system: object) -> str:
    """The system prompt without Claude Code's billing line, which changes with every request."""
    texts = [str(one.get("text") or "") for one in blocks(system) if one.get("type") == "text"]
    return "\n\n".join(text for text in texts if text and not text.startswith(_BILLING))
