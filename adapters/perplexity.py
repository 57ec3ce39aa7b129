"""Perplexity: no /v1, no [DONE], the whole answer repeated in every event, sources in separate members."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from llmproxy.adapter_kit import Chat, Environment, Json, Model, OpenAICompatible, Outgoing, Pace, Step, check_chat

from .perplexity_turns import shaped

# GET /models lists the Agent API's models, not these (recorded).
_SONAR = {"sonar": 128_000, "sonar-pro": 200_000, "sonar-reasoning-pro": 128_000, "sonar-deep-research": 128_000}
_SOURCES = ("citations", "search_results", "images", "related_questions")
_EFFORTS = {"none": "minimal", "xhigh": "high", "max": "high"}  # it accepts minimal, low, medium and high
_FORMATS = frozenset(("text", "json_schema", "regex"))


class Perplexity(OpenAICompatible):
    environment = Environment(
        keys=("PERPLEXITY_API_KEY", "PPLX_API_KEY"),
        base_urls=("PERPLEXITY_BASE_URL", "PPLX_BASE_URL"),
        base_url="https://api.perplexity.ai",
    )
    speaks = frozenset(("chat", "embeddings"))
    many = False
    inputs_at_once = 512  # texts of one embeddings request
    # Without streaming nothing is sent for minutes, and proxies in between close the connection (modelcontextprotocol#83).
    always_stream = True
    asks_usage = False  # usage is in every event, requested or not (recorded)
    drops = (
        "seed",
        "logit_bias",
        "n",
        "logprobs",
        "top_logprobs",
        "stream_options",
        "store",
        "prediction",
        "service_tier",
        # "Tool calling is not supported for this model" (pipecat#4862); the Agent API takes them, the sonar models do not.
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "functions",
        "function_call",
    )
    known_models = tuple(
        Model(
            id,
            0,
            "perplexity",
            {"context_length": length, "reasoning": "reasoning" in id or "research" in id, "input": ["text", "image"]},
        )
        for id, length in _SONAR.items()
    )

    def adapt(self, chat: Chat) -> Chat:
        if chat.face == "chat":
            check_chat(chat.body)
        wanted = chat.body.get("response_format")
        if isinstance(wanted, dict) and wanted.get("type") not in _FORMATS:
            chat = chat.drop("response_format")
        tokens = chat.body.get("max_completion_tokens")
        if tokens is not None:
            chat = chat.with_fields(max_completion_tokens=None, max_tokens=chat.body.get("max_tokens") or tokens)
        if effort := _EFFORTS.get(str(chat.body.get("reasoning_effort"))):
            chat = chat.with_fields(reasoning_effort=effort)
        return self._in_turn(chat) if chat.face == "chat" else chat

    def pace(self, chat: Chat) -> Pace:
        """Deep research sends only pings for minutes, and each run is billed."""
        slow = "deep-research" in chat.model
        return Pace(first_frame=600.0 if slow else None, comments_count=slow, once=slow)

    def _in_turn(self, chat: Chat) -> Chat:
        messages = shaped(chat.messages)
        if messages is chat.messages:
            return chat
        if len(messages) != len(chat.messages):
            chat.trace.dropped.append("messages")
        return chat.with_fields(messages=messages)

    def url(self, chat: Chat) -> str:
        return self.at("/v1/embeddings" if chat.face == "embeddings" else "/chat/completions")

    def steps(self, chat: Chat) -> Sequence[Step]:
        return (Deltas(), ThinkTags())

    def models_request(self, page: str | None = None) -> Outgoing:
        return Outgoing(self.at("/v1/models"), headers=self._headers, method="GET")

    def model(self, entry: Json) -> Model | None:
        return None  # none of the listed models accepts chat completions; `known_models` do


class Deltas:
    """Forwards the deltas and drops repetitions. Sources are sent once, at the end: unchanged, and as annotations.

    `full` mode repeats message.content, citations and search_results in every event: 1.26 MB for 390 tokens (recorded).
    """

    def __init__(self) -> None:
        self._sources: Json = {}
        self._texts: dict[int, str] = {}  # choice: its text so far, for events that have a message and no delta

    def feed(self, event: Json) -> Iterable[Json]:
        self._sources.update((key, event[key]) for key in _SOURCES if event.get(key))
        chunk = {key: value for key, value in event.items() if key not in _SOURCES}
        chunk["choices"] = [self._choice(one) for one in event.get("choices") or () if isinstance(one, dict)]
        ended = any(one.get("finish_reason") for one in chunk["choices"])
        return ({**chunk, **self._with_annotations(chunk["choices"])},) if ended else (chunk,)

    def finish(self) -> Iterable[Json]:
        return ()

    def _choice(self, choice: Json) -> Json:
        index = choice.get("index") or 0
        before = self._texts.get(index, "")
        delta = choice.get("delta")
        message = choice.get("message")
        whole = message.get("content") if isinstance(message, dict) else None
        if not isinstance(delta, dict):
            delta = {"content": whole[len(before) :]} if isinstance(whole, str) and whole.startswith(before) else {}
        if isinstance(delta.get("content"), str):
            self._texts[index] = before + delta["content"]
        return {**{k: v for k, v in choice.items() if k != "message"}, "delta": delta}

    def _with_annotations(self, choices: list[Json]) -> Json:
        """The sources, once; their annotations are added to the last delta of each choice."""
        sources, self._sources = self._sources, {}
        annotations = list(_annotations(sources))
        if annotations:
            for choice in choices:
                choice["delta"] = {**choice["delta"], "annotations": annotations}
        return sources


def _annotations(sources: Json) -> Iterator[Json]:
    """`[1]` in the text refers to the first of `citations`; the titles are in search_results."""
    results = [one for one in sources.get("search_results") or () if isinstance(one, dict)]
    titles = {one.get("url"): one.get("title") for one in results}
    for url in sources.get("citations") or [one.get("url") for one in results]:
        if isinstance(url, str) and url:
            citation = {"url": url, "title": titles.get(url) or url, "start_index": 0, "end_index": 0}
            yield {"type": "url_citation", "url_citation": citation}


class ThinkTags:
    """Older sonar-reasoning models begin their text with `<think>`: text up to `</think>` is reasoning."""

    def __init__(self) -> None:
        self._inside: bool | None = None  # None: the text has not begun
        self._held = ""

    def feed(self, chunk: Json) -> Iterable[Json]:
        return ({**chunk, "choices": [self._choice(one) for one in chunk["choices"]]},)

    def finish(self) -> Iterable[Json]:
        return ()

    def _choice(self, choice: Json) -> Json:
        delta = choice["delta"]
        text = delta.get("content")
        if self._inside is False or not isinstance(text, str):
            return choice
        thoughts, answer = self._split(self._held + text, last=bool(choice.get("finish_reason")))
        reasoning = {"reasoning_content": thoughts} if thoughts else {}
        return {**choice, "delta": {**delta, **reasoning, "content": answer}}

    def _split(self, text: str, *, last: bool) -> tuple[str, str]:
        """Splits into reasoning and text; a possible beginning of the tag is kept for the next piece."""
        self._held = ""
        if self._inside is None:
            if not last and len(text) < len("<think>") and "<think>".startswith(text):
                self._held = text
                return "", ""
            self._inside = text.startswith("<think>")
            text = text.removeprefix("<think>")
            if not self._inside:
                return "", text
        thoughts, closed, answer = text.partition("</think>")
        if closed:
            self._inside = False
            return thoughts, answer.lstrip("\n")
        keep = 0 if last else _half_tag(thoughts, "</think>")
        self._held = thoughts[len(thoughts) - keep :]
        return thoughts[: len(thoughts) - keep], ""


def _half_tag(text: str, tag: str) -> int:
    """How many characters at the end of the text are a beginning of the tag."""
    return next((n for n in range(len(tag) - 1, 0, -1) if text.endswith(tag[:n])), 0)
