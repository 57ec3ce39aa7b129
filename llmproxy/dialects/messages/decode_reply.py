"""Decodes an answer of a Messages provider to chat chunks with marks. One Step for streams and for JSON answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from llmproxy.core.chat import Chat, Json
from llmproxy.core.marks import marked
from llmproxy.core.usage import Usage

from .decode_blocks import KINDS, Block, Other, Turn
from .tables import NAME, PLAIN_FINISHES, VENDOR, before_output, finish_of, usage_of
from .tool_names import MessagesToolNames, customs, declared

_OF_MESSAGE = ("stop_sequence", "stop_details", "container")
_INPUT = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
_ORDER = {"thinking": 0, "redacted_thinking": 0, "text": 1, "tool_use": 2}


class MessagesReply:
    """The Step for one answer. The finish reason is sent with `message_stop`: an answer that ends earlier was cut."""

    def __init__(self, chat: Chat) -> None:
        self._turn = Turn(MessagesToolNames(declared(chat.body)), customs(chat.body))
        self._head: Json = {}
        self._open: dict[int, Block] = {}
        self._blocks: list[Json] = []  # the turn's original blocks
        self._usage: Json = {}
        self._output_counted = False  # at the start only the first tokens are counted
        self._message: Json = {}
        self._reason = ""
        self._ended = False

    def feed(self, event: Json) -> Iterable[Json]:
        read = _READERS.get(event.get("type") or "")
        if read is None or self._ended:  # a ping or an unknown event
            return ()
        return [{**self._head, **chunk} for chunk in read(self, event)]

    def finish(self) -> Iterable[Json]:
        return ()

    def counted(self) -> Json:
        """OpenAI's usage, as far as it was counted."""
        return usage_of(self._usage) if self._usage else {}

    def accounted(self) -> Usage | None:
        """The usage in the classes that are billed, including compactions and advisors; output only after it was
        counted.
        """
        usage = self._usage if self._output_counted else before_output(self._usage)
        return Usage.of_messages(usage) if usage else None

    def _start(self, event: Json) -> Iterator[Json]:
        message = _object(event.get("message"))
        yield from self._begin(message)
        for index, block in enumerate(
            _objects(message.get("content"))
        ):  # programmatic calls: the whole answer is here (recorded)
            yield from self._whole_block(index, block)

    def _whole(self, event: Json) -> Iterator[Json]:
        yield from self._start({"message": event})
        yield from self._stop({})

    def _begin(self, message: Json) -> Iterator[Json]:
        id, model = (value if isinstance(value, str) else "" for value in (message.get("id"), message.get("model")))
        head = {"id": f"chatcmpl-{id}" if id else "", "model": model}
        self._head = {name: value for name, value in head.items() if value}
        self._count(message.get("usage"))
        self._note_end(message)
        self._output_counted = bool(self._reason)
        yield marked({}, {"begin": {"id": id, "model": model, "usage": self.counted()}})

    def _whole_block(self, index: int, block: Json) -> Iterator[Json]:
        yield from self._block_start({"index": index, "content_block": block})
        yield from self._block_stop({"index": index})

    def _block_start(self, event: Json) -> Iterator[Json]:
        content_block = _object(event.get("content_block"))
        kind: Any = KINDS.get(str(content_block.get("type")), Other)
        block: Block = kind(content_block, self._turn)
        self._open[_index(event)] = block
        yield from block.start()

    def _block_delta(self, event: Json) -> Iterable[Json]:
        block = self._open.get(_index(event))
        delta = event.get("delta")
        return block.grow(delta) if block is not None and isinstance(delta, dict) else ()

    def _block_stop(self, event: Json) -> Iterator[Json]:
        block = self._open.pop(_index(event), None)
        if block is not None:
            yield from block.stop()
            self._blocks.append(block.raw())

    def _delta(self, event: Json) -> Iterable[Json]:
        self._count(event.get("usage"))
        self._output_counted |= "output_tokens" in _object(event.get("usage"))
        self._note_end(_object(event.get("delta")))
        return ()

    def _note_end(self, delta: Json) -> None:
        if isinstance(delta.get("stop_reason"), str):
            self._reason = delta["stop_reason"]
        self._message |= {name: delta[name] for name in _OF_MESSAGE if delta.get(name) is not None}

    def _count(self, usage: object) -> None:
        """The last count is valid (after a compaction it is lower, recorded), but not every event has all counts."""
        counts = {name: value for name, value in _object(usage).items() if value is not None}
        if not any(counts.get(name) for name in _INPUT):  # some servers send zeros there
            counts = {name: value for name, value in counts.items() if name not in _INPUT or name not in self._usage}
        self._usage |= counts

    def _stop(self, event: Json) -> Iterator[Json]:
        for index in list(self._open):  # some servers do not close their blocks
            yield from self._block_stop({"index": index})
        if not self._reason:
            return
        self._ended = True
        details = _object(self._message.get("stop_details"))
        if self._reason == "refusal" and isinstance(details.get("explanation"), str) and details["explanation"]:
            yield {"choices": [{"index": 0, "delta": {"refusal": details["explanation"]}, "finish_reason": None}]}
        if extra := self._extra():
            delta = {"extra_content": {VENDOR: extra}}
            yield {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        yield self._finished()
        if self._usage:
            tier = self._usage.get("service_tier")
            yield {"choices": [], "usage": self.counted(), **({"service_tier": tier} if isinstance(tier, str) else {})}

    def _finished(self) -> Json:
        native = {} if self._reason in PLAIN_FINISHES else {"native_finish_reason": self._reason}
        tier = self._usage.get("service_tier")
        message = {**self._message, "native_finish_reason": self._reason, **({"service_tier": tier} if tier else {})}
        return marked({}, {"message": message}, **{**native, "finish_reason": finish_of(self._reason)})

    def _extra(self) -> Json:
        """Data that a chat message does not have, in the member that clients send back."""
        extra = {name: value for name, value in self._message.items() if value}
        return extra if _fits_a_chat(self._blocks) else {"content": self._blocks, **extra}


def _fits_a_chat(blocks: list[Json]) -> bool:
    """Whether the answer has only thoughts, one text and calls, in this order."""
    kinds = [str(block.get("type")) for block in blocks]
    ranks = [_ORDER.get(kind, -1) for kind in kinds]
    plain = all(_is_plain(block) for block in blocks)
    return plain and -1 not in ranks and ranks == sorted(ranks) and kinds.count("text") <= 1


def _is_plain(block: Json) -> bool:
    caller = block.get("caller")
    return not block.get("citations") and (caller is None or caller == {"type": "direct"})


def _index(event: Json) -> int:
    index = event.get("index")
    return index if isinstance(index, int) else 0


def _object(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> list[Json]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


_READERS: Mapping[str, Callable[[MessagesReply, Json], Iterable[Json]]] = {
    "message": MessagesReply._whole,
    "message_start": MessagesReply._start,
    "content_block_start": MessagesReply._block_start,
    "content_block_delta": MessagesReply._block_delta,
    "content_block_stop": MessagesReply._block_stop,
    "message_delta": MessagesReply._delta,
    "message_stop": MessagesReply._stop,
}

__all__ = ["NAME", "MessagesReply"]
