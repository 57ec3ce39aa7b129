"""Encodes a chat's answer as a response: one JSON object, or OpenAI's events in their order."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from llmproxy.core.chat import Chat, Json
from llmproxy.core.errors import GatewayError
from llmproxy.core.marks import MARK
from llmproxy.wire.block_events import BlockEvent, Closed, Counted, Finished, Grew, Noted, Opened
from llmproxy.wire.blocks import Blocks, reason_of
from llmproxy.wire.foreign_reasoning import seal

from .built_in import BUILT_IN
from .errors import failure
from .ids import fresh
from .items import BuiltInCall, Call, Event, Item, Message, Picture, Reasoning
from .known import Known
from .response_object import echo, usage_of
from .tools import ToolTable

_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
_ENCRYPTED = "reasoning.encrypted_content"


def frame(kind: str, number: int, members: Json) -> bytes:
    """One event."""
    data = orjson.dumps({"type": kind, "sequence_number": number, **members})
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), data)


class Encoder:
    """Encodes one answer. At most one item is open; it is closed when the next one begins, or at the end."""

    def __init__(self, chat: Chat, table: ToolTable, known: Known) -> None:
        self._chat = chat
        self._table = table
        self._known = known
        self._stream = chat.stream
        self._blocks = Blocks()
        self._number = 0
        self._items: list[Item] = []
        self._open: Item | None = None
        self._block: Opened | None = None
        self._usage: Json | None = None
        self._produced = 0
        self._reason = ""
        body = chat.body
        include = body.get("include") or ()
        self._shows_state = _ENCRYPTED in include
        self._keeps_state = self._shows_state or known.stored
        self._head: Json = {"id": known.id or fresh("resp"), "object": "response", "created_at": _created(chat)}
        self._echo = echo(body, stored=known.stored)
        self._model = str(body.get("model") or chat.model)

    # The contract

    def feed(self, chunk: Json) -> Iterable[bytes]:
        if (piece := self._further_text(chunk)) and isinstance(self._open, Message):
            sent = self._open.more(piece, self._number)
            if sent is not None:
                self._produced += len(piece)
                self._number += 1
                return (sent,) if self._stream else ()
        if (further := self._blocks.further(chunk)) is not None:
            self._produced += len(further.piece)
            return self._sent(self._grew(further))
        for choice in chunk.get("choices") or ():
            if isinstance(choice, dict) and choice.get("index", 0) == 0 and choice.get("finish_reason"):
                self._reason = reason_of(choice)
        return self._sent(self._read(self._blocks.feed(chunk)))

    def finish(self) -> Iterable[bytes]:
        yield from self._sent(self._read(self._blocks.finish()))
        yield from self._sent(self._end_item())
        reason = _INCOMPLETE.get(self._reason)
        status = "completed" if reason is None else "incomplete"
        response = self._stored(self._response(status, incomplete=reason))
        if self._stream:
            yield from self._sent(iter([(f"response.{status}", {"response": self._for_client(response)})]))
        else:
            yield orjson.dumps(self._for_client(response))

    def failed(self, error: GatewayError) -> bytes:
        if self._open is not None:
            self._open.value.update({"status": "incomplete"} if "status" in self._open.value else {})
        response = self._stored(self._response("failed", error=failure(error)))
        events = [*self._begin(), ("response.failed", {"response": self._for_client(response)})]
        return b"".join(self._sent(iter(events)))

    def _stored(self, response: Json) -> Json:
        """Stores the response. One that is larger than the store says so."""
        keep = self._known.keep
        if keep is None or keep(response, self._chat.trace.provider or ""):
            return response
        return {**response, "store": False}

    # From blocks to items

    def _further_text(self, chunk: Json) -> str | None:
        """The text of a chunk that only continues the open text. Most chunks are of this kind, and they skip the
        blocks.
        """
        choices = chunk.get("choices")
        if self._block is None or self._block.kind != "text" or not choices or len(choices) > 1 or chunk.get("usage"):
            return None
        choice = choices[0]
        delta = choice.get("delta")
        if not delta or len(delta) > 1 or choice.get("finish_reason") or choice.get("logprobs") or MARK in choice:
            return None
        content = delta.get("content")
        return content if isinstance(content, str) and not choice.get("index") else None

    def _read(self, events: Iterable[BlockEvent]) -> Iterator[Event]:
        yield from self._begin()
        for event in events:
            if isinstance(event, Grew):
                self._produced += len(event.piece)
                yield from self._grew(event)
            elif isinstance(event, Opened):
                self._block = event
                yield from self._opened(event)
            elif isinstance(event, Closed):
                yield from self._closed(event)
            elif isinstance(event, Noted):
                yield from self._noted(event.note)
            elif isinstance(event, Counted):
                self._usage = event.usage
            elif isinstance(event, Finished):
                yield from self._finished(event)

    def _begin(self) -> Iterator[Event]:
        if self._number == 0 and self._stream:
            response = self._response("in_progress")
            if self._known.begun is not None:
                self._known.begun(response, "")
            yield "response.created", {"response": response}
            yield "response.in_progress", {"response": response}

    def _opened(self, block: Opened) -> Iterator[Event]:
        if block.kind in ("tool_call", "custom_tool_call"):
            tool = self._table.known(block.name)
            if tool.kind in BUILT_IN:
                yield from self._new(BuiltInCall(len(self._items), tool, block.id))
                return
            shim = tool.kind == "custom" and block.kind == "tool_call"
            yield from self._new(Call(len(self._items), tool, block.id, shim=shim))
        elif block.kind == "opaque" and block.meta.get("dialect") == "responses":
            yield from self._whole(block.meta.get("block"))

    def _grew(self, event: Grew) -> Iterator[Event]:
        kind = self._block.kind if self._block is not None else "text"
        if kind == "reasoning":
            if not isinstance(self._open, Reasoning) or self._open.index != len(self._items) - 1:
                yield from self._new(Reasoning(len(self._items)))
            assert isinstance(self._open, Reasoning)
            yield from self._open.grow(event.piece)
        elif isinstance(self._open, (Call, BuiltInCall)) and kind in ("tool_call", "custom_tool_call"):
            yield from self._open.grow(event.piece)
        elif kind == "refusal":
            message = yield from self._message()
            yield from message.refusal(event.piece)
        elif kind == "text" or (kind == "audio" and event.field == "transcript"):
            message = yield from self._message()
            yield from message.text(event.piece)

    def _closed(self, event: Closed) -> Iterator[Event]:
        block, self._block = self._block, None
        if block is None:
            return
        if block.kind == "reasoning":
            yield from self._seal_reasoning({**block.meta, **event.seal})
        elif block.kind == "image":
            yield from self._image(event.seal.get("image"))
        elif isinstance(self._open, (Call, BuiltInCall)):
            yield from self._end_item()

    def _noted(self, note: Json) -> Iterator[Event]:
        if annotations := [flat for one in note.get("annotations") or () if (flat := _annotation(one))]:
            message = yield from self._message()
            yield from message.annotate(annotations)
        logprobs = note.get("logprobs")
        if isinstance(logprobs, dict) and isinstance(logprobs.get("content"), list) and isinstance(self._open, Message):
            self._open.add_logprobs(logprobs["content"])

    def _finished(self, event: Finished) -> Iterator[Event]:
        self._reason = event.reason
        if event.message.get("annotations") and isinstance(self._open, Message):
            yield from self._noted({"annotations": event.message["annotations"]})

    def _seal_reasoning(self, sealed: Json) -> Iterator[Event]:
        encrypted = seal(sealed) if self._keeps_state else ""
        if not isinstance(self._open, Reasoning):
            if not encrypted:
                return
            yield from self._new(Reasoning(len(self._items)))
        assert isinstance(self._open, Reasoning)
        self._open.seal(encrypted)
        yield from self._end_item()

    def _image(self, image: object) -> Iterator[Event]:
        url = image.get("image_url") if isinstance(image, dict) else None
        url = url.get("url") if isinstance(url, dict) else url
        if isinstance(url, str) and url.startswith("data:"):
            yield from self._new(Picture(len(self._items), url.partition(",")[2]))
            yield from self._end_item()
        elif isinstance(url, str):
            message = yield from self._message()
            yield from message.text(f"![image]({url})")

    # Items

    def _message(self) -> Any:
        """The open message item, or a new one."""
        if not isinstance(self._open, Message):
            yield from self._new(Message(len(self._items)))
        return self._open

    def _new(self, item: Message | Reasoning | Call | BuiltInCall | Picture) -> Iterator[Event]:
        yield from self._end_item()
        item.index = len(self._items)
        self._items.append(item)
        self._open = item
        yield from item.begin()

    def _whole(self, item: object) -> Iterator[Event]:
        """Adds an item of a provider's own tool, unchanged."""
        if isinstance(item, dict):
            yield from self._end_item()
            index = len(self._items)
            self._items.append(_WholeItem(item))
            yield "response.output_item.added", {"output_index": index, "item": item}
            yield "response.output_item.done", {"output_index": index, "item": item}

    def _end_item(self) -> Iterator[Event]:
        open, self._open = self._open, None
        if open is not None:
            yield from open.close("incomplete" if self._reason in _INCOMPLETE else "completed")

    # The response

    def _sent(self, events: Iterator[Event]) -> Iterator[bytes]:
        for kind, members in events:
            if self._stream:
                hidden = not self._shows_state and kind == "response.output_item.done"
                shown = {**members, "item": _without_state(members["item"])} if hidden else members
                yield frame(kind, self._number, shown)
                self._number += 1

    def _response(self, status: str, *, incomplete: str | None = None, error: Json | None = None) -> Json:
        ended = status != "in_progress"
        return {
            **self._head,
            "status": status,
            "completed_at": int(time.time()) if status == "completed" else None,
            "error": error,
            "incomplete_details": {"reason": incomplete} if incomplete else None,
            "model": self._model,
            "output": [one.value for one in self._items],
            **self._echo,
            "usage": usage_of(self._usage or self._estimate()) if ended and status != "failed" else None,
        }

    def _for_client(self, response: Json) -> Json:
        return response if self._shows_state else {**response, "output": list(map(_without_state, response["output"]))}

    def _estimate(self) -> Json:
        """The usage if the provider sent none: four characters are one token."""
        asked = len(self._chat.raw or b"") or len(orjson.dumps(self._chat.body))
        return {"prompt_tokens": (asked + 3) // 4, "completion_tokens": (self._produced + 3) // 4}


class _WholeItem:
    """An item that was received as a whole."""

    def __init__(self, value: Json) -> None:
        self.value = value

    def close(self, status: str) -> Iterator[Event]:
        del status
        return iter(())


def _without_state(item: Json) -> Json:
    return {k: v for k, v in item.items() if k != "encrypted_content"} if "encrypted_content" in item else item


def _annotation(one: object) -> Json | None:
    """Chat nests the members; Responses has them flat."""
    if not isinstance(one, dict):
        return None
    cited = one.get("url_citation")
    if not isinstance(cited, dict):
        return one if isinstance(one.get("type"), str) and one.get("type") != "url_citation" else None
    return {
        "type": "url_citation",
        "url": str(cited.get("url") or ""),
        "title": str(cited.get("title") or ""),
        "start_index": cited.get("start_index") or 0,
        "end_index": cited.get("end_index") or 0,
    }


def _created(chat: Chat) -> int:
    return chat.trace.created or int(time.time())
