"""Helpers for chunks: the choices with their deltas, and a chunk with one delta replaced."""

from __future__ import annotations

from collections.abc import Iterator

from llmproxy.core.chat import Json


def deltas(chunk: Json) -> Iterator[tuple[Json, Json]]:
    """Each choice of a chunk with its delta; malformed ones are skipped."""
    for choice in chunk.get("choices") or ():
        if isinstance(choice, dict):
            delta = choice.get("delta")
            yield choice, delta if isinstance(delta, dict) else {}


def with_delta(chunk: Json, choice: Json, delta: Json) -> Json:
    """The chunk with the delta of one choice replaced."""
    choices = [{**one, "delta": delta} if one is choice else one for one in chunk["choices"]]
    return {**chunk, "choices": choices}


def same(chunk: Json, choice: Json) -> Json:
    """The choice of a rebuilt chunk at the position of this one."""
    if any(one is choice for one in chunk["choices"]):
        return choice
    found: Json = next(one for one in chunk["choices"] if one.get("index") == choice.get("index"))
    return found
