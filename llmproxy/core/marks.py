"""What a chat chunk cannot say of the answer it is a piece of: where a block begins and ends, its signature, opaque items.

A mark is the member `MARK` of a chunk's first choice. Only the readers of providers' dialects write it, only
wire/blocks.py reads it, and it never leaves the process. Its members, all optional:

    begin    {id, model, usage, ...}                  first chunk: the answer as the provider announced it
    open     {kind, id?, name?, part?, item?}         a block begins before this chunk's delta
    note     object                                   belongs to the open block: citations as they came, phase, namespace
    close    {signature?, data?, item?}               the open block ends after this chunk's delta
    opaque   {dialect, block}                         a whole block that only this dialect has; a block of its own
    message  object                                   of the whole answer: stop_sequence, stop_details, service_tier
"""

from __future__ import annotations

from .chat import Json

MARK = "_llmproxy"


def marked(delta: Json, mark: Json, **members: object) -> Json:
    """A chunk with one choice and this mark. `members` are the choice's others, as `finish_reason`."""
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": None, **members, MARK: mark}]}


def mark_of(chunk: Json) -> Json:
    """The mark of a chunk's first choice; empty if there is none."""
    choices = chunk.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    mark = first.get(MARK) if isinstance(first, dict) else None
    return mark if isinstance(mark, dict) else {}


def unmarked(chunk: Json) -> Json:
    """The chunk without marks, fit to be sent."""
    choices = chunk.get("choices")
    if not isinstance(choices, list) or not any(isinstance(one, dict) and MARK in one for one in choices):
        return chunk
    bare = [{k: v for k, v in one.items() if k != MARK} if isinstance(one, dict) else one for one in choices]
    return {**chunk, "choices": bare}


def says(chunk: Json) -> bool:
    """Whether there is anything in a marked chunk beside its marks."""
    return any(
        one.get("delta") or one.get("finish_reason") or one.get("logprobs")
        for one in chunk.get("choices") or ()
        if isinstance(one, dict)
    ) or bool(chunk.get("usage"))
