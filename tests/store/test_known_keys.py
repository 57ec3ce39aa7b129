"""What a look at the keys gives while others change them: a change that it did not see is seen by the next look."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import closing
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from llmproxy.accounts.keys import Keyring, Learned, created
from llmproxy.server import account_watch
from llmproxy.server.context import ACCOUNTS, REGISTRY
from llmproxy.store import Store, accounts
from llmproxy.store.accounts import Account, Known
from llmproxy.store.engine import engine_of

NOW = 1_800_000_000.0


def key(name: str) -> Account:
    return created({"name": name}, NOW, (), ())[0]


class Between:
    """A connection beside which something happens right after each of its questions."""

    def __init__(self, db: Any, happens: Callable[[], None]) -> None:
        self._db, self._happens = db, happens

    def execute(self, *asked: Any) -> list[Any] | Any:
        found = self._db.execute(*asked).fetchall()
        self._happens()
        return Rows(found)


class Rows(list[Any]):
    def fetchone(self) -> Any:
        return self[0]


async def test_a_key_made_during_a_look_is_seen_by_it_or_by_the_next(where: Path | str) -> None:
    """A look outside of a transaction, as at the start of a worker: every question sees what is there at its time."""
    async with Store(where) as writing:
        await writing.write(accounts.create, key("first"))
        loop, names = asyncio.get_running_loop(), (f"made-{number}" for number in count())

        async def another() -> None:
            await writing.write(accounts.create, key(next(names)))

        def look() -> Known:
            db = engine_of(where).look()
            assert db is not None
            with closing(db):
                beside: Any = Between(db, lambda: asyncio.run_coroutine_threadsafe(another(), loop).result(20))
                return accounts.known(beside)

        known = await asyncio.to_thread(look)
        changes = known.number  # each of them has made a key
        assert changes <= len(known.accounts)


async def test_a_slow_look_does_not_undo_what_a_later_one_has_learned() -> None:
    ring = Keyring(known=Known(1, (key("ann"),)))
    app: Any = {ACCOUNTS: SimpleNamespace(keys=ring), REGISTRY: []}
    slow = Known(2, (key("ann"),))
    ring.learn(Learned(Known(3, (key("ann")._replace(revoked_at=NOW),))))
    await account_watch.learn(app, slow, before=1)
    assert ring.known.number == 3
    assert not ring.counts("ann", NOW)


async def test_a_database_that_was_replaced_by_an_older_one_counts() -> None:
    ring = Keyring(known=Known(7, (key("ann"),)))
    app: Any = {ACCOUNTS: SimpleNamespace(keys=ring), REGISTRY: []}
    await account_watch.learn(app, Known(2, (key("bob"),)), before=7)
    assert ring.named("bob") is not None
