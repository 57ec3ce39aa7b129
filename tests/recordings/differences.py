"""In what a client's answer differs from what the recording says. Each difference is one sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from llmproxy.testing import Answer, Choice
from tests.recordings.expected import Expected, Said

Json = dict[str, Any]


def differences(got: Answer, said: Expected, *, usage: bool) -> list[str]:
    """`usage`: the client should have been told."""
    if got.error is not None:
        return [] if said.error or said.may_fail else [f"an error: {got.error}"]
    if said.error is not None:
        return [f"the provider's error is not told: {said.error}"]
    found = [
        f"choice {index}: {what}"
        for index in said.choices
        for what in _of_choice(got.choice(index), said.choices[index])
    ]
    if sorted(got.choices) != sorted(said.choices) and said.choices:
        found.append(f"choices {sorted(got.choices)}, said were {sorted(said.choices)}")
    found += [f"usage.{path}" for path in _missing(got.usage or {}, said.usage)] if usage else []
    if not usage and got.usage is not None:
        found.append("usage, which was not asked for")
    found += [f"top level: {path}" for path in _missing(got.extras, said.extras)]
    return found


def _of_choice(got: Choice, said: Said) -> Iterator[str]:
    if said.aside:
        if not _contains(got.text, said.text):
            yield f"text {got.text!r} lacks some of {said.text!r}"
    elif got.text != said.text:
        yield f"text {_apart(got.text, said.text)}"
    if got.reasoning != said.reasoning:
        yield f"reasoning {_apart(got.reasoning, said.reasoning)}"
    if said.refusal is not None and got.refusal != said.refusal:
        yield f"refusal {got.refusal!r}, said was {said.refusal!r}"
    if said.finish is not None and got.finish != said.finish:
        yield f"finish {got.finish!r}, expected {said.finish!r}"
    if said.pictures != len(got.images):
        yield f"{len(got.images)} images, said were {said.pictures}"
    if said.tokens != [one.get("token") for one in got.logprobs]:
        yield f"{len(got.logprobs)} logprobs, said were {len(said.tokens)}"
    yield from _of_calls(got, said)
    yield from _of_citations(got, said)


def _of_calls(got: Choice, said: Said) -> Iterator[str]:
    names = [call.name for call in got.tool_calls]
    if names != [call["name"] for call in said.calls]:
        yield f"tool calls {names}, said were {[call['name'] for call in said.calls]}"
        return
    for call, spoken in zip(got.tool_calls, said.calls, strict=True):
        if _value(call.arguments) != _value(spoken["arguments"]):
            yield f"arguments {call.arguments!r}, said were {spoken['arguments']!r}"
        if not call.id or (spoken["id"] and call.id != spoken["id"]):
            yield f"tool call id {call.id!r}, said was {spoken['id']!r}"
    if len({call.id for call in got.tool_calls}) != len(got.tool_calls):
        yield "two tool calls with one id"


def _of_citations(got: Choice, said: Said) -> Iterator[str]:
    cited = [one.get("url_citation") or {} for one in got.annotations]
    urls = {one.get("url") for one in cited}
    missing = {*said.urls, *(url for url, _ in said.quotes)} - urls
    if missing:
        yield f"not cited: {sorted(missing)}"
    if said.urls and len(cited) != len(said.urls):
        yield f"{len(cited)} citations, said were {len(said.urls)}"
    spans = {(one.get("url"), got.text[one.get("start_index") or 0 : one.get("end_index") or 0]) for one in cited}
    wrong = [quote for url, quote in said.quotes if quote and (url, quote) not in spans and quote in got.text]
    if wrong:
        yield f"{len(wrong)} citations do not stand where the text is, as {wrong[0]!r}"


def _missing(got: Any, said: Any, path: str = "") -> Iterator[str]:
    """Members that were said and are not there, or are others."""
    if isinstance(said, dict) and isinstance(got, dict):
        for key, value in said.items():
            if value is not None:
                yield from _missing(got.get(key), value, f"{path}.{key}" if path else key)
    elif got != said and not _as_empty(got, said):
        yield f"{path} is {str(got)[:80]}, said was {str(said)[:80]}"


def _as_empty(got: Any, said: Any) -> bool:
    return not got and not said


def _value(arguments: str) -> Any:
    try:
        return json.loads(arguments or "{}")
    except ValueError:
        return arguments


def _contains(text: str, part: str) -> bool:
    """Whether the words of `part` stand in the text, in order, whatever else stands between them."""
    rest = iter(text.split())
    return all(word in rest for word in part.split())


def _apart(got: str, said: str) -> str:
    at = next((i for i, (a, b) in enumerate(zip(got, said, strict=False)) if a != b), min(len(got), len(said)))
    return f"differs at character {at}: {got[at : at + 40]!r}, said was {said[at : at + 40]!r}"
