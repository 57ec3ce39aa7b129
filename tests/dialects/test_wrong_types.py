"""A value of the wrong type, wherever it stands in a request: the client's mistake, and the place is named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.core.errors import BadRequest
from llmproxy.wire.shapes import dotted, indexed
from tests.dialects.recorded import requests_of
from tests.dialects.requests import READ, Json, Path, at, changed, places
from tests.thorough import each, examples

OPAQUE = (
    "parameters",
    "input_schema",
    "schema",
    "parametersJsonSchema",
    "responseJsonSchema",
    "cache_control",
    "args",
    "response",
)
ODD: Any = [True, 5, 1.5, "odd", "", [], {}, [5], [[]], {"a": 5}, [None], None]


def wrong(value: Any) -> Any:
    """Of a type that can never stand for this value's."""
    return True if isinstance(value, (str, list, dict)) else "odd"


def refusal(read: Callable[[Json], object], body: Json) -> BadRequest | None:
    try:
        read(body)
    except BadRequest as error:
        return error
    return None


def cases() -> list[Any]:
    found = []
    for name, (body, _) in READ.items():
        for path in places(body):
            if not any(inner in OPAQUE for inner in path[:-1]):
                where = dotted(path) if name == "messages" else indexed(path)
                found.append(pytest.param(name, path, where, id=f"{name}: {where}"))
    return found


@pytest.mark.parametrize("name", READ)
def test_what_is_right_is_taken(name: str) -> None:
    body, read = READ[name]
    read(body)


@each("name, path, where", cases())
def test_the_place_of_a_wrong_type_is_named(name: str, path: Path, where: str) -> None:
    body, read = READ[name]
    with pytest.raises(BadRequest) as caught:
        read(changed(body, path, wrong(at(body, path))))
    assert caught.value.param == where
    assert where in caught.value.message


@examples(600)
@given(st.sampled_from(sorted(READ)), st.data())
def test_nothing_odd_is_more_than_a_bad_request(name: str, data: st.DataObject) -> None:
    body, read = READ[name]
    for _ in range(data.draw(st.integers(1, 3))):
        body = changed(body, data.draw(st.sampled_from(list(places(body)))), data.draw(st.sampled_from(ODD)))
    refused = refusal(read, body)
    assert refused is None or refused.param, refused


def test_a_number_for_the_contents_is_no_list_of_numbers() -> None:
    body, read = READ["gemini"]
    with pytest.raises(BadRequest, match="`contents` must be an object or a list of objects"):
        read({**body, "contents": 5})
    with pytest.raises(BadRequest, match=r"`contents\[0\]` must be an object"):
        read({**body, "contents": [5]})


def test_gemini_takes_numbers_as_text_as_google_does() -> None:
    body, read = READ["gemini"]
    made: Any = read({**body, "generationConfig": {"maxOutputTokens": "100", "temperature": "0.5"}})
    assert (made.body["max_completion_tokens"], made.body["temperature"]) == (100, 0.5)


@each("dialect, body", requests_of("anthropic", "openai-responses", "gemini", "openai", "openrouter", "llamacpp"))
def test_no_type_that_a_recorded_client_sent_is_refused(dialect: str, body: Json) -> None:
    """What a translation cannot carry may be refused; what is of a type that the provider took may not."""
    refused = refusal(READ[dialect][1], body)
    assert refused is None or refused.code != "invalid_type", refused
