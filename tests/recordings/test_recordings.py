"""Real provider traffic through the running gateway: nothing lost, nothing invented, however the bytes were cut."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from llmproxy.testing import (
    Answer,
    Violation,
    check_chat,
    check_completion,
    check_embeddings,
    check_error,
    check_models,
    check_stream,
)
from tests import thorough
from tests.recordings.differences import differences
from tests.recordings.expected import expected
from tests.recordings.recording import FOLDER, Recording, recordings
from tests.recordings.replay import LISTED, MODES, Outcome, Replay

ALL = recordings()
ASKED = [one for one in ALL if one.face != "models"]
ANSWERS = [one for one in ASKED if one.status == 200 and one.face != "embeddings"]
STREAMS = [one for one in ANSWERS if one.stream]
ERRORS = [one for one in ASKED if one.status != 200]
VECTORS = [one for one in ASKED if one.status == 200 and one.face == "embeddings"]

pytestmark = pytest.mark.skipif(not ALL, reason=f"no recordings at {FOLDER}")


def each(cases: list[Recording]) -> Callable[[Any], Any]:
    return thorough.each("recording", cases, ids=lambda one: str(one.name))


def violations(recording: Recording, outcome: Outcome) -> list[Violation]:
    if outcome.status != 200:
        return check_error(outcome.body)
    options: Any = outcome.question.get("stream_options") or {}
    completions = recording.face == "completions"
    if outcome.question.get("stream"):
        known = bool(expected(recording).usage)
        asked = bool(options.get("include_usage"))
        return check_stream(outcome.body, include_usage=asked, usage=known, completions=completions)
    return check_completion(outcome.body) if completions else check_chat(outcome.body)


def told(found: list[Any]) -> str:
    return "\n".join(map(str, found))


@each(ANSWERS)
def test_the_answer_is_shaped_as_openai_shapes_it(replay: Replay, recording: Recording) -> None:
    for mode in MODES:
        assert told(violations(recording, replay.outcomes[recording.number, mode])) == ""


@each(ANSWERS)
def test_the_answer_says_what_the_provider_said(replay: Replay, recording: Recording) -> None:
    outcome = replay.outcomes[recording.number, "whole"]
    usage = recording.wants_usage or not outcome.question.get("stream")
    assert told(differences(outcome.answer, expected(recording), usage=usage)) == ""


@each(ANSWERS)
def test_the_answer_is_the_same_however_its_bytes_were_cut(replay: Replay, recording: Recording) -> None:
    whole, *others = (comparable(recording, replay.outcomes[recording.number, mode]) for mode in MODES)
    for other in others:
        assert other == whole


@each([one for one in ASKED if not one.native])
def test_the_question_reaches_the_provider_as_it_was_asked(replay: Replay, recording: Recording) -> None:
    outcome = replay.outcomes[recording.number, "whole"]
    assert outcome.exchange is not None
    dropped = outcome.headers.get("x-llmproxy-dropped-params", "").replace(" ", "").split(",")
    ours = {"model", "stream", "stream_options", *dropped}
    got = outcome.exchange.json
    said = {key: value for key, value in recording.asked.items() if key not in ours}
    assert {key: got.get(key) for key in said} == said


@each(ASKED)
def test_who_really_answered_is_told(replay: Replay, recording: Recording) -> None:
    headers = replay.outcomes[recording.number, "whole"].headers
    assert headers["x-request-id"]
    assert headers["x-llmproxy-provider"] == recording.provider
    assert headers["x-llmproxy-model"].endswith(f"--{recording.number}-whole")
    assert headers["x-llmproxy-attempts"] == "1"


@each(STREAMS)
def test_usage_is_told_once_to_those_who_ask(replay: Replay, recording: Recording) -> None:
    outcome = replay.outcomes[recording.number, "usage"]
    assert told(violations(recording, outcome)) == ""
    assert told(differences(outcome.answer, expected(recording), usage=True)) == ""


@each(STREAMS)
def test_a_stream_is_folded_into_the_same_answer(replay: Replay, recording: Recording) -> None:
    outcome = replay.outcomes[recording.number, "folded"]
    assert told(violations(recording, outcome)) == ""
    assert told(differences(outcome.answer, expected(recording), usage=True)) == ""


@each(ERRORS)
def test_an_error_keeps_its_status_and_all_it_says(replay: Replay, recording: Recording) -> None:
    outcome = replay.outcomes[recording.number, "whole"]
    assert told(check_error(outcome.body)) == ""
    said, got = said_error(recording), json.loads(outcome.body)["error"]
    assert outcome.status == said.pop("status", recording.status)
    assert {key: got[key] for key in said} == said
    assert outcome.headers.get("retry-after") or not recording.headers.get("retry-after")


@each(ERRORS)
def test_an_error_is_the_same_however_its_bytes_were_cut(replay: Replay, recording: Recording) -> None:
    first, *others = (replay.outcomes[recording.number, mode].body for mode in MODES)
    for other in others:
        assert unmarked(other) == unmarked(first)


@each(VECTORS)
def test_embeddings_are_the_provider_s(replay: Replay, recording: Recording) -> None:
    said = json.loads(recording.body)
    for mode in MODES:
        outcome = replay.outcomes[recording.number, mode]
        assert outcome.status == 200
        assert told(check_embeddings(outcome.body, usage="usage" in said or "usageMetadata" in said)) == ""
        got = [one["embedding"] for one in json.loads(outcome.body)["data"]]
        assert got == (
            [one["values"] for one in said["embeddings"]]
            if recording.native
            else [one["embedding"] for one in said["data"]]
        )


def test_models_are_listed(replay: Replay) -> None:
    assert told(check_models(json.dumps(replay.models).encode())) == ""
    listed = {one["id"] for one in replay.models["data"]}
    for recording in ALL:
        if recording.face == "models" and recording.status == 200 and recording.provider in LISTED:
            said = {f"{recording.provider}/{one['id']}" for one in json.loads(recording.body)["data"]}
            assert said <= listed


def test_no_traceback_was_logged(replay: Replay) -> None:
    assert "Traceback" not in replay.log


def comparable(recording: Recording, outcome: Outcome) -> tuple[int, Answer | bytes]:
    """What must not depend on how the bytes came. The modes differ in the model's name and in ids drawn by the gateway."""
    if outcome.status != 200:
        return outcome.status, unmarked(outcome.body)
    answer = outcome.answer
    for choice in answer.choices.values():
        for call in choice.tool_calls:
            call.id = call.id if call.id.encode() in recording.body else "drawn"
    return outcome.status, answer


def unmarked(body: bytes) -> bytes:
    for mode in MODES:
        body = body.replace(f"-{mode}".encode(), b"-mode")
    return body


def said_error(recording: Recording) -> dict[str, Any]:
    """What must stand in the client's error; for a numeric code or none there may be something better."""
    body = json.loads(recording.body)
    error = (body[0] if isinstance(body, list) else body)["error"]
    said: dict[str, Any] = {"message": error["message"], "param": error.get("param")}
    if isinstance(error.get("type"), str):
        said["type"] = error["type"]
    if isinstance(error.get("code"), str):
        said["code"] = error["code"]
    if recording.native:
        said["status"] = 401 if "API_KEY_INVALID" in json.dumps(error) else recording.status
    return said
