"""llama.cpp's server: one's own machine, where a cancel must free the slot and a start may take minutes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

from llmproxy.adapter_kit import (
    Account,
    Chat,
    Environment,
    Face,
    Hint,
    Json,
    Local,
    Model,
    OpenAICompatible,
    Relay,
    Step,
    Translator,
    UpstreamError,
)

# The server or its model is in trouble, whatever the question was. In llama.cpp's and its router's words.
_BROKEN = re.compile(
    r"failed to load|compute error|out of memory|failed to (?:decode|allocate)|exited with", re.IGNORECASE
)


class LlamaCpp(OpenAICompatible):
    environment = Environment(
        keys=("LLAMACPP_API_KEY", "LLAMA_API_KEY"),
        base_urls=("LLAMACPP_BASE_URL", "LLAMA_CPP_BASE_URL", "LLAMACPP_URL"),
        base_url="http://127.0.0.1:8080/v1",
        needs_key=False,
        # Its port is to become 9931: the server says so itself. The second sign is what it says while it loads a model.
        local=Local(("127.0.0.1:8080", "127.0.0.1:9931"), (b'"llamacpp"', b"Loading model")),
    )
    speaks = OpenAICompatible.speaks | {"responses", "messages"}
    counts: ClassVar[Mapping[Face, str]] = {
        "messages": "/messages/count_tokens",
        "responses": "/responses/input_tokens",
        "chat": "/chat/completions/input_tokens",
    }
    first_frame = 600.0  # a model may have to be loaded, and requests beyond its slots wait in silence
    # Abandoning a request that is not streamed is noticed only after a second in which the whole server was idle (measured).
    always_stream = True

    def __init__(self, account: Account) -> None:
        super().__init__(account)
        if not self.base_url.endswith("/v1"):
            self.base_url += "/v1"
        self._slots = _slots(account.options.get("slots"))
        self.hint = Hint("id_slot", own=("cache_prompt",)) if self._slots else None

    def hinted(self, name: str) -> Json:
        """The slot of the conversation. Where that is busy the server lets the request wait for it, so that this is only
        done if the config says how many slots there are; else the server looks for the slot with the longest prefix."""
        return {"id_slot": int(name, 16) % self._slots, "cache_prompt": True}

    def headers(self) -> Mapping[str, str]:
        # The server closes the socket after every streamed answer, whatever its headers say (measured).
        return {**super().headers(), "Connection": "close"}

    def translator(self, chat: Chat) -> Translator:
        if chat.face != "embeddings" and chat.stream and chat.body.get("return_progress") is True:
            return Progressing(chat, *self.steps(chat), blame=self._blame)
        return super().translator(chat)

    def steps(self, chat: Chat) -> Sequence[Step]:
        return (OneName(chat),)

    def judge(self, error: UpstreamError) -> UpstreamError:
        if error.status in (500, 501):  # what this server cannot do, another may; it would not be able to now either
            error.retry_here, error.try_elsewhere = False, True
            # A client's mistake comes back as 500 too (recorded), and so does an answer that cannot be parsed.
            error.blames = _BROKEN.search(error.message) is not None
        if (
            error.status == 503 and error.wait is None
        ):  # loading the model: look again soon, as long as the deadline allows
            error.wait, error.keeps_waiting = 0.5, True
        return error

    def model(self, entry: Json) -> Model | None:
        base = super().model(entry)
        meta = entry.get("meta") or {}
        return base and Model(
            base.id,
            base.created,
            "llamacpp",
            {**base.extra, "context_length": meta.get("n_ctx") or meta.get("n_ctx_train")},
        )


def _slots(said: object) -> int:
    """How many slots the server has, if the config says so. Raises ValueError for what is no such number."""
    if said is None:
        return 0
    if isinstance(said, bool) or not isinstance(said, int) or said < 1:
        raise ValueError("`slots` is the number that the server was started with as -np")
    return said


class Progressing(Relay):
    """An answer whose `prompt_progress` is shown while the prompt is still being read."""

    shows_early = True


class OneName:
    """Answers carry the model's file path unless the server has an alias: the name that was asked for stands instead.

    With n > 1 there is a usage event for each choice (recorded): they are summed.
    """

    def __init__(self, chat: Chat) -> None:
        self._model = chat.model
        self._many = (chat.body.get("n") or 1) > 1
        self._usage: Json | None = None

    def feed(self, chunk: Json) -> Iterable[Json]:
        chunk = {**chunk, "model": self._model}
        usage = chunk.get("usage")
        if self._many and isinstance(usage, dict):
            chunk["usage"] = self._usage = _added(self._usage, usage) if self._usage else usage
        return (chunk,)

    def finish(self) -> Iterable[Json]:
        return ()


def _added(one: Json, other: Json) -> Json:
    """Both answers' tokens; the prompt was read once."""
    completion = one["completion_tokens"] + other["completion_tokens"]
    return {**other, "completion_tokens": completion, "total_tokens": other["prompt_tokens"] + completion}
