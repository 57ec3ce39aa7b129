"""One replay of all recordings, which the tests of this folder look at."""

from __future__ import annotations

import asyncio

import pytest

from tests.recordings.recording import recordings
from tests.recordings.replay import Replay


@pytest.fixture(scope="session")
def replay() -> Replay:
    replay = Replay(recordings())
    asyncio.run(replay.run())
    return replay
