"""Every usage that was recorded, in classes: what providers say in total is what the classes add up to."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from llmproxy.core.usage import Usage
from llmproxy.dialects.gemini.usage import gemini_usage
from tests.recordings.recording import FOLDER

Json = dict[str, Any]


def recorded() -> Iterator[tuple[str, Json]]:
    """(file, usage object as it was last said) of every recording that has one."""
    for path in sorted(one for one in FOLDER.glob("*/*.json") if one.name != "INDEX.json"):
        body = base64.b64decode(json.loads(path.read_text())["response"].get("body_b64") or "").decode(errors="replace")
        said: Json = {}
        for part in parts(body):
            for usage in found(part):
                said = {**said, **usage}
        if said:
            yield f"{path.parent.name}/{path.stem}", said


def parts(body: str) -> Iterator[Any]:
    texts = re.findall(r"^data: ?(.*)$", body, re.MULTILINE) or [body]
    for text in texts:
        try:
            yield json.loads(text)
        except json.JSONDecodeError:
            continue


def found(value: Any) -> Iterator[Json]:
    if isinstance(value, list):
        for one in value:
            yield from found(one)
    elif isinstance(value, dict):
        for key, inner in value.items():
            if key in ("usage", "usageMetadata") and isinstance(inner, dict):
                yield inner
            else:
                yield from found(inner)


def read(said: Json) -> Usage | None:
    if any(key.endswith("Count") for key in said):
        rendered = gemini_usage(said).get("usage")
        return Usage.parse(rendered) if rendered else None
    if "cache_creation_input_tokens" in said or "cache_creation" in said:
        return Usage.of_messages(said)
    return Usage.of_responses(said) if "input_tokens" in said and "prompt_tokens" not in said else Usage.parse(said)


USAGES = list(recorded())


@pytest.mark.skipif(not USAGES, reason="the recordings are not here")
def test_the_classes_of_every_recorded_usage_add_up_to_its_total() -> None:
    assert len(USAGES) > 300
    wrong = []
    for name, said in USAGES:
        usage = read(said)
        total = said.get("total_tokens") or said.get("totalTokenCount")
        if usage is None or not isinstance(total, int):
            continue
        if (counted := usage.tokens.prompt + usage.tokens.completion) != total:
            wrong.append((name, counted, total, said))
    assert wrong == []


@pytest.mark.skipif(not USAGES, reason="the recordings are not here")
def test_cached_and_reasoning_tokens_are_inside_or_beside_as_each_family_counts() -> None:
    for name, said in USAGES:
        usage = read(said)
        assert usage is not None or not any(isinstance(value, int) and value for value in said.values()), name
        if usage is None:
            continue
        tokens = usage.tokens
        assert min(tokens) >= 0, name
        assert tokens.reasoning <= tokens.output, name
        if name.startswith("anthropic/") and "iterations" not in said:
            assert tokens.input == said.get("input_tokens", 0), name
            assert tokens.cache_read == (said.get("cache_read_input_tokens") or 0), name
            assert tokens.output == said.get("output_tokens", 0), name
