"""Responses on disk: another process finds them, within bytes and time, and for their owner alone."""

from __future__ import annotations

import stat
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from llmproxy.core.errors import StoreError
from llmproxy.dialects.responses.state import Kept
from llmproxy.store.responses import FILE, ResponseFile

MANY, HOUR = 10**9, 3600.0


def kept(
    id: str = "resp_1", owner: str = "me", said: bytes = b"", parts: tuple[bytes, ...] = (b'["a"]', b"[]")
) -> Kept:
    return Kept(id, owner, b'{"output":[{"id":"msg_%b"}],"said":"%b"}' % (id.encode(), said), parts, "up", "req")


@pytest.fixture(autouse=True)
def files() -> Iterator[None]:
    """Closes those of the test."""
    made: list[ResponseFile] = []
    init = ResponseFile.__init__

    def noted(self: ResponseFile, *given: Any) -> None:
        init(self, *given)
        made.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ResponseFile, "__init__", noted)
        yield
    for one in made:
        one.close()


def test_another_process_finds_it_whole(tmp_path: Path) -> None:
    ResponseFile(tmp_path, MANY, HOUR).put(kept(), time.time())
    found = ResponseFile(tmp_path, MANY, HOUR).get("me", "resp_1")
    assert found is not None
    assert (found.response, found.parts, found.answered_by, found.request_id) == (
        kept().response, kept().parts, "up", "req",
    )  # fmt: skip
    by_item = ResponseFile(tmp_path, MANY, HOUR).of_item("me", "msg_resp_1")
    assert by_item is not None
    assert by_item.id == "resp_1"


def test_it_is_its_owners_alone(tmp_path: Path) -> None:
    file = ResponseFile(tmp_path, MANY, HOUR)
    file.put(kept(), time.time())
    assert file.get("you", "resp_1") is None
    assert file.of_item("you", "msg_resp_1") is None
    file.delete("you", "resp_1")
    assert file.get("me", "resp_1") is not None
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


def test_the_oldest_go_first(tmp_path: Path) -> None:
    file = ResponseFile(tmp_path, 500, HOUR)
    for number in range(5):
        file.put(kept(f"resp_{number}", said=b"x" * 150), time.time() + number / 1000)
    assert [file.get("me", f"resp_{number}") is not None for number in range(5)] == [False, False, False, True, True]
    assert file.of_item("me", "msg_resp_0") is None


def test_what_is_too_old_is_gone(tmp_path: Path) -> None:
    file = ResponseFile(tmp_path, MANY, HOUR)
    file.put(kept(), time.time() - HOUR - 1)
    assert file.get("me", "resp_1") is None


def test_what_was_said_last_stands_whatever_thread_came_last(tmp_path: Path) -> None:
    file, now = ResponseFile(tmp_path, MANY, HOUR), time.time()
    file.put(kept(said=b"completed"), now)
    file.put(kept(said=b"queued"), now - 1)
    found = file.get("me", "resp_1")
    assert found is not None
    assert found.value["said"] == "completed"


def test_threads_do_not_hinder_each_other(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda at: ResponseFile(tmp_path, MANY, HOUR).put(kept(f"r{at}"), time.time()), range(40)))
    file = ResponseFile(tmp_path, MANY, HOUR)
    assert all(file.get("me", f"r{at}") is not None for at in range(40))


def test_what_is_no_database_is_an_error_that_says_so(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"no database" * 1000)
    with pytest.raises(StoreError):
        ResponseFile(tmp_path, MANY, HOUR).get("me", "resp_1")
