"""Every recorded stream, as the gateway gives it, read by the accumulator of OpenAI's own client."""

from __future__ import annotations

from contextlib import suppress

import orjson
import pytest
from openai import ContentFilterFinishReasonError, LengthFinishReasonError
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tests.core.kit import chunks_in
from tests.recordings.recording import Recording
from tests.recordings.replay import Replay
from tests.recordings.test_recordings import ALL, ANSWERS, STREAMS, each

pytestmark = pytest.mark.skipif(not ALL, reason="no recordings")


CHATS = [one for one in ANSWERS if one.face == "chat"]


@each(CHATS)
@pytest.mark.parametrize("mode", ["usage", "whole"])
def test_every_word_is_one_that_openais_types_have(replay: Replay, recording: Recording, mode: str) -> None:
    """Their types list what an enum may be: finish reasons, roles, kinds of calls, service tiers."""
    outcome = replay.outcomes.get((recording.number, mode))
    if outcome is None or outcome.status != 200 or outcome.answer.error is not None:
        pytest.skip("not asked in this way, or an error")
    if outcome.body.startswith(b"{"):
        ChatCompletion.model_validate(orjson.loads(outcome.body))
        return
    for chunk in chunks_in(outcome.body):
        ChatCompletionChunk.model_validate(chunk)


@each([one for one in STREAMS if one.face == "chat"])
def test_the_official_accumulator_reads_the_stream(replay: Replay, recording: Recording) -> None:
    outcome = replay.outcomes[recording.number, "usage"]
    if outcome.status != 200 or outcome.answer.error is not None:
        pytest.skip("the recording is of an error")
    state: ChatCompletionStreamState[None] = ChatCompletionStreamState()
    for chunk in chunks_in(outcome.body):
        with suppress(LengthFinishReasonError, ContentFilterFinishReasonError):  # how it says these two ends
            state.handle_chunk(ChatCompletionChunk.construct(**chunk))
    answer = state.current_completion_snapshot
    assert {one.index: one.message.content or "" for one in answer.choices} == {
        index: one.text for index, one in outcome.answer.choices.items()
    }
