"""llama.cpp's server. A cancel must free its slot, and loading a model may take minutes."""

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

# Errors that mean that the server or its model has a problem, independent of the request: texts of llama.cpp and its router.
_BROKEN = re.compile(
    r"failed to load|compute error|out of memory|failed to (?:decode|allocate)|exited with", re.IGNORECASE
)


class LlamaCpp(OpenAICompatible):
    environment = Environment(
        keys=("LLAMACPP_API_KEY", "LLAMA_API_KEY"),
        base_urls=("LLAMACPP_BASE_URL", "LLAMA_CPP_BASE_URL", "LLAMACPP_URL"),
        base_url="http://127.0.0.1:8080/v1",
        needs_key=False,
        # The server announces that its default port will become 9931. It answers "Loading model" while it loads one.
        local=Local(("127.0.0.1:8080", "127.0.0.1:9931"), (b'"llamacpp"', b"Loading model")),
    )
    speaks = OpenAICompatible.speaks | {"responses", "messages"}
    counts: ClassVar[Mapping[Face, str]] = {
        "messages": "/messages/count_tokens",
        "responses": "/responses/input_tokens",
        "chat": "/chat/completions/input_tokens",
    }
    first_frame = 600.0  # seconds: a model may have to be loaded first, and requests wait for a free slot
    # The server notices the disconnect of a request that is not streamed only after it was idle for a second (measured).
    always_stream = True

    def __init__(self, account: Account) -> None:
        super().__init__(account)
        if not self.base_url.endswith("/v1"):
            self.base_url += "/v1"
        self._slots = _slots(account.options.get("slots"))
        self.hint = Hint("id_slot", own=("cache_prompt",)) if self._slots else None

    def hinted(self, name: str) -> Json:
        """Names the slot of the conversation. A request waits if its slot is busy, so this is done only if the option
        `slots` is set; otherwise the server chooses the slot with the longest common prefix."""
        return {"id_slot": int(name, 16) % self._slots, "cache_prompt": True}

    def headers(self) -> Mapping[str, str]:
        # The server closes the socket after every streamed answer, even if its headers promise otherwise (measured).
        return {**super().headers(), "Connection": "close"}

    def translator(self, chat: Chat) -> Translator:
        if chat.face != "embeddings" and chat.stream and chat.body.get("return_progress") is True:
            return Progressing(chat, *self.steps(chat), blame=self._blame)
        return super().translator(chat)

    def steps(self, chat: Chat) -> Sequence[Step]:
        return (OneName(chat),)

    def judge(self, error: UpstreamError) -> UpstreamError:
        if error.status in (500, 501):  # repeating it here would fail again; another provider may succeed
            error.retry_here, error.try_elsewhere = False, True
            # Bad requests and answers that cannot be parsed are also a 500 (recorded).
            error.blames = _BROKEN.search(error.message) is not None
        if error.status == 503 and error.wait is None:  # the model is loading: retry until the deadline
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


def _slots(given: object) -> int:
    """The number of slots, 0 if it is not set. Raises ValueError if it is not a positive integer."""
    if given is None:
        return 0
    if isinstance(given, bool) or not isinstance(given, int) or given < 1:
        raise ValueError("`slots` is the number that the server was started with as -np")
    return given


class Progressing(Relay):
    """Sends `prompt_progress` to the client while the prompt is still processed."""

    shows_early = True


class OneName:
    """Replaces the `model` of an answer, which may be a file path, by the requested name.

    With n > 1 there is one usage event per choice (recorded): they are summed.
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
    """The usage of two choices: the prompt counts once."""
    completion = one["completion_tokens"] + other["completion_tokens"]
    return {**other, "completion_tokens": completion, "total_tokens": other["prompt_tokens"] + completion}
