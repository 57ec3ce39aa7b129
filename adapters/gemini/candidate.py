"""Converts one candidate of a Gemini answer to chunks of one OpenAI choice."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from llmproxy.adapter_kit import GEMINI_FINISH, Json, gemini_end

from .calls import Calls, arguments
from .citations import Text, url_citations
from .finishes import failure
from .json_types import an_object, objects, text
from .logprobs import logprobs
from .names import Names
from .signatures import Signatures
from .sound import Sound

# Members of a candidate that are rendered; all others are kept under `extra_content.google`.
_RENDERED = frozenset(("content", "finishReason", "index", "logprobsResult"))
_SEPARATE = frozenset(("groundingMetadata", "citationMetadata"))


class Candidate:
    """One candidate, which is one choice. new_id: makes IDs for calls and audio without one. created: Unix seconds."""

    def __init__(
        self, index: int, signatures: Signatures, names: Names, new_id: Callable[..., str], created: int
    ) -> None:
        self._index = index
        self._signatures = signatures
        self._names = names
        self._new_id = new_id
        self._created = created
        self._text = Text()
        self._calls = Calls()
        self._number_of_calls = 0
        self._sound: Sound | None = None
        self._answered = False  # some content other than thoughts has come
        self._grounding: Json = {}
        self._citations: list[Json] = []
        self._signed: list[str] = []  # signatures of parts that are not calls or images
        self._google: Json = {}  # Gemini's own members, sent once at the end

    def feed(self, candidate: Json) -> Iterator[Json]:
        """The choice chunks for one event of the candidate."""
        for part in objects(an_object(candidate.get("content")).get("parts")):
            if self._calls.open is not None and "functionCall" not in part:
                yield from self._open_call()
            if delta := self._part(part):
                yield self._choice(delta)
        if not candidate.keys() <= _RENDERED:
            self._keep(candidate)
        if "logprobsResult" in candidate and (result := an_object(candidate["logprobsResult"])):
            yield {**self._choice({}), "logprobs": {"content": list(logprobs(result)), "refusal": None}}
        if "finishReason" in candidate and (ended := gemini_end(candidate["finishReason"])):
            yield from self._open_call()
            yield self._finished(ended, candidate.get("finishMessage"))

    def feedback(self, feedback: Json, alone: bool) -> Iterator[Json]:
        """`promptFeedback`. alone: there is no candidate; if the prompt was blocked, the answer is then a refusal."""
        self._google["prompt_feedback"] = feedback
        if alone and (reason := feedback.get("blockReason")):
            refusal = text(feedback.get("blockReasonMessage")) or f"Gemini blocked the prompt: {reason}"
            ended = {"finish_reason": "content_filter", "native_finish_reason": str(reason)}
            yield {**self._choice({"content": "", "refusal": refusal}), **ended}

    def keep(self, members: Json) -> None:
        """Keeps members of the answer for which OpenAI has no field."""
        self._google.update((snake(name), value) for name, value in members.items())

    def finish(self) -> Iterator[Json]:
        yield from self._open_call()
        delta: Json = {"audio": self._sound.finish()} if self._sound else {}
        if cited := url_citations(self._text, self._grounding, self._citations):
            delta["annotations"] = cited
        kept = {
            "grounding_metadata": self._grounding,
            "citation_metadata": self._citations,
            **_signatures(self._signed),
        }
        if google := {**self._google, **{key: value for key, value in kept.items() if value}}:
            delta["extra_content"] = {"google": google}
        if delta:
            yield self._choice(delta)

    def _choice(self, delta: Json) -> Json:
        return {"index": self._index, "delta": delta, "finish_reason": None}

    def _part(self, part: Json) -> Json:
        kind = next((kind for kind in _PARTS if kind in part), None)
        if part.get("thought") is True and kind != "text":  # a draft of an image
            kind = None
        delta = _PARTS[kind](self, part) if kind else self._raw(part)
        if "thoughtSignature" in part and kind not in _SIGNED:
            self._sign(part)
        self._answered = self._answered or kind == "functionCall" or bool(delta and "reasoning_content" not in delta)
        return delta

    def _sign(self, part: Json) -> None:
        if (signature := text(part.get("thoughtSignature"))) and signature not in self._signed:
            self._signed.append(signature)

    def _words(self, part: Json) -> Json:
        words = text(part["text"])
        if not words:
            return {}
        if part.get("thought") is True:
            return {"reasoning_content": words}
        self._text.add(words)
        return {"content": words}

    def _call(self, part: Json) -> Json:
        call = self._calls.feed(part)
        return self._called(call) if call else {}

    def _called(self, call: Json) -> Json:
        number, self._number_of_calls = self._number_of_calls, self._number_of_calls + 1
        id = call["id"] or self._new_id("call", self._index, number)
        signature, *more = call["signatures"] or [None]
        self._signed += more
        if signature:
            self._signatures.put(id, signature)
        tool_call = {"index": number, "id": id, **self._body(call), **_signature(signature)}
        return {"tool_calls": [tool_call]}

    def _body(self, call: Json) -> Json:
        name = self._names.ours(call["name"])
        if name not in self._names.customs:
            return {"type": "function", "function": {"name": name, "arguments": arguments(call)}}
        written = call["args"].get("input")
        return {
            "type": "custom",
            "custom": {"name": name, "input": written if isinstance(written, str) else arguments(call)},
        }

    def _open_call(self) -> Iterator[Json]:
        """A call is complete when something else comes, or the end; its last piece may never come (recorded)."""
        if call := self._calls.flush():
            yield self._choice(self._called(call))

    def _media(self, part: Json) -> Json:
        blob = an_object(part["inlineData"])
        mime, data = text(blob.get("mimeType")), text(blob.get("data"))
        if mime.startswith("audio/"):
            self._sign(part)
            self._sound = self._sound or Sound(self._new_id("audio", self._index), self._created)
            return {"audio": self._sound.feed(data, mime)}
        url = {"url": f"data:{mime};base64,{data}"}
        return {"images": [{"type": "image_url", "image_url": url, **_signature(part.get("thoughtSignature"))}]}

    def _code(self, part: Json) -> Json:
        code = an_object(part["executableCode"])
        return self._fenced(part, text(code.get("code")), text(code.get("language")).lower())

    def _output(self, part: Json) -> Json:
        return self._fenced(part, text(an_object(part["codeExecutionResult"]).get("output")), "")

    def _fenced(self, part: Json, inside: str, language: str) -> Json:
        """Code as a Markdown block; the original part is kept in `extra_content`."""
        self._raw(part)
        if not inside:
            return {}
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", inside)), default=0))
        lead, end = "" if self._text.at_line_start else "\n", "" if inside.endswith("\n") else "\n"
        shown = f"{lead}{fence}{language}\n{inside}{end}{fence}\n"
        self._text.add(shown, counted=False)
        return {"content": shown}

    def _raw(self, part: Json) -> Json:
        self._google.setdefault("parts", []).append(part)
        return {}

    def _keep(self, candidate: Json) -> None:
        rest = {name: value for name, value in candidate.items() if name not in _RENDERED | _SEPARATE and value}
        self.keep(rest)
        self._grounding = {**self._grounding, **an_object(candidate.get("groundingMetadata"))}
        metadata = an_object(candidate.get("citationMetadata"))
        cited = objects(metadata.get("citations") or metadata.get("citationSources"))
        self._citations += [one for one in cited if one not in self._citations]

    def _finished(self, reason: str, message: Any) -> Json:
        if error := failure(reason, message, answered=self._answered):
            raise error
        ended = {"finish_reason": GEMINI_FINISH.get(reason, "stop"), "native_finish_reason": reason}
        return {**self._choice({}), **ended}


_PARTS: dict[str, Callable[[Candidate, Json], Json]] = {
    "functionCall": Candidate._call,
    "text": Candidate._words,
    "inlineData": Candidate._media,
    "executableCode": Candidate._code,
    "codeExecutionResult": Candidate._output,
}
_SIGNED = frozenset(("functionCall", "inlineData"))  # parts whose signature is in the converted part


def snake(name: str) -> str:
    return re.sub(r"[A-Z]", lambda letter: f"_{letter[0].lower()}", name)


def _signature(signature: Any) -> Json:
    return {"extra_content": {"google": {"thought_signature": signature}}} if signature else {}


def _signatures(signed: list[str]) -> Json:
    """The last signature, and a list of all if there are several."""
    if not signed:
        return {}
    return {"thought_signature": signed[-1], **({"thought_signatures": signed} if len(signed) > 1 else {})}
