"""One candidate of Gemini's answer as the pieces of one choice of OpenAI's."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from llmproxy.core.chat import Json
from llmproxy.core.errors import UpstreamError

from .calls import Calls, arguments
from .citations import Text, url_citations
from .json_types import an_object, objects, text
from .signatures import Signatures

FINISH = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    **dict.fromkeys(
        (
            "SAFETY",
            "RECITATION",
            "LANGUAGE",
            "BLOCKLIST",
            "PROHIBITED_CONTENT",
            "SPII",
            "MODEL_ARMOR",
            "IMAGE_SAFETY",
            "IMAGE_PROHIBITED_CONTENT",
            "IMAGE_RECITATION",
        ),
        "content_filter",
    ),
}
# The model broke down. What it said before is no answer, so this is an error whenever it comes.
FAILED = frozenset(
    (
        "MALFORMED_FUNCTION_CALL",
        "MALFORMED_RESPONSE",
        "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS",
        "MISSING_THOUGHT_SIGNATURE",
    )
)
# Clients of the gRPC kind ask for enums as numbers. The two APIs number them alike only this far.
_NUMBERED = {"1": "STOP", "2": "MAX_TOKENS", "3": "SAFETY", "4": "RECITATION", "5": "OTHER"}
# Members of a candidate that have no place in OpenAI's answer: kept under `extra_content.google`.
_KEPT = {
    "finishMessage": "finish_message",
    "safetyRatings": "safety_ratings",
    "urlContextMetadata": "url_context_metadata",
    "avgLogprobs": "avg_logprobs",
}


_BESIDE = frozenset((*_KEPT, "groundingMetadata", "citationMetadata"))


class Candidate:
    """One candidate of the answer, which is one choice."""

    def __init__(self, index: int, signatures: Signatures, new_id: Callable[..., str]) -> None:
        self._index = index
        self._signatures = signatures
        self._new_id = new_id
        self._text = Text()
        self._calls = Calls()
        self._number_of_calls = 0
        self._said = False  # anything that is an answer; thoughts are not
        self._grounding: Json = {}
        self._citations: list[Json] = []
        self._google: Json = {}  # Gemini's own members, given once, at the end

    def feed(self, candidate: Json) -> Iterator[Json]:
        """The choices that this piece of the candidate comes to."""
        for part in objects(an_object(candidate.get("content")).get("parts")):
            if delta := self._part(part):
                yield self._choice(delta)
        if not candidate.keys().isdisjoint(_BESIDE):
            self._keep(candidate)
        if logprobs := an_object(candidate.get("logprobsResult")):
            yield {**self._choice({}), "logprobs": {"content": list(_logprobs(logprobs)), "refusal": None}}
        said = candidate.get("finishReason")
        if (reason := _NUMBERED.get(str(said), str(said or ""))) not in ("", "FINISH_REASON_UNSPECIFIED"):
            yield from self._left_open()
            yield self._finished(reason, candidate.get("finishMessage"))

    def feedback(self, feedback: Json, alone: bool) -> Iterator[Json]:
        """What Gemini says of the prompt; if it blocked it there is no candidate: a refusal, finished by the filter."""
        self._google["prompt_feedback"] = feedback
        if alone and (reason := feedback.get("blockReason")):
            refusal = text(feedback.get("blockReasonMessage")) or f"Gemini blocked the prompt: {reason}"
            ended = {"finish_reason": "content_filter", "native_finish_reason": str(reason)}
            yield {**self._choice({"content": "", "refusal": refusal}), **ended}

    def finish(self) -> Iterator[Json]:
        yield from self._left_open()
        delta: Json = {}
        if cited := url_citations(self._text, self._grounding, self._citations):
            delta["annotations"] = cited
        kept = {"grounding_metadata": self._grounding, "citation_metadata": self._citations}
        if google := {**self._google, **{key: value for key, value in kept.items() if value}}:
            delta["extra_content"] = {"google": google}
        if delta:
            yield self._choice(delta)

    def _choice(self, delta: Json) -> Json:
        return {"index": self._index, "delta": delta, "finish_reason": None}

    def _part(self, part: Json) -> Json:
        kind = next((kind for kind in _PARTS if kind in part), None)
        if part.get("thought") is True and kind != "text":  # a sketch of the picture to come
            kind = None
        signature = text(part.get("thoughtSignature"))
        if signature and kind not in ("functionCall", "inlineData"):
            self._google["thought_signature"] = signature
        delta = _PARTS[kind](self, part) if kind else self._raw(part)
        self._said = self._said or bool(delta and "reasoning_content" not in delta)
        return delta

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
        id, signature = call["id"] or self._new_id(self._index, number), call["signature"]
        if signature:
            self._signatures.put(id, signature)
        function = {"name": call["name"], "arguments": arguments(call)}
        tool_call = {"index": number, "id": id, "type": "function", "function": function, **_signature(signature)}
        return {"tool_calls": [tool_call]}

    def _left_open(self) -> Iterator[Json]:
        """A call whose last piece never came is complete when the candidate is (recorded)."""
        if call := self._calls.flush():
            self._said = True
            yield self._choice(self._called(call))

    def _media(self, part: Json) -> Json:
        blob = an_object(part["inlineData"])
        mime, data = text(blob.get("mimeType")), text(blob.get("data"))
        if mime.startswith("audio/"):
            return {"audio": {"data": data, "mime_type": mime}}
        url = {"url": f"data:{mime};base64,{data}"}
        return {"images": [{"type": "image_url", "image_url": url, **_signature(part.get("thoughtSignature"))}]}

    def _code(self, part: Json) -> Json:
        code = an_object(part["executableCode"])
        return self._fenced(part, text(code.get("code")), text(code.get("language")).lower())

    def _output(self, part: Json) -> Json:
        return self._fenced(part, text(an_object(part["codeExecutionResult"]).get("output")), "")

    def _fenced(self, part: Json, inside: str, language: str) -> Json:
        """Code as a client can show it; as it came it is kept beside."""
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
        self._google.update((ours, candidate[theirs]) for theirs, ours in _KEPT.items() if candidate.get(theirs))
        self._grounding = {**self._grounding, **an_object(candidate.get("groundingMetadata"))}
        metadata = an_object(candidate.get("citationMetadata"))
        cited = objects(metadata.get("citations") or metadata.get("citationSources"))
        self._citations += [one for one in cited if one not in self._citations]

    def _finished(self, reason: str, message: Any) -> Json:
        if reason in FAILED or (reason not in FINISH and not self._said):
            raise UpstreamError(
                str(message or f"Gemini gave no answer: {reason}"),
                code=reason.lower(),
                retry_here=reason.startswith("MALFORMED_"),
                blames=False,  # it is this answer that came to nothing
            )
        ended = {"finish_reason": FINISH.get(reason, "stop"), "native_finish_reason": reason}
        return {**self._choice({}), **ended}


_PARTS: dict[str, Callable[[Candidate, Json], Json]] = {
    "functionCall": Candidate._call,
    "text": Candidate._words,
    "inlineData": Candidate._media,
    "executableCode": Candidate._code,
    "codeExecutionResult": Candidate._output,
}


def _signature(signature: Any) -> Json:
    return {"extra_content": {"google": {"thought_signature": signature}}} if signature else {}


def _logprobs(result: Json) -> Iterator[Json]:
    """OpenAI's list of tokens: the chosen ones, each with its alternatives. Bytes are the token's UTF-8."""
    tops = objects(result.get("topCandidates"))
    for at, chosen in enumerate(objects(result.get("chosenCandidates"))):
        top = objects(tops[at].get("candidates")) if at < len(tops) else []
        yield {**_token(chosen), "top_logprobs": [_token(one) for one in top]}


def _token(said: Json) -> Json:
    token = text(said.get("token"))
    return {"token": token, "logprob": said.get("logProbability") or 0.0, "bytes": list(token.encode(errors="replace"))}
