"""Embeddings, the list of models, and the bounded memory of signatures."""

from __future__ import annotations

import base64
import struct
from typing import Any

import orjson
import pytest
from google.genai import types
from llmproxy.adapters.gemini import Gemini
from llmproxy.adapters.gemini.signatures import Signatures
from pydantic import TypeAdapter

from llmproxy.core.adapter import Account, Adapter, ListsModels
from llmproxy.core.chat import Chat, Json
from llmproxy.core.errors import BadRequest, Malformed, UpstreamError


def gemini() -> Gemini:
    return Gemini(Account("gemini", api_key="AIzaSecret"))


def embedding(**members: Any) -> Chat:
    return Chat({"model": "x", "input": "hi", **members}, "gemini-embedding-001", face="embeddings")


def sent(chat: Chat) -> list[Json]:
    """The requests of the batch, each read by google-genai's types."""
    requests: list[Json] = orjson.loads(gemini().request(chat).body)["requests"]
    for one in requests:
        TypeAdapter(types.Content).validate_python(one["content"])
        rest = {key: value for key, value in one.items() if key not in ("model", "content")}
        types.EmbedContentConfig.model_validate(rest)
    return requests


def answered(chat: Chat, reply: Any, size: int = 5) -> Json:
    translator = gemini().translator(chat)
    body = orjson.dumps(reply)
    assert not [frame for at in range(0, len(body), size) for frame in translator.feed(body[at : at + size])]
    found: Json = orjson.loads(b"".join(translator.finish()))
    assert (translator.usage is None) == ("usage" not in found)
    return found


def test_it_is_an_adapter_that_lists_models() -> None:
    adapter: Adapter = gemini()
    assert isinstance(adapter, ListsModels)
    assert adapter.speaks == {"chat", "embeddings", "gemini"}


# Embeddings


@pytest.mark.parametrize(("given", "texts"), [("a", ["a"]), (["a", "b"], ["a", "b"])])
def test_texts_are_one_batch(given: Any, texts: list[str]) -> None:
    chat = embedding(input=given, dimensions=256, task_type="RETRIEVAL_QUERY", user="u")
    assert sent(chat) == [
        {
            "model": "models/gemini-embedding-001",
            "content": {"parts": [{"text": text}]},
            "outputDimensionality": 256,
            "taskType": "RETRIEVAL_QUERY",
        }
        for text in texts
    ]
    assert gemini().request(chat).url.endswith("/models/gemini-embedding-001:batchEmbedContents")
    assert chat.trace.dropped == ["user"]


@pytest.mark.parametrize("given", [[1, 2], [[1], [2]], [], None, 7, ["a", 1]])
def test_tokens_are_refused(given: Any) -> None:
    with pytest.raises(BadRequest):
        gemini().request(embedding(input=given))


def test_vectors_as_lists_without_usage_where_none_was_counted() -> None:
    reply = {"embeddings": [{"values": [0.5, -1]}, {"values": [2, 3]}]}
    assert answered(embedding(), reply) == {
        "object": "list",
        "model": "gemini-embedding-001",
        "data": [
            {"object": "embedding", "index": 0, "embedding": [0.5, -1]},
            {"object": "embedding", "index": 1, "embedding": [2, 3]},
        ],
    }


def test_vectors_as_base64_of_little_endian_floats() -> None:
    reply = {"embeddings": [{"values": [0.5, -1]}], "usageMetadata": {"promptTokenCount": 3}}
    got = answered(embedding(encoding_format="base64"), reply)
    assert struct.unpack("<2f", base64.b64decode(got["data"][0]["embedding"])) == (0.5, -1)
    assert got["usage"] == {"prompt_tokens": 3, "total_tokens": 3}


@pytest.mark.parametrize("reply", [{}, {"embeddings": [{}]}, {"embeddings": 7}, []])
def test_a_reply_without_vectors_is_malformed(reply: Any) -> None:
    with pytest.raises(Malformed):
        answered(embedding(), reply)


def test_an_error_in_place_of_vectors() -> None:
    with pytest.raises(UpstreamError) as failed:
        answered(embedding(), {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "slow"}})
    assert failed.value.status == 429


# The list of models


def test_models_come_in_pages() -> None:
    first, second = gemini().models_request(), gemini().models_request("a b")
    assert (first.method, first.url) == ("GET", "https://generativelanguage.googleapis.com/v1beta/models?pageSize=1000")
    assert second.url.endswith("?pageSize=1000&pageToken=a+b")
    assert first.headers["x-goog-api-key"] == "AIzaSecret"


def test_models_say_what_they_can_do_and_others_are_left_out() -> None:
    listed = {
        "models": [
            {
                "name": "models/gemini-2.5-pro",
                "displayName": "Gemini 2.5 Pro",
                "inputTokenLimit": 1048576,
                "outputTokenLimit": 65536,
                "supportedGenerationMethods": ["generateContent", "countTokens"],
                "thinking": True,
            },
            {"name": "models/gemini-embedding-001", "supportedGenerationMethods": ["embedContent"]},
            {"name": "models/veo-3", "supportedGenerationMethods": ["predictLongRunning"]},
        ],
        "nextPageToken": "more",
    }
    models, page = gemini().models(orjson.dumps(listed))
    assert [(model.id, model.owned_by) for model in models] == [
        ("gemini-2.5-pro", "google"),
        ("gemini-embedding-001", "google"),
    ]
    assert models[0].extra == {
        "name": "Gemini 2.5 Pro",
        "context_length": 1048576,
        "max_output": 65536,
        "uses": ["chat"],
        "input": ["text", "image", "audio", "video", "file"],
        "tools": True,
        "reasoning": True,
    }
    assert models[1].extra == {"uses": ["embeddings"]}
    assert page == "more"


def test_the_last_page_has_no_next() -> None:
    assert gemini().models(b"{}") == ([], None)


@pytest.mark.parametrize(
    "body", [b"<html>", b"[]", b'{"models":[7]}', b'{"models":[{"supportedGenerationMethods":["embedContent"]}]}']
)
def test_a_list_that_is_none_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        gemini().models(body)


# The memory


def test_the_oldest_signature_is_forgotten_first_unless_it_was_asked_for() -> None:
    memory = Signatures(most=2)
    memory.put("a", "1")
    memory.put("b", "2")
    assert memory.get("a") == "1"
    memory.put("c", "3")
    assert (memory.get("a"), memory.get("b"), memory.get("c")) == ("1", None, "3")
