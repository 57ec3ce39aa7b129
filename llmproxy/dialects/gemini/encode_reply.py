"""Encodes chat chunks as Gemini's answer: one event for each piece, or one JSON text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import orjson

from llmproxy.core.chat import Json
from llmproxy.core.errors import GatewayError
from llmproxy.wire.block_events import Begun, BlockEvent, Closed, Counted, Finished, Grew, Noted, Opened
from llmproxy.wire.blocks import Blocks
from llmproxy.wire.tool_names import ChatToolNames

from . import signatures
from .array import Array
from .errors import failure
from .fields import an_object, words
from .grounding import grounding_metadata
from .tables import end_word
from .usage import render_metadata

_SOUND = "audio/L16;codec=pcm;rate=24000"


def _whole(part: Json) -> Json:
    return {**part, "text": "".join(part["text"])} if "text" in part else part


def failed(error: GatewayError) -> bytes:
    """The error twice: as an event, and as bare JSON as Google itself sends it. Google's Node SDK reads only the
    second.
    """
    body = orjson.dumps(failure(error))
    return b"data: " + body + b"\n\n" + body + b"\n\n"


class Reply:
    """An Encoder. thoughts: the client asked to see thoughts; signatures are sent in any case."""

    def __init__(
        self, *, id: str, model: str, stream: bool, thoughts: bool, names: ChatToolNames, as_list: bool = False
    ) -> None:
        self._names = names
        self._head: Json = {"modelVersion": model, "responseId": id}
        self._stream = stream
        self._thoughts = thoughts
        self._array = Array() if as_list else None
        self._blocks = Blocks()
        self._kind = ""  # of the open block
        self._name = ""
        self._id = ""
        self._arguments: list[str] = []
        self._signature = ""  # sent with the next part
        self._parts: list[Json] = []  # of a JSON answer
        self._text: list[str] = []
        self._cited: list[Json] = []
        self._google: Json = {}  # Gemini's own members of the answer
        self._usage: Json = {}
        self._end = "STOP"

    def feed(self, chunk: Json) -> Iterator[bytes]:
        if (further := self._blocks.further(chunk)) is not None:
            yield from self._event(further)
            return
        self._keep_own_members(chunk)
        for event in self._blocks.feed(chunk):
            yield from self._event(event)

    def finish(self) -> Iterator[bytes]:
        for event in self._blocks.finish():
            yield from self._event(event)
        last = self._last()
        if self._stream:
            yield self._frame(self._answer(last))
            if self._array is not None:
                yield self._array.end()
            return
        for part in last["content"].pop("parts", ()):
            self._add_part(part)
        if self._parts:
            last["content"]["parts"] = [_whole(part) for part in self._parts]
        whole = self._answer(last)
        yield orjson.dumps(whole if self._array is None else [whole])

    def failed(self, error: GatewayError) -> bytes:
        return failed(error) if self._array is None else self._array.failed(error)

    def _frame(self, answer: Json) -> bytes:
        return frame(answer) if self._array is None else self._array.entry(orjson.dumps(answer))

    def _keep_own_members(self, chunk: Json) -> None:
        """Keeps members of a chunk that are not blocks: Gemini's own, if Gemini gave the answer."""
        for choice in chunk.get("choices") or ():
            delta = an_object(choice.get("delta")) if choice.get("index", 0) == 0 else {}
            self._google |= an_object(an_object(delta.get("extra_content")).get("google"))

    def _event(self, event: BlockEvent) -> Iterator[bytes]:
        for part in _READ[type(event)](self, event):
            if self._stream:
                content = {"parts": [part], "role": "model"}
                yield self._frame(self._answer({"content": content, "index": 0}))
            else:
                self._add_part(part)

    def _add_part(self, part: Json) -> None:
        """Joins consecutive pieces of text to one part."""
        last = self._parts[-1] if self._parts else {}
        alike = "text" in part and "text" in last and part.get("thought") == last.get("thought")
        if alike and not ("thoughtSignature" in part and "thoughtSignature" in last):
            last.update({**part, "text": last["text"]})
            last["text"].append(part["text"])
        else:
            self._parts.append({**part, "text": [part["text"]]} if "text" in part else part)

    def _answer(self, candidate: Json) -> Json:
        usage = {"usageMetadata": render_metadata(self._usage)} if self._usage and "finishReason" in candidate else {}
        return {"candidates": [candidate], **usage, **self._head}

    def _signed(self, part: Json) -> Json:
        signature, self._signature = self._signature, ""
        return {**part, "thoughtSignature": signature} if signature else part

    def _begun(self, event: Begun) -> Iterator[Json]:
        if event.id:
            self._head["responseId"] = event.id.removeprefix("chatcmpl-")
        if event.model:
            self._head["modelVersion"] = event.model
        yield from ()

    def _opened(self, event: Opened) -> Iterator[Json]:
        self._kind, self._id, self._name, self._arguments = event.kind, event.id, event.name, []
        yield from ()

    def _grew(self, event: Grew) -> Iterator[Json]:
        if self._kind == "tool_call":
            self._arguments.append(event.piece)
        elif self._kind == "reasoning":
            if self._thoughts:
                yield {"text": event.piece, "thought": True}
        elif event.field == "data":
            yield self._signed({"inlineData": {"mimeType": _SOUND, "data": event.piece}})
        else:
            self._text.append(event.piece)
            yield self._signed({"text": event.piece})

    def _noted(self, event: Noted) -> Iterator[Json]:
        annotations = event.note.get("annotations")
        self._cited += annotations if isinstance(annotations, list) else ()
        yield from ()

    def _closed(self, event: Closed) -> Iterator[Json]:
        kind, self._kind = self._kind, ""
        if kind == "tool_call":
            id = {"id": self._id} if self._id else {}
            call = {**id, "name": self._names.ours(self._name), "args": _object("".join(self._arguments))}
            yield self._signed({"functionCall": call})
        elif kind == "image":
            yield from self._image(an_object(event.seal.get("image")))
        elif kind == "reasoning" and (signature := signatures.write(event.seal)):
            yield from self._keep_signature(signature)

    def _keep_signature(self, signature: str) -> Iterator[Json]:
        """Keeps a signature for the next part. If one is already kept, that one is sent in a part of its own, as Gemini
        does.
        """
        if self._signature and self._signature != signature:
            yield self._signed({"text": ""})
        self._signature = signature

    def _image(self, image: Json) -> Iterator[Json]:
        url = words(an_object(image.get("image_url")).get("url"))
        if signature := signatures.google_signature(image):
            yield from self._keep_signature(signature)
        kind, comma, data = url.removeprefix("data:").partition(",")
        if url.startswith("data:") and comma:
            yield self._signed({"inlineData": {"mimeType": kind.partition(";")[0] or "image/png", "data": data}})
        elif url:
            yield self._signed({"fileData": {"mimeType": "image/png", "fileUri": url}})

    def _counted(self, event: Counted) -> Iterator[Json]:
        self._usage = event.usage
        yield from ()

    def _finished(self, event: Finished) -> Iterator[Json]:
        self._end = end_word(event.reason, event.native)
        annotations = event.message.get("annotations")
        self._cited += annotations if isinstance(annotations, list) else ()
        yield from ()

    def _last(self) -> Json:
        """The last candidate, with the remaining signatures. The Python SDK drops a turn if one of its events has no
        part, so a stream ends with an empty text, as Gemini's own streams do.
        """
        others = self._google.get("thought_signatures") or [self._google.get("thought_signature")]
        left = list(dict.fromkeys(one for one in (self._signature, *others) if isinstance(one, str) and one))
        empty: list[Json] = [{"text": ""}] if self._stream else []
        said_last = [{"text": "", "thoughtSignature": one} for one in left] or empty
        parts = {"parts": said_last} if said_last else {}
        grounding = an_object(self._google.get("grounding_metadata")) or grounding_metadata(
            "".join(self._text), self._cited
        )
        return {
            "content": {**parts, "role": "model"},
            "finishReason": self._end,
            "index": 0,
            **({"groundingMetadata": grounding} if grounding else {}),
        }


_READ: dict[type[Any], Callable[[Reply, Any], Iterator[Json]]] = {
    Begun: Reply._begun,
    Opened: Reply._opened,
    Grew: Reply._grew,
    Noted: Reply._noted,
    Closed: Reply._closed,
    Counted: Reply._counted,
    Finished: Reply._finished,
}


def frame(answer: Json) -> bytes:
    return b"data: " + orjson.dumps(answer) + b"\n\n"


def _object(arguments: str) -> Json:
    """The arguments as an object; empty if they were cut by the token limit, because half of them would be another
    call.
    """
    try:
        parsed = orjson.loads(arguments)
    except orjson.JSONDecodeError:
        return {}
    return parsed if isinstance(parsed, dict) else {"arguments": parsed}
