"""Complete answers as text, for stores that keep text only."""

from __future__ import annotations

import base64
import zlib

import orjson

from llmproxy.requests.answer_cache import Answer


def packed(answer: Answer) -> str:
    """ASCII. The blocks may contain any bytes, and compress well."""
    blocks = [base64.b64encode(one).decode() for one in answer.blocks]
    members = [blocks, answer.content_type, answer.provider, answer.model, answer.dropped]
    return base64.b64encode(zlib.compress(orjson.dumps(members))).decode()


def unpacked(text: str) -> Answer:
    blocks, content_type, provider, model, dropped = orjson.loads(zlib.decompress(base64.b64decode(text)))
    return Answer(tuple(map(base64.b64decode, blocks)), content_type, provider, model, tuple(dropped))
