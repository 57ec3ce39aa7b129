"""The validators of Gemini's answers: what Google itself has sent is right, and each mistake is found."""

from __future__ import annotations

import base64
import json
from typing import Any

import orjson
import pytest

from llmproxy.testing import (
    Violation,
    check_gemini,
    check_gemini_array,
    check_gemini_error,
    check_gemini_models,
    check_gemini_stream,
    check_gemini_tokens,
)
from tests.recordings.recording import FOLDER
from tests.thorough import each

# Recorded, and yet not as the API is documented.
ODD = {
    "generateContent-json-1-image-input--langchaingo-testgoogleaimultimodalcontent": "enums as numbers",
    "streamGenerateContent-stream-parallel-tools-thoughtsignature--ai-google-stream-tool-call-array-arguments": "calls in pieces",
    "streamGenerateContent-stream-thought-parts-code-execution--rig-two-terminal-stream-with-visible-thoughts": "two ends",
}


def recorded() -> list[Any]:
    found = []
    for path in sorted((FOLDER / "gemini").glob("*enerateContent*.json")):
        case = json.loads(path.read_text())
        if not any(path.stem.startswith(odd[:90]) for odd in ODD):
            found.append(pytest.param(case, id=path.stem))
    return found


@pytest.mark.skipif(not FOLDER.is_dir(), reason="the recordings are not beside this folder")
@each("case", recorded() or [None])
def test_what_google_has_sent_is_right(case: Any) -> None:
    body = base64.b64decode(case["response"]["body_b64"])
    if case["response"]["status"] != 200:
        bare = body.strip().removeprefix(b"[").removesuffix(b"]")
        assert check_gemini_error(bare, case["response"]["status"]) == []
    elif body.lstrip().startswith(b"["):
        assert check_gemini_array(body) == []
    elif not case["stream"]:
        assert check_gemini(body) == []
    else:
        assert check_gemini_stream(body) == []


def said(found: list[Violation]) -> str:
    return "; ".join(map(str, found))


def event(*parts: Any, finish: str | None = None, **members: Any) -> dict[str, Any]:
    candidate = {"content": {"parts": list(parts), "role": "model"}, "index": 0}
    return {"candidates": [{**candidate, **({"finishReason": finish} if finish else {})}], **members}


def stream(*events: dict[str, Any]) -> bytes:
    return b"".join(b"data: %b\r\n\r\n" % orjson.dumps(one) for one in events)


HI, END = event({"text": "Hi"}), event({"text": ""}, finish="STOP")


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (stream(HI), "end: candidate 0 has no finishReason"),
        (b"", "end: no candidate at all"),
        (stream(HI, END, HI), "event 2: candidates[0]: says more after its finishReason"),
        (stream(HI, END) + b"data: [DONE]\n\n", "event 2: not JSON: b'data: [DONE]'"),
        (b": ping\n\n" + stream(HI, END), "event 0: not one line of data"),
        (b"event: x\n" + stream(HI, END), "event 0: not one line of data"),
        (stream(event({"text": "Hi", "functionCall": {"name": "f"}}), END), "must be one thing"),
        (stream(event({"hologram": {}}), END), "must be one thing"),
        (stream(event({"functionCall": {"name": "f", "args": "{}"}}), END), "functionCall.args: expected an object"),
        (stream(event({"text": 5}), END), "text: expected str"),
        (stream(HI, event({"text": ""}, finish="stop")), "finishReason: expected STOP"),
        (stream({**HI, "modelVersion": "a"}, {**END, "modelVersion": "b"}), "modelVersion: changed from 'a' to 'b'"),
        (stream({**HI, "usageMetadata": {"promptTokenCount": "5"}}, END), "promptTokenCount: expected int"),
        (stream(HI, {"error": {"code": 500, "message": "x"}}), "error.status: missing"),
    ],
)
def test_each_mistake_of_a_stream_is_found(body: bytes, fault: str) -> None:
    assert fault in said(check_gemini_stream(body))


def test_a_stream_and_an_array_that_are_right_have_none() -> None:
    failed = {"error": {"code": 503, "message": "x", "status": "UNAVAILABLE"}}
    assert check_gemini_stream(stream(HI, END)) == []
    assert check_gemini_stream(stream(HI, failed) + orjson.dumps(failed) + b"\n\n") == []
    assert check_gemini_array(orjson.dumps([HI, END])) == []
    assert check_gemini_array(orjson.dumps([HI, failed])) == []
    assert "no finishReason" in said(check_gemini_array(orjson.dumps([HI])))
    assert "not JSON" in said(check_gemini_array(orjson.dumps([HI])[:-1]))


def test_whole_answers_errors_counts_and_models_are_judged() -> None:
    assert check_gemini(orjson.dumps(event({"text": "Hi"}, finish="STOP"))) == []
    assert "no finishReason" in said(check_gemini(orjson.dumps(HI)))
    assert check_gemini(orjson.dumps({"promptFeedback": {"blockReason": "SAFETY"}})) == []
    error = {"error": {"code": 404, "message": "x", "status": "NOT_FOUND"}}
    assert check_gemini_error(orjson.dumps(error), 404) == []
    assert "404 with status 400" in said(check_gemini_error(orjson.dumps(error), 400))
    error["error"]["status"] = "INTERNAL"
    assert "INTERNAL with code 404" in said(check_gemini_error(orjson.dumps(error), 404))
    assert "totalTokens: missing" in said(check_gemini_tokens(b"{}"))
    model = {"name": "m", "supportedGenerationMethods": []}
    assert "does not begin with models/" in said(check_gemini_models(orjson.dumps({"models": [model]})))
