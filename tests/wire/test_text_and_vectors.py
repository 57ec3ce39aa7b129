"""The two other faces: text completions as a dialect of chat, and embeddings as one JSON answer."""

from __future__ import annotations

import base64
import struct
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.core.chat import Chat, Json
from llmproxy.core.errors import BadRequest, Malformed, UpstreamError
from llmproxy.testing import check_completion, check_embeddings, check_stream, chunk, completion, read_stream, sse
from llmproxy.testing.cases import drain
from llmproxy.wire.embeddings import Vectors, encoded
from llmproxy.wire.relay import Relay
from llmproxy.wire.text_completions import as_chat
from tests.core.kit import CUTS, TEXT, chat, lean, pieces, run

USAGE = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}


def text(said: str = "", finish: str | None = None, **members: Any) -> Json:
    choice = {"index": 0, "text": said, "logprobs": None, "finish_reason": finish}
    return {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1700000000,
        "model": "m",
        "choices": [choice],
        **members,
    }


def asked(**members: Any) -> Chat:
    return chat(face="completions", prompt="Say", **members)


# Completions


@given(st.lists(TEXT, min_size=1, max_size=4), CUTS)
@lean
def test_a_stream_of_text_is_a_stream_of_text(parts: list[str], cuts: list[int]) -> None:
    stream = sse(*map(text, parts), text("", "stop"), text(choices=[], usage=USAGE))
    out, failure = run(Relay(asked()), pieces(stream, cuts))
    assert failure is None
    assert check_stream(out, completions=True) == []
    assert read_stream(out).first.text == "".join(parts)


def test_usage_of_text_comes_if_asked_for() -> None:
    stream = sse(text("a"), text("", "stop"), text(choices=[], usage=USAGE))
    out, _ = run(Relay(asked(stream_options={"include_usage": True})), [stream])
    assert check_stream(out, completions=True, include_usage=True) == []


def test_a_whole_text_is_a_whole_text() -> None:
    whole = text("Hello", "length", usage=USAGE, timings={"ms": 1})
    whole["choices"][0]["logprobs"] = {"tokens": ["Hello"], "token_logprobs": [-1.0]}
    out, failure = run(Relay(asked(stream=False)), [orjson.dumps(whole)])
    assert failure is None
    assert check_completion(out) == []
    assert orjson.loads(out) == whole


def test_a_stream_of_text_is_folded_for_a_client_that_does_not_stream() -> None:
    out, failure = run(
        Relay(asked(stream=False)), [sse(text("Hel"), text("lo", "stop"), text(choices=[], usage=USAGE))]
    )
    assert failure is None
    assert orjson.loads(out) == text("Hello", "stop", usage=USAGE)


def test_a_model_that_only_chats_answers_in_text() -> None:
    stream = sse(chunk({"role": "assistant", "content": ""}), chunk({"content": "Hi"}), chunk({}, finish="stop"))
    out, _ = run(Relay(asked()), [stream])
    assert check_stream(out, completions=True) == []
    assert read_stream(out).first.text == "Hi"
    whole, _ = run(Relay(asked(stream=False)), [orjson.dumps(completion("Hi"))])
    assert check_completion(whole) == []
    assert orjson.loads(whole)["id"] == "cmpl-fake"


@pytest.mark.parametrize("prompt", ["Say", ["Say"]])
def test_a_prompt_becomes_a_question(prompt: Any) -> None:
    body = {"model": "m", "prompt": prompt, "echo": True, "max_tokens": 5}
    put = as_chat(Chat(body, "m", "completions"))
    assert put.body == {"model": "m", "messages": [{"role": "user", "content": "Say"}], "max_tokens": 5}
    assert put.trace.dropped == ["echo"]


@pytest.mark.parametrize("prompt", [["a", "b"], [1, 2], [[1]], []])
def test_a_prompt_that_is_not_one_text_is_refused(prompt: Any) -> None:
    with pytest.raises(BadRequest) as caught:
        as_chat(Chat({"prompt": prompt}, "m", "completions"))
    assert caught.value.param == "prompt"


# Embeddings


def vectors(body: Any, **how: Any) -> tuple[bytes, Vectors]:
    translator = Vectors(Chat({"model": "asked"}, "asked", "embeddings"), **how)
    return drain(translator, [body if isinstance(body, bytes) else orjson.dumps(body)]), translator


WHOLE: Json = {
    "object": "list",
    "model": "m",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.5, -1.0]}],
    "usage": {"prompt_tokens": 3, "total_tokens": 3},
}


def test_vectors_that_are_openais_leave_as_the_bytes_that_came() -> None:
    body = orjson.dumps(WHOLE, option=orjson.OPT_INDENT_2)
    out, translator = vectors(body)
    assert out == body
    assert (translator.done, translator.usage and translator.usage.prompt) == (True, 3)


@given(CUTS)
@lean
def test_vectors_may_come_in_pieces(cuts: list[int]) -> None:
    body = orjson.dumps(WHOLE)
    assert drain(Vectors(chat(face="embeddings")), pieces(body, cuts)) == body


def test_what_is_missing_is_filled_in() -> None:
    out, _ = vectors({"data": [{"embedding": [1.0]}, {"embedding": [2.0], "index": 1}], "x": 1})
    assert check_embeddings(out, usage=False) == []
    answer = orjson.loads(out)
    assert (answer["model"], answer["x"]) == ("asked", 1)
    assert [one["index"] for one in answer["data"]] == [0, 1]


@pytest.mark.parametrize(
    "body", [b"<html>", b"", b"[]", {}, {"data": None}, {"data": [None]}, {"data": [WHOLE["data"][0], 5]}]
)
def test_what_are_no_vectors_is_malformed(body: Any) -> None:
    with pytest.raises(Malformed):
        vectors(body)


def test_an_error_in_place_of_vectors_is_that_error() -> None:
    with pytest.raises(UpstreamError, match="no credit") as caught:
        vectors({"error": {"message": "no credit", "code": 402}})
    assert caught.value.status == 402


def test_another_form_is_read_first() -> None:
    out, _ = vectors({"values": [1.0]}, read=lambda said: {"data": [{"embedding": said["values"]}]})
    assert orjson.loads(out)["data"] == [{"object": "embedding", "index": 0, "embedding": [1.0]}]


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=5))
@lean
def test_base64_is_of_little_endian_floats(vector: list[float]) -> None:
    told = encoded(vector, "base64")
    assert isinstance(told, str)
    assert list(struct.unpack(f"<{len(vector)}f", base64.b64decode(told))) == vector
    assert encoded(vector, "float") == vector


def test_embeddings_without_places_and_kinds_get_them() -> None:
    vectors = Vectors(chat(face="embeddings", stream=False))
    vectors.feed(b'{"data":[{"embedding":[0.5],"index":null},{"embedding":[1.5],"object":null}]}')
    data = orjson.loads(b"".join(vectors.finish()))["data"]
    assert [(one["object"], one["index"]) for one in data] == [("embedding", 0), ("embedding", 1)]
