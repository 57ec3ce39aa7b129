"""The turns of a conversation as the messages of a chat.

The results of a turn's calls come first, each as a tool's message and in the order of the calls; what else the user said
follows, with the images of results. A call that never got a result is answered for, as chat models want one for each. A
system message in the midst is put as the user's: many models' templates know one system prompt only, at the beginning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import orjson

from llmproxy.core.chat import Json
from llmproxy.wire.foreign_reasoning import unpack

from .parts import blocks, parts, result, shortest, text_of

_BILLING = "x-anthropic-billing-header:"
_ABORTED = "aborted"  # the result of a call that was given none


@dataclass(slots=True)
class Turns:
    """Takes messages in their order. lost: the names of what a chat has no place for.

    beside: for each message that was made, the blocks that it was made of; a system message in the midst as a whole.
    """

    lost: list[str] = field(default_factory=list)
    made: list[Json] = field(default_factory=list)
    beside: list[list[Json]] = field(default_factory=list)
    _called: list[str] = field(default_factory=list)  # ids of the last turn's calls, which wait for their results

    def read(self, system: object, messages: Sequence[Json]) -> list[Json]:
        if text := _system(system):
            self._put({"role": "system", "content": text}, blocks(system))
        for message in messages:
            if message["role"] == "assistant":
                self._assistant(blocks(message["content"]))
            elif message["role"] == "system":
                self._system(message["content"])
            else:
                self._user(blocks(message["content"]))
        self._answer_for({})
        return self.made

    def _user(self, said: list[Json]) -> None:
        given = {str(one.get("tool_use_id")): one for one in said if one["type"] == "tool_result"}
        pictures = self._answer_for(given)
        others = [one for one in said if one["type"] != "tool_result"]
        rest = parts(others, self.lost)
        strays = [_stray(id, text) for id, (text, _) in self._strays(given)]
        if made := [*pictures, *strays, *rest]:
            self._add(made, [*strays, *others])

    def _answer_for(self, given: dict[str, Json]) -> list[Json]:
        """Writes the results of the calls that wait, and takes them out of `given`. Gives their images."""
        others: list[Json] = []
        for id in self._called:
            block = given.pop(id, None)
            text, more = result(block, self.lost) if block is not None else (_ABORTED, [])
            self._put({"role": "tool", "tool_call_id": id, "content": text}, [block] if block is not None else [])
            others += more
        self._called = []
        return others

    def _strays(self, given: dict[str, Json]) -> list[tuple[str, tuple[str, list[Json]]]]:
        return [(id, result(block, self.lost)) for id, block in given.items()]

    def _system(self, content: object) -> None:
        if text := text_of(parts(content, self.lost)):
            self._answer_for({})
            reminder = [{"type": "text", "text": f"<system-reminder>\n{text}\n</system-reminder>"}]
            self._add(reminder, [{"role": "system", "content": blocks(content)}])

    def _add(self, made: list[Json], of: list[Json]) -> None:
        """As a message of the user's; two in a row are one, as some templates want turns to alternate."""
        last = self.made[-1] if self.made else {}
        if last.get("role") == "user":
            before = last["content"]
            made = [*([{"type": "text", "text": before}] if isinstance(before, str) else before), *made]
            self.made.pop()
            of = [*self.beside.pop(), *of]
        self._put({"role": "user", "content": shortest(made)}, of)

    def _put(self, message: Json, of: list[Json]) -> None:
        self.made.append(message)
        self.beside.append(of)

    def _assistant(self, said: list[Json]) -> None:
        self._answer_for({})
        text, thoughts = "", []
        details: list[Json] = []
        bound: dict[str, Json] = {}  # further members of a call, by its id
        calls: list[Json] = []
        between = False  # something stood between this text and the last
        for block in said:
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
                calls.append(_call(block, bound))
            else:
                self.lost.append(f"content.{kind}")
        message: Json = {"role": "assistant", "content": text or None}
        if thoughts:
            message["reasoning_content"] = "\n\n".join(thoughts)
        if details:
            message["reasoning_details"] = details
        if calls:
            message["tool_calls"] = calls
            self._called = [call["id"] for call in calls]
        if text or calls:
            self._put(message, said)


def _call(block: Json, bound: dict[str, Json]) -> Json:
    id = str(block.get("id") or "")
    arguments = orjson.dumps(block.get("input") if block.get("input") is not None else {}).decode()
    function = {"name": str(block.get("name") or ""), "arguments": arguments}
    return {**bound.get(id, {}), "id": id, "type": "function", "function": function}


def _stray(id: str, text: str) -> Json:
    return {"type": "text", "text": f"[Result of the tool call {id}]\n{text}"}


def _system(system: object) -> str:
    """The system prompt without Claude Code's accounting line, which changes with every request."""
    texts = [str(one.get("text") or "") for one in blocks(system) if one.get("type") == "text"]
    return "\n\n".join(text for text in texts if text and not text.startswith(_BILLING))
