"""A request's record is what the ledger keeps of it."""

from __future__ import annotations

from llmproxy.core.record import RequestRecord
from llmproxy.store.ledger import Entry


def test_the_columns_of_the_ledger_are_the_members_of_the_record_and_the_process() -> None:
    columns = [name for name in Entry._fields if name != "process"]
    assert list(RequestRecord._fields[: len(columns)]) == columns
