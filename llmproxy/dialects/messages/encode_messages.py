"""Translates chat messages to Messages' turns: roles alternate, and results of tools come first in a user turn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from llmproxy.core.chat import Json
from llmproxy.core.errors import BadRequest
from llmproxy.wire.foreign_reasoning import is_ours

from .encode_parts import encode_content, text_block
from .tables import FORMAT, NAME, VENDOR, MessagesAbilities, Raw
from .tool_names import MessagesToolNames

UNANSWERED = "No result was given."
_FAILED = "Error: "  # prefix of a failed tool's result in a chat
GO_ON = "Continue."
NOTHING = "."
THOUGHTS = frozenset(("thinking", "redacted_thinking"))
# An assistant turn that ends with one of these is complete; any other was paused by the provider.
_GIVEN_UP = THOUGHTS | {"text", "tool_use"}


class Conversation:
    """Takes the messages in order. Afterwards `messages` and `system` are sent. `messages` is added to `dropped` if
    something was moved or inserted.
    """

    def __init__(self, can: MessagesAbilities, names: MessagesToolNames, dropped: list[str]) -> None:
        self._can = can
        self._names = names
        self._dropped = dropped
        self._ids: set[str] = set()  # of all calls; each ID is used once
        self._calls: list[tuple[str, str]] = []  # of the last turn: the client's ID and the one that is sent
        self._results: dict[str, Json] = {}
        self._user: list[Json] = []
        self._later: list[Json] = []  # instructions after the first message
        self.system: list[Json] = []
        self.messages: list[Json] = []
        self.container: Any = None

    def add_all(self, messages: Any, beside: Sequence[object] | None = None) -> None:
        """beside: the original blocks of each message. Messages' own blocks are sent unchanged."""
        if not isinstance(messages, list) or not messages:
            raise BadRequest("'messages' must be a list with at least one message.", param="messages")
        raws = beside or [None] * len(messages)
        for at, (message, raw) in enumerate(zip(messages, raws, strict=True)):
            if isinstance(raw, Raw) and raw.dialect == NAME and (raw.blocks or message["role"] == "user"):
                self._add_raw(message["role"], raw.blocks)
            else:
                self._add(f"messages[{at}]", message)
        self._settle()
        if not self.messages:
            self._send_system_as_user()
        if self.messages[0]["role"] != "user" and beside is None:
            self.messages.insert(0, {"role": "user", "content": [text_block(NOTHING)]})
            self._name_change()

    def end(self, prefill: bool) -> None:
        """The last message may be the assistant's if the model continues it; otherwise a user message asks for that."""
        last = self.messages[-1]
        if last["role"] != "assistant" or last["content"][-1].get("type") not in _GIVEN_UP:
            return
        if not prefill:
            self.messages.append({"role": "user", "content": [text_block(GO_ON)]})
            self._name_change()
        elif last["content"][-1]["type"] == "text":
            block = last["content"][-1]
            last["content"][-1] = {**block, "text": block["text"].rstrip()}

    @property
    def thinks_unsigned(self) -> bool:
        """Whether the last tool turn, if it is not finished, has no thoughts: with a thinking budget that is refused."""
        for message in reversed(self.messages):
            kinds = [block.get("type") for block in message["content"]]
            if message["role"] == "assistant":
                return "tool_use" in kinds and kinds[0] not in THOUGHTS
            if message["role"] == "user" and "tool_result" not in kinds:
                return False
        return False

    def _add(self, where: str, message: Any) -> None:
        role = message.get("role") if isinstance(message, dict) else None
        match role:
            case "system" | "developer":
                self._instruct(_blocks(where, message))
            case "user":
                self._user.extend(_blocks(where, message))
            case "assistant":
                self._assistant(where, message)
            case "tool":
                self._result(where, message)
            case _:
                raise BadRequest(f"{where} has no role that Claude knows: {role!r}.", param=f"{where}.role")

    def _add_raw(self, role: str, blocks: list[Json]) -> None:
        match role:
            case "system":
                self.system.extend(blocks)
            case "assistant":
                self._settle()
                own = [one for one in blocks if one.get("type") not in THOUGHTS or is_own_thought(one)]
                for id in (str(one.get("id")) for one in own if one.get("type") == "tool_use"):
                    self._call_id(id, keep=True)
                self._append(role, own)
            case "tool":
                self._results[str(blocks[0].get("tool_use_id"))] = blocks[0]
            case _:  # the images of results are already in the results
                for block in blocks:
                    if block.get("role") == "system":
                        self._instruct(block["content"])
                    else:
                        self._user.append(block)

    def _instruct(self, blocks: list[Json]) -> None:
        if not self.messages and not self._user:
            self.system.extend(blocks)
        elif self._can.system_inside:
            self._later.extend(blocks)
        else:
            wrapped = ({**one, "text": f"<system-reminder>\n{one.get('text')}\n</system-reminder>"} for one in blocks)
            self._user.extend(wrapped)

    def _assistant(self, where: str, message: Json) -> None:
        if message.get("function_call"):
            raise BadRequest("Claude takes 'tool_calls', not 'function_call'.", param=f"{where}.function_call")
        goes_on = self._calls and not self._results and not self._user and not self._later
        if not goes_on:
            self._settle()
        blocks = self._assistant_blocks(where, message)
        if not blocks:
            return
        last = self.messages[-1] if self.messages else None
        if last is not None and last["role"] == "assistant":
            last["content"] = [*last["content"], *blocks]
        else:
            self.messages.append({"role": "assistant", "content": blocks})

    def _assistant_blocks(self, where: str, message: Json) -> list[Json]:
        extra = _object(_object(message.get("extra_content")).get(VENDOR))
        if extra.get("container"):
            self.container = _object(extra["container"]).get("id") or extra["container"]
        if (raw := _raw(extra.get("content"), message)) is not None:
            for block in raw:
                if block.get("type") == "tool_use":
                    self._call_id(str(block.get("id")), keep=True)
            return raw
        if message.get("images") and "messages.images" not in self._dropped:
            self._dropped.append("messages.images")  # an assistant turn cannot have images
        text = encode_content(f"{where}.content", message.get("content"))
        if isinstance(message.get("refusal"), str) and message["refusal"].strip():
            text.append(text_block(message["refusal"]))
        calls = message.get("tool_calls") or ()
        encoded = [self._call(f"{where}.tool_calls[{at}]", call) for at, call in enumerate(calls)]
        return _with_cache_mark([*thoughts(message), *text, *encoded], message)

    def _call(self, where: str, call: Any) -> Json:
        custom = _object(call.get("custom")) if isinstance(call, dict) else {}
        body = custom or (_object(call.get("function")) if isinstance(call, dict) else {})
        if not isinstance(body.get("name"), str) or not body["name"]:
            raise BadRequest(f"{where} is not a call of a tool with a name.", param=where)
        given = {"input": str(body.get("input") or "")} if custom else _arguments(body.get("arguments"))
        id = self._call_id(str(call.get("id") or ""))
        cached = {"cache_control": call["cache_control"]} if call.get("cache_control") else {}
        return {"type": "tool_use", "id": id, "name": self._names.theirs(body["name"]), "input": given, **cached}

    def _call_id(self, given: str, *, keep: bool = False) -> str:
        sent_id = given if keep else _unused_id(MessagesToolNames.rewritten(given) or "call", self._ids)
        self._ids.add(sent_id)
        self._calls.append((given, sent_id))
        return sent_id

    def _result(self, where: str, message: Json) -> None:
        given = message.get("tool_call_id")
        sent_id = next((sent_id for id, sent_id in self._calls if id == given and sent_id not in self._results), None)
        if sent_id is None:
            sent_id = next((sent_id for id, sent_id in self._calls if id == given), None)
        if sent_id is None:
            raise BadRequest(f"{where} answers no tool call of the message before it.", param=f"{where}.tool_call_id")
        content = message.get("content")
        blocks = encode_content(f"{where}.content", content)
        result: Json = {"type": "tool_result", "tool_use_id": sent_id}
        if blocks:
            result["content"] = content if isinstance(content, str) else blocks
        if message.get("is_error") is True or (isinstance(content, str) and content.startswith(_FAILED)):
            result["is_error"] = True
        self._results[sent_id] = result | (
            {"cache_control": message["cache_control"]} if message.get("cache_control") else {}
        )

    def _settle(self) -> None:
        """Ends the user's turn: results in the order of the calls, then the user's content, then instructions."""
        results = [self._results.get(sent_id) or self._missing_result(sent_id) for _, sent_id in self._calls]
        if content := [*results, *self._user]:
            self._append("user", content)
        if self._later:
            self._append("system" if self.messages else "user", self._later)
        self._calls, self._results, self._user, self._later = [], {}, [], []

    def _append(self, role: str, blocks: list[Json]) -> None:
        if self.messages and self.messages[-1]["role"] == role:
            self.messages[-1]["content"] = [*self.messages[-1]["content"], *blocks]
        else:
            self.messages.append({"role": role, "content": blocks})

    def _missing_result(self, sent_id: str) -> Json:
        self._name_change()
        return {"type": "tool_result", "tool_use_id": sent_id, "content": UNANSWERED}

    def _send_system_as_user(self) -> None:
        """Sends instructions as a user message if there is no other message."""
        if not self.system:
            raise BadRequest("The messages hold no content.", param="messages")
        self.messages.append({"role": "user", "content": self.system})
        self.system = []
        self._name_change()

    def _name_change(self) -> None:
        if "messages" not in self._dropped:
            self._dropped.append("messages")


def thoughts(message: Json) -> list[Json]:
    """Claude's own signed thoughts in an assistant message. Unsigned thoughts and those of other models are not sent."""
    blocks = message.get("thinking_blocks")  # LiteLLM's form
    if isinstance(blocks, list) and blocks:
        return [one for one in blocks if isinstance(one, dict) and is_own_thought(one)]
    details = message.get("reasoning_details")
    return list(_from_details([one for one in details if isinstance(one, dict)])) if isinstance(details, list) else []


def is_own_thought(block: Json) -> bool:
    """Whether a thinking block has a signature or data of the provider's own."""
    sealed = block.get("signature") if block.get("type") == "thinking" else block.get("data")
    return block.get("type") in THOUGHTS and isinstance(sealed, str) and bool(sealed) and not is_ours(sealed)


def _from_details(details: list[Json]) -> Iterator[Json]:
    for one in details:
        if one.get("format") != FORMAT:
            continue
        if one.get("type") == "reasoning.encrypted":
            block = {"type": "redacted_thinking", "data": one.get("data")}
        else:
            block = {"type": "thinking", "thinking": one.get("text") or "", "signature": one.get("signature")}
        if is_own_thought(block):
            yield block


def _raw(content: Any, message: Json) -> list[Json] | None:
    """The original blocks of the turn, if the message still has the same text and calls."""
    if not isinstance(content, list) or not content or not all(isinstance(one, dict) for one in content):
        return None
    blocks = [one for one in content if one.get("type") not in THOUGHTS or is_own_thought(one)]
    text = "".join(one["text"] for one in blocks if one.get("type") == "text" and isinstance(one.get("text"), str))
    ids = [one.get("id") for one in blocks if one.get("type") == "tool_use"]
    calls = message.get("tool_calls") or ()
    if text != (message.get("content") or "") or ids != [call.get("id") for call in calls if isinstance(call, dict)]:
        return None
    return [one for one in blocks if one.get("type") != "text" or str(one.get("text")).strip()]


def _blocks(where: str, message: Json) -> list[Json]:
    return _with_cache_mark(encode_content(f"{where}.content", message.get("content")), message)


def _with_cache_mark(blocks: list[Json], message: Json) -> list[Json]:
    """Moves the message's `cache_control` to its last block that may have one."""
    if not message.get("cache_control") or not blocks or blocks[-1].get("type") in THOUGHTS:
        return blocks
    return [*blocks[:-1], {**blocks[-1], "cache_control": message["cache_control"]}]


def _arguments(given: object) -> Json:
    """The arguments as an object; a value that is not one is put under `arguments`."""
    if isinstance(given, dict):
        return given
    text = given if isinstance(given, str) else ""
    try:
        parsed = orjson.loads(text) if text.strip() else {}
    except orjson.JSONDecodeError:
        return {"arguments": text}
    return parsed if isinstance(parsed, dict) else {"arguments": parsed}


def _unused_id(id: str, taken: set[str]) -> str:
    if id not in taken:
        return id
    return next(other for number in range(2, len(taken) + 3) if (other := f"{id}_{number}") not in taken)


def _object(value: object) -> Json:
    return value if isinstance(value, dict) else {}
