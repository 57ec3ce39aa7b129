"""Marks: data of an answer that a chat chunk cannot express, such as the start and end of a block, its signature,
opaque items.

A mark is the member `MARK` of a chunk's first choice. Only code that reads providers' dialects writes it, only
wire/blocks.py reads it, and it never leaves the process. All its members are optional:

begin    {id, model, usage, ...}                  first chunk: the answer as the provider announced it
open     {kind, id?, name?, part?, item?}         a block begins before this chunk's delta
note     object                                   belongs to the open block: citations, phase, namespace
close    {signature?, data?, item?}               the open block ends after this chunk's delta
opaque   {dialect, block}                         a whole block that only this dialect has
message  object                                   about the whole answer: stop_sequence, stop_details, service_tier
"""

from __future__ import annotations

from typing import Any

from .chat import Json

MARK = "_llmproxy"


def marked(delta: Json, mark: Json, **members: object) -> Json:
    """A chunk with one choice and this mark. `members` are other members of the choice, such as `finish_reason`."""
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": None, **members, MARK: mark}]}


def mark_of(chunk: Json) -> Json:
    """The mark of a chunk's first choice; empty if there is none."""
    choices = chunk.get("choices")
    first = choices[0] if type(choices) is list and choices else None
    mark = first[MARK] if type(first) is dict and MARK in first else None
    return mark if type(mark) is dict else {}


def unmarked(chunk: Json) -> Json:
    """The chunk without marks, ready to be sent."""
    choices = chunk.get("choices")
    if type(choices) is not list:
        return chunk
    for one in choices:
        if type(one) is dict and MARK in one:
            return _bare(chunk, choices)
    return chunk


def _bare(chunk: Json, choices: list[Any]) -> Json:
    bare = [{k: v for k, v in one.items() if k != MARK} if isinstance(one, dict) else one for one in choices]
    return {**chunk, "choices": bare}


def says(chunk: Json) -> bool:
    """Whether a marked chunk has any content besides its marks."""
    return any(
        one.get("delta") or one.get("finish_reason") or one.get("logprobs")
        for one in chunk.get("choices") or ()
        if isinstance(one, dict)
    ) or bool(chunk.get("usage"))
