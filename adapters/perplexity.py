"""Perplexity: no /v1, no [DONE], the whole answer repeated in every event, sources beside the text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from llmproxy.adapter_kit import Chat, Environment, Json, Model, OpenAICompatible, Outgoing, Pace, Step, check_chat

from .perplexity_turns import shaped

# GET /models lists the Agent API's models, not these (recorded).
_SONAR = {"sonar": 128_000, "sonar-pro": 200_000, "sonar-reasoning-pro": 128_000, "sonar-deep-research": 128_000}
_SOURCES = ("citations", "search_results", "images", "related_questions")
_EFFORTS = {"none": "minimal", "xhigh": "high", "max": "high"}  # it knows minimal, low, medium and high
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
    # What is not streamed is silent for minutes, and whoever stands between hangs up (modelcontextprotocol#83).
    always_stream = True
    asks_usage = False  # usage comes with every event, asked or not (recorded)
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
            chat = chat.saying(max_completion_tokens=None, max_tokens=chat.body.get("max_tokens") or tokens)
        if effort := _EFFORTS.get(str(chat.body.get("reasoning_effort"))):
            chat = chat.saying(reasoning_effort=effort)
        return self._in_turn(chat) if chat.face == "chat" else chat

    def pace(self, chat: Chat) -> Pace:
        """Deep research says nothing but pings for minutes, and each run of it is paid."""
        slow = "deep-research" in chat.model
        return Pace(first_frame=600.0 if slow else None, comments_count=slow, once=slow)

    def _in_turn(self, chat: Chat) -> Chat:
        messages = shaped(chat.messages)
        if messages is chat.messages:
            return chat
        if len(messages) != len(chat.messages):
            chat.trace.dropped.append("messages")
        return chat.saying(messages=messages)

    def url(self, chat: Chat) -> str:
        return self.at("/v1/embeddings" if chat.face == "embeddings" else "/chat/completions")

    def steps(self, chat: Chat) -> Sequence[Step]:
        return (Deltas(), ThinkTags())

    def models_request(self, page: str | None = None) -> Outgoing:
        return Outgoing(self.at("/v1/models"), headers=self._headers, method="GET")

    def model(self, entry: Json) -> Model | None:
        return None  # none of them answers a chat completion; `known_models` are the ones that do


class Deltas:
    """Keeps the deltas and lets the repetitions go: sources are said once, with the end, as they are and as annotations.

    `full` mode repeats message.content, citations and search_results in every event: 1.26 MB for 390 tokens (recorded).
    """

    def __init__(self) -> None:
        self._sources: Json = {}
        self._said: dict[int, str] = {}  # the text so far, for events that carry a message and no delta

    def feed(self, event: Json) -> Iterable[Json]:
        self._sources.update((key, event[key]) for key in _SOURCES if event.get(key))
        chunk = {key: value for key, value in event.items() if key not in _SOURCES}
        chunk["choices"] = [self._choice(one) for one in event.get("choices") or () if isinstance(one, dict)]
        ended = any(one.get("finish_reason") for one in chunk["choices"])
        return ({**chunk, **self._told(chunk["choices"])},) if ended else (chunk,)

    def finish(self) -> Iterable[Json]:
        return ()

    def _choice(self, choice: Json) -> Json:
        index = choice.get("index") or 0
        said = self._said.get(index, "")
        delta = choice.get("delta")
        message = choice.get("message")
        whole = message.get("content") if isinstance(message, dict) else None
        if not isinstance(delta, dict):
            delta = {"content": whole[len(said) :]} if isinstance(whole, str) and whole.startswith(said) else {}
        if isinstance(delta.get("content"), str):
            self._said[index] = said + delta["content"]
        return {**{k: v for k, v in choice.items() if k != "message"}, "delta": delta}

    def _told(self, choices: list[Json]) -> Json:
        """The sources, once; their annotations go into the last delta of each choice."""
        sources, self._sources = self._sources, {}
        annotations = list(_annotations(sources))
        if annotations:
            for choice in choices:
                choice["delta"] = {**choice["delta"], "annotations": annotations}
        return sources


def _annotations(sources: Json) -> Iterator[Json]:
    """`[1]` in the text points at the first of `citations`, whose titles stand in search_results."""
    results = [one for one in sources.get("search_results") or () if isinstance(one, dict)]
    titles = {one.get("url"): one.get("title") for one in results}
    for url in sources.get("citations") or [one.get("url") for one in results]:
        if isinstance(url, str) and url:
            citation = {"url": url, "title": titles.get(url) or url, "start_index": 0, "end_index": 0}
            yield {"type": "url_citation", "url_citation": citation}


class ThinkTags:
    """Older sonar-reasoning models open their text with `<think>`: what stands inside is reasoning."""

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
        thoughts, said = self._split(self._held + text, last=bool(choice.get("finish_reason")))
        reasoning = {"reasoning_content": thoughts} if thoughts else {}
        return {**choice, "delta": {**delta, **reasoning, "content": said}}

    def _split(self, text: str, *, last: bool) -> tuple[str, str]:
        """Thoughts and text; the end that may be half a tag is held for the next piece."""
        self._held = ""
        if self._inside is None:
            if not last and len(text) < len("<think>") and "<think>".startswith(text):
                self._held = text
                return "", ""
            self._inside = text.startswith("<think>")
            text = text.removeprefix("<think>")
            if not self._inside:
                return "", text
        thoughts, closed, said = text.partition("</think>")
        if closed:
            self._inside = False
            return thoughts, said.lstrip("\n")
        keep = 0 if last else _half_tag(thoughts, "</think>")
        self._held = thoughts[len(thoughts) - keep :]
        return thoughts[: len(thoughts) - keep], ""


def _half_tag(text: str, tag: str) -> int:
    """How many characters at the end of the text may be the beginning of the tag."""
    return next((n for n in range(len(tag) - 1, 0, -1) if text.endswith(tag[:n])), 0)
