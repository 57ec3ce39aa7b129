"""Normalises ids, roles, finish reasons and usage around the deltas, as OpenAI sends them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from llmproxy.core.chat import Chat, Json
from llmproxy.core.errors import Truncated, UpstreamError
from llmproxy.core.marks import MARK
from llmproxy.core.usage import Usage
from llmproxy.wire.openai_enums import in_openais_words, listed

from .choice import Choice
from .further import is_usual_around, piece_of
from .tool_calls import ToolCalls

_ENVELOPE = frozenset(("id", "object", "created", "model", "choices", "usage"))
_COUNTING = 1.0
_CLOSING = 0.05
_TEXT = frozenset(("content", "reasoning_content", "reasoning", "refusal"))
_SPEAKS = ("content", "reasoning_content", "tool_calls")
_REAL = (*_TEXT, "tool_calls", "function_call", "audio", "images", "annotations", "reasoning_details")


class Envelope:
    """One ID, `created` and model; one role and one finish per choice, with the finish held until the end; one usage chunk, if
    asked for.

    blame: makes the UpstreamError from an error inside the stream.
    """

    __slots__ = (
        "_blame", "_chat", "_choices", "_ending", "_extras", "_head", "_usage_extras", "_wanted", "produced",
        "started", "usage",
    )  # fmt: skip

    def __init__(self, chat: Chat, blame: Callable[[Json], UpstreamError]) -> None:
        self._chat = chat
        self._blame = blame
        many = chat.body.get("n")
        self._wanted = many if isinstance(many, int) else 1
        self._head: Json = {}  # id, object, created and model, as soon as they are known
        self._extras: Json = {}  # members of chunks that have no other place
        self._choices: dict[int, Choice] = {}
        self._usage_extras: Json = {}
        self.usage: Usage | None = None
        self.started = False
        self._ending = False  # a choice has its finish
        self.produced = 0

    def feed(self, chunk: Json) -> Iterable[Json]:
        if chunk.get("error"):
            raise self._blame(chunk)
        if "service_tier" in chunk and not listed(chunk):
            chunk = in_openais_words(chunk)
        usage = chunk.get("usage")
        if usage is not None:
            self.usage = Usage.parse(usage) if isinstance(usage, dict) and usage else self.usage
            chunk = {k: v for k, v in chunk.items() if k != "usage"}
        if not chunk.get("choices"):
            return self._choiceless(chunk)
        choices = [
            tidy for one in chunk["choices"] if isinstance(one, dict) and (tidy := self._choice(one)) is not None
        ]
        chunk = self._enveloped(chunk)
        if not choices:  # only a finish: it is held
            self._keep_extras(chunk)
            return ()
        if len(choices) != len(chunk["choices"]) or any(
            a is not b for a, b in zip(choices, chunk["choices"], strict=True)
        ):
            chunk = {**chunk, "choices": choices}
        return (self._with_extras(chunk),)

    def further(self, chunk: Json, calls: ToolCalls) -> Json | None:
        """The chunk as it goes on, if it is one more piece of what has begun. None: the steps have to look at it."""
        piece = piece_of(chunk)
        if piece is None or self._extras or not is_usual_around(chunk):
            return None
        index, _, text, number = piece
        state = self._choices.get(index)
        if state is None or not state.speaks or state.finish is not None:
            return None
        if number >= 0 and not calls.further(index, number, text):
            return None
        self.produced += len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
        return self._enveloped(chunk)

    def finish(self, complete: bool = False) -> Iterable[Json]:
        """The remaining chunks at the end. `complete`: the provider sent `[DONE]`.

        Raises Truncated if there was neither that nor a finish.
        """
        open_choices = [one for one in self._choices.values() if one.finish is None]
        if not self._choices or (open_choices and not complete):
            raise Truncated("The provider's answer ended before it was complete.")
        chunks = [self._finished(index, one) for index, one in sorted(self._choices.items())]
        if not self._chat.include_usage and self._chat.stream:
            self._extras.update(self._usage_extras)
        chunks[-1] = self._with_extras(chunks[-1])
        if self.usage is not None and (self._chat.include_usage or not self._chat.stream):
            chunks.append({**self._head, **self._usage_extras, "choices": [], "usage": self.usage.raw})
        return chunks

    @property
    def grace(self) -> float | None:
        """Seconds to wait for more after every choice has its finish: for the usage, or for the end of the stream.

        Of several choices each may have a usage of its own (llama.cpp sends one chunk for each).
        """
        if not self._ending:
            return None
        finished = sum(one.finish is not None for one in self._choices.values())
        if not finished or finished < len(self._choices) or finished < self._wanted:
            return None
        counted = self.usage is not None and len(self._choices) == 1
        return _CLOSING if counted else _COUNTING

    def _finished(self, index: int, one: Choice) -> Json:
        reason = one.reason()
        return {**self._head, "choices": [{**one.extras, "index": index, "delta": {}, "finish_reason": reason}]}

    def _choiceless(self, chunk: Json) -> Iterable[Json]:
        rest = {k: v for k, v in chunk.items() if k not in _ENVELOPE and v is not None}
        if self.usage is not None:
            self._enveloped(chunk)
            self._usage_extras.update(rest)
            return ()
        if not chunk.get("id"):  # Azure's first chunk has prompt_filter_results and no ID (recorded)
            self._extras.update(rest)
            return ()
        return ({**self._enveloped(chunk), "choices": []},) if rest else ()

    def _enveloped(self, chunk: Json) -> Json:
        head = self._head
        if not head:
            head = self._head = self._first_head(chunk)
        for key, value in head.items():
            if key not in chunk or chunk[key] != value:
                return {**head, **chunk, **head}  # the head's members first
        return chunk

    def _first_head(self, chunk: Json) -> Json:
        created = chunk.get("created")
        return {
            "id": _text(chunk.get("id")) or f"chatcmpl-{self._chat.trace.id}",
            "object": "chat.completion.chunk",
            "created": created if type(created) is int and created > 0 else self._chat.trace.created,
            "model": _text(chunk.get("model")) or self._chat.model,
        }

    def _keep_extras(self, chunk: Json) -> None:
        self._extras.update((k, v) for k, v in chunk.items() if k not in _ENVELOPE and v is not None)

    def _with_extras(self, chunk: Json) -> Json:
        if not self._extras:
            return chunk
        extras, self._extras = self._extras, {}
        return {**extras, **chunk}

    def _choice(self, choice: Json) -> Json | None:
        """The choice as it is sent on; None if nothing of it is sent now."""
        if (
            choice.get("error") or choice.get("finish_reason") == "error"
        ):  # OpenRouter, when the provider behind it failed
            raise self._blame({"error": choice.get("error") or _broken_off(choice)})
        index = choice.get("index")
        number = index if isinstance(index, int) else 0
        state = self._choices.get(number)
        if state is None:
            state = self._choices[number] = Choice()
        given = choice.get("delta")
        delta = given if isinstance(given, dict) else {}
        tidy = state.tidy_delta(delta)
        if self._chat.stream:
            tidy = state.numbered(tidy)
        self._count(tidy)
        if not self.started and MARK in choice:
            self.started = _begins_work(choice[MARK])
        if choice.get("finish_reason"):
            self.started = self._ending = True
            choice = state.take_finish(choice, speaks=any(tidy.values()))
            if not any(tidy.values()):
                return None
            return {**choice, "index": number, "delta": tidy, "finish_reason": None}
        if state.finish is not None and not any(tidy.values()):
            state.keep(choice)
            return None
        state.speaks = state.speaks or any(tidy.get(key) for key in _SPEAKS)
        if tidy is given and index is number and "finish_reason" in choice and choice["finish_reason"] is None:
            return choice
        return {**choice, "index": number, "delta": tidy, "finish_reason": None}

    def _count(self, delta: Json) -> None:
        for key, text in delta.items():
            if key in _TEXT and text and isinstance(text, str):
                self.produced += len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
                self.started = True
        if "tool_calls" in delta:
            self.produced += _bytes_of_calls(delta["tool_calls"])
        if not self.started and any(delta.get(key) for key in _REAL):
            self.started = True


def _begins_work(mark: Json) -> bool:
    """Whether a mark shows that the provider works on a call or a tool of its own: calling another provider would be paid twice."""
    opens = mark.get("open")
    return bool(mark.get("opaque")) or (isinstance(opens, dict) and str(opens.get("kind")).endswith("tool_call"))


def _bytes_of_calls(calls: object) -> int:
    """Bytes in names and arguments of tool calls, which count as tokens like text."""
    size = 0
    for call in calls if isinstance(calls, list) else ():
        for kind in ("function", "custom"):
            inner = call.get(kind) if isinstance(call, dict) else None
            if not isinstance(inner, dict):
                continue
            for name in ("name", "arguments", "input"):
                text = inner.get(name)
                size += len(text.encode("utf-8", "surrogatepass")) if isinstance(text, str) else 0
    return size


def _broken_off(choice: Json) -> Json:
    word = choice.get("native_finish_reason")
    size = f" ({word[:60]})" if isinstance(word, str) and word != "error" else ""
    return {"message": f"The provider stopped its answer with an error{size}.", "code": "upstream_truncated"}


def _text(value: object) -> str:
    """A name, also if it is written as a number."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return value if isinstance(value, str) else str(value) if number and value else ""
