"""Encodes an answer as Messages: the events of a stream, or the JSON answer with the same content."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping

import orjson

from llmproxy.core.chat import Chat, Json
from llmproxy.core.errors import GatewayError
from llmproxy.wire.block_events import CALLS, Begun, BlockEvent, Closed, Counted, Finished, Grew, Noted, Opened
from llmproxy.wire.blocks import Blocks
from llmproxy.wire.foreign_reasoning import seal
from llmproxy.wire.tool_names import ChatToolNames

from . import errors
from .count import counted, estimated

_STOPS: Mapping[str, str] = {
    "stop": "end_turn",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "length": "max_tokens",
    "content_filter": "refusal",
}
# Anthropic's own stop reasons have priority over the chat's.
_NATIVE = frozenset((
    "end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "refusal", "model_context_window_exceeded",
))  # fmt: skip
_PIECES: Mapping[str, tuple[str, str]] = {
    "text": ("text_delta", "text"),
    "reasoning": ("thinking_delta", "thinking"),
    "tool_call": ("input_json_delta", "partial_json"),
}
_NO_ID = re.compile(r"[^a-zA-Z0-9_-]")

Event = tuple[str, Json]


class Encoder:
    """Encodes one answer. A block is started when its kind is known: thoughts without a text become a redacted block."""

    def __init__(self, chat: Chat, named: str = "", names: ChatToolNames | None = None) -> None:
        self._chat = chat
        self._names = names or ChatToolNames()
        self._named = named
        self._stream = chat.stream
        self._blocks = Blocks()
        self._answer: Json = {}  # the answer so far; for a stream without its texts
        self._texts: dict[str, list[str]] = {}  # pieces of the open block
        self._open: Opened | None = None
        self._begun = False  # the start of the open block has been sent
        self._custom_input: list[str] = []  # a custom call's input
        self._cited: list[Json] = []  # of the open text
        self._annotated: list[Json] = []
        self._usage: Json | None = None
        self._produced = 0
        self._refused = False
        self._end: Finished | None = None

    # The contract

    def feed(self, chunk: Json) -> Iterable[bytes]:
        if self._begun and self._stream and (further := self._blocks.further(chunk)) is not None:
            return (self._next_piece(further.piece),)
        return self._sent(self._read(self._blocks.feed(chunk)))

    def finish(self) -> Iterable[bytes]:
        yield from self._sent(self._finish())
        if not self._stream:
            yield orjson.dumps(self._answer)

    def failed(self, error: GatewayError) -> bytes:
        return errors.event(error)

    def _next_piece(self, piece: str) -> bytes:
        """The event for one more piece of the open block of text, reasoning or arguments."""
        assert self._open is not None
        kind, field = _PIECES[self._open.kind]
        self._produced += len(piece)
        return _sse(*self._delta({"type": kind, field: piece}))

    # From blocks to events

    def _read(self, events: Iterable[BlockEvent]) -> Iterator[Event]:
        for event in events:
            if isinstance(event, Grew):
                yield from self._grew(event)
            elif isinstance(event, Opened):
                self._open, self._begun, self._custom_input = event, False, []
                self._cited, self._annotated = [], []
                yield from self._opened(event)
            elif isinstance(event, Closed):
                yield from self._closed(event)
            elif isinstance(event, Noted):
                self._note(event.note)
            elif isinstance(event, Begun):
                yield "message_start", {"message": self._message(event)}
            elif isinstance(event, Counted):
                self._usage = event.usage
            elif isinstance(event, Finished):
                self._end = event

    def _message(self, begun: Begun) -> Json:
        id = begun.id if begun.id.startswith("msg_") else f"msg_{_NO_ID.sub('', begun.id) or self._chat.trace.id}"
        # The exact usage comes at the end; clients use this one to measure their context.
        usage = counted(begun.usage) if begun.usage else {**counted({}), "input_tokens": estimated(self._chat.body)}
        return {
            "id": id,
            "type": "message",
            "role": "assistant",
            "model": self._named or begun.model or self._chat.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {**usage, "output_tokens": max(1, usage["output_tokens"])},
        }

    def _opened(self, block: Opened) -> Iterator[Event]:
        if block.kind in CALLS:
            item = block.meta.get("item")
            caller = {"caller": item["caller"]} if isinstance(item, dict) and "caller" in item else {}
            used = {"type": "tool_use", "id": _call_id(block.id), "name": self._names.ours(block.name), "input": {}}
            yield from self._begin({**used, **caller})
        elif block.kind == "opaque" and block.meta.get("dialect") == "messages":
            yield from self._begin(dict(block.meta["block"]))

    def _grew(self, event: Grew) -> Iterator[Event]:
        assert self._open is not None
        kind = self._open.kind
        if kind == "custom_tool_call":
            self._custom_input.append(event.piece)
        elif kind == "tool_call":
            yield self._delta({"type": "input_json_delta", "partial_json": event.piece})
        elif kind == "reasoning":
            yield from self._begin_once({"type": "thinking", "thinking": "", "signature": ""})
            yield self._delta({"type": "thinking_delta", "thinking": event.piece})
        elif kind in ("text", "refusal") or event.field == "transcript":
            self._refused = self._refused or kind == "refusal"
            yield from self._begin_once({"type": "text", "text": ""})
            yield self._delta({"type": "text_delta", "text": event.piece})
        self._produced += len(event.piece)

    def _closed(self, event: Closed) -> Iterator[Event]:
        block, self._open = self._open, None
        assert block is not None
        if block.kind == "reasoning":
            yield from self._end_thinking({**block.meta, **event.seal})
        elif block.kind == "custom_tool_call":
            text = orjson.dumps({"input": "".join(self._custom_input)}).decode()
            yield self._delta({"type": "input_json_delta", "partial_json": text})
        elif block.kind == "image":
            yield from self._image_link(event.seal.get("image"))
        elif block.kind == "text":
            yield from self._send_citations()
        if self._begun:
            yield "content_block_stop", {"index": self._index}
            self._begun = False

    def _end_thinking(self, sealed: Json) -> Iterator[Event]:
        """The signature is sent once, at the end of a block. State without a text is sent as `redacted_thinking`."""
        signature = sealed.get("signature") or seal(sealed)
        if not self._begun and sealed.get("data"):
            yield from self._begin({"type": "redacted_thinking", "data": sealed["data"]})
        elif not self._begun and not sealed.get("signature") and signature:
            yield from self._begin({"type": "redacted_thinking", "data": signature})
        elif signature:
            yield from self._begin_once({"type": "thinking", "thinking": "", "signature": ""})
            yield self._delta({"type": "signature_delta", "signature": signature})

    def _note(self, note: Json) -> None:
        self._cited += note.get("citations") or ()
        self._annotated += note.get("annotations") or ()

    def _send_citations(self) -> Iterator[Event]:
        """The citations of a text: Anthropic's own, or made from annotations."""
        made = self._cited or [citation for one in self._annotated if (citation := _citation(one))]
        for citation in made:
            yield from self._begin_once({"type": "text", "text": ""})
            yield self._delta({"type": "citations_delta", "citation": citation})

    def _image_link(self, image: object) -> Iterator[Event]:
        """Messages has no images in answers: an image with a URL becomes a link."""
        url = image.get("image_url") if isinstance(image, dict) else None
        url = url.get("url") if isinstance(url, dict) else url
        link = f"![image]({url})" if isinstance(url, str) and not url.startswith("data:") else "[image]"
        yield from self._begin({"type": "text", "text": ""})
        yield self._delta({"type": "text_delta", "text": link})

    def _finish(self) -> Iterator[Event]:
        yield from self._read(self._blocks.finish())
        assert self._end is not None
        message = self._end.message
        usage = counted(self._usage) if self._usage is not None else self._estimate()
        delta = {"stop_reason": self._stop_reason(self._end), "stop_sequence": message.get("stop_sequence")}
        delta |= {name: message[name] for name in ("stop_details", "container") if message.get(name) is not None}
        yield "message_delta", {"delta": delta, "usage": usage}
        yield "message_stop", {}

    def _estimate(self) -> Json:
        return {**self._answer["usage"], "output_tokens": max(1, (self._produced + 3) // 4)}

    def _stop_reason(self, end: Finished) -> str:
        reason = end.message.get("stop_reason") or end.native
        if reason in _NATIVE:
            return str(reason)
        if self._refused:
            return "refusal"
        if end.reason == "stop" and any(one["type"] == "tool_use" for one in self._answer["content"]):
            return "tool_use"
        return _STOPS.get(end.reason, "end_turn")

    # Events

    @property
    def _index(self) -> int:
        return len(self._answer["content"]) - 1

    def _begin_once(self, block: Json) -> Iterator[Event]:
        if not self._begun:
            yield from self._begin(block)

    def _begin(self, block: Json) -> Iterator[Event]:
        self._begun = True
        yield "content_block_start", {"index": len(self._answer["content"]), "content_block": block}

    def _delta(self, delta: Json) -> Event:
        return "content_block_delta", {"index": self._index, "delta": delta}

    def _sent(self, events: Iterator[Event]) -> Iterator[bytes]:
        for name, members in events:
            self._add(name, members)
            if self._stream:
                yield _sse(name, members)

    def _add(self, name: str, members: Json) -> None:
        """Adds an event to the JSON answer."""
        answer = self._answer
        if name == "message_start":
            answer |= {**members["message"], "content": []}
        elif name == "content_block_start":
            answer["content"].append(dict(members["content_block"]))
        elif name == "content_block_delta" and not self._stream:
            self._grow_last(answer["content"][-1], members["delta"])
        elif name == "content_block_stop" and not self._stream:
            self._join(answer["content"][-1])
        elif name == "message_delta":
            answer |= {**members["delta"], "usage": {**answer["usage"], **members["usage"]}}

    def _grow_last(self, block: Json, delta: Json) -> None:
        for name, value in delta.items():
            if name == "citation":
                block.setdefault("citations", []).append(value)
            elif name == "signature":
                block[name] = value
            elif name != "type":
                self._texts.setdefault(name, []).append(value)

    def _join(self, block: Json) -> None:
        """Joins the pieces of a block. Arguments that were cut by the token limit become empty."""
        for name, pieces in self._texts.items():
            text = "".join(pieces)
            if name == "partial_json":
                block["input"] = orjson.loads(text) if _is_json(text) else {}
            else:
                block[name] = text
        self._texts = {}


def _sse(name: str, members: Json) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), orjson.dumps({"type": name, **members}))


def _is_json(text: str) -> bool:
    try:
        return isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:  # cut by the limit of tokens
        return False


def _call_id(id: str) -> str:
    """An ID with the letters that Anthropic allows; any other ID is replaced by a hash of it."""
    if id and not _NO_ID.search(id):
        return id
    return f"toolu_{hashlib.sha256(id.encode()).hexdigest()[:24]}"


def _citation(annotation: object) -> Json | None:
    cited = annotation.get("url_citation") if isinstance(annotation, dict) else None
    if not isinstance(cited, dict) or not isinstance(cited.get("url"), str):
        return None
    title = cited.get("title")
    return {
        "type": "web_search_result_location",
        "cited_text": str(cited.get("content") or ""),
        "url": cited["url"],
        "title": title if isinstance(title, str) else None,
        "encrypted_index": "",
    }
