"""The server goes away and comes back: nothing hangs, nothing that was finished is lost, and nothing counts twice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from llmproxy.store import Entry, Store, StoreError, ledger, messages, replay, spend, threads
from llmproxy.store.ledger import AttemptRow
from llmproxy.store.messages import Ask, Ended
from llmproxy.store.spend import PotKey, Spent
from tests import postgres
from tests.cutting import Wire, wire
from tests.waiting import soon

KEY = PotKey("key:ann", "total", 0.0)
LIMIT = 1_000_000
engine = pytest.importorskip("llmproxy.store.postgres.engine")


@pytest.fixture
def cable(postgres_url: str) -> Iterator[Wire]:
    with wire(postgres_url) as made:
        yield made


@pytest.fixture
async def store(cable: Wire) -> AsyncIterator[Store]:
    async with Store(cable.url) as made:
        await made.write(threads.listed, "me", 1, None)
        yield made


@pytest.fixture
async def witness(postgres_url: str) -> AsyncIterator[Store]:
    """Another replica, which is never cut off."""
    async with Store(postgres_url) as made:
        await made.write(threads.listed, "me", 1, None)
        yield made


@asynccontextmanager
async def cut_off(cable: Wire) -> AsyncIterator[None]:
    cable.cut()
    try:
        yield
    finally:
        cable.mend()


async def failed(store: Store) -> None:
    with pytest.raises(StoreError) as error:
        await store.write(threads.create, "me", 1.0)
    assert (error.value.status, error.value.code) == (503, "storage_unavailable")


async def turn(store: Store) -> None:
    """What a replica does once a second."""
    await store.beat()
    await store.sweep()


async def back(store: Store) -> None:
    """Until it works again, which it finds out by itself."""

    async def look() -> bool:
        try:
            await turn(store)
        except StoreError:
            return False
        return not store.fault

    await soon(look)


async def row(store: Store, query: str, *values: Any) -> Any:
    return await store.write(lambda db: db.execute(query, values).fetchone())


def finished(store: Store, id: str, cost: int) -> None:
    entry = Entry(time.time(), id, store.process, "ann", state="completed", cost_e12=cost)
    store.ledger.put(entry, (), [Spent(KEY, store.process, cost)])


def attempt(opened: float, state: str, cost: int) -> AttemptRow:
    blank: dict[str, Any] = dict.fromkeys(AttemptRow._fields)
    told: dict[str, Any] = {
        "opened_at": opened,
        "id": "r1",
        "number": 0,
        "owner": "ann",
        "group": "",
        "provider": "p",
        "model": "m",
    }
    return AttemptRow(**{**blank, **told, "state": state, "sent": True, "usage_source": "none", "cost_e12": cost})


async def asked(store: Store) -> str:
    thread = await store.write(threads.create, "me", 1.0)
    what = Ask("request", messages.new_id(), store.process, "m", "Hi?")
    return (await store.write(messages.ask, "me", thread["id"], what, 1.0)).answer_id


async def test_what_is_asked_meanwhile_fails_and_afterwards_it_works_again(store: Store, cable: Wire) -> None:
    await store.read(threads.listed, "me", 1, None)
    async with cut_off(cable):
        await failed(store)
        assert store.fault
        with pytest.raises(StoreError):
            await store.read(threads.listed, "me", 1, None)
    assert await store.write(threads.create, "me", 1.0)
    assert (await store.read(threads.listed, "me", 1, None))["threads"]
    assert store.fault == ""


async def test_a_restart_that_nobody_noticed_fails_nothing(store: Store, cable: Wire) -> None:
    async with cut_off(cable):
        pass
    assert await store.write(threads.create, "me", 1.0)


async def test_a_server_that_stands_still_keeps_nobody_waiting(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_STATEMENT_SECONDS", 0.2)
    monkeypatch.setattr(engine, "_GRACE", 0.1)
    with wire(postgres_url) as cable:
        async with Store(cable.url + "?connect_timeout=2") as store:
            await store.write(threads.create, "me", 1.0)
            cable.clog()
            await failed(store)
            await failed(store)  # also where there is no connection any more
            cable.mend()
            await back(store)


async def test_no_message_says_where_the_database_is(store: Store, cable: Wire) -> None:
    async with cut_off(cable):
        with pytest.raises(StoreError) as error:
            await store.write(threads.create, "me", 1.0)
    assert "127.0.0.1" not in error.value.message
    assert error.value.detail


async def test_rows_of_the_ledger_are_written_when_it_is_back(store: Store, cable: Wire, witness: Store) -> None:
    await store.write(spend.buy, KEY, store.process, LIMIT, LIMIT)
    async with cut_off(cable):
        for number in range(50):
            finished(store, f"r{number}", 10)
            store.ledger.flush()
        await failed(store)
        assert store.unwritten == 50
    await back(store)
    assert (await row(store, "SELECT count(*), sum(cost_e12) FROM ledger"))[:2] == (50, 500)
    assert (await witness.read(spend.spent, [KEY]))[KEY] == (500, LIMIT - 500)
    assert store.unwritten == 0


async def test_what_was_written_and_not_acknowledged_counts_once(store: Store, cable: Wire, witness: Store) -> None:
    await store.write(spend.buy, KEY, store.process, LIMIT, LIMIT)
    cable.cut_after(b"COMMIT")
    finished(store, "r1", 10)
    store.ledger.flush()
    await failed(store)

    async def done() -> bool:
        return (await witness.read(spend.spent, [KEY]))[KEY] == (10, LIMIT - 10)

    assert await soon(done)  # by the server, although nobody heard of it
    cable.mend()
    await back(store)
    assert len(store.ledger) == 0
    assert (await witness.read(spend.spent, [KEY]))[KEY] == (10, LIMIT - 10)


async def test_a_finished_answer_is_written_when_it_is_back(store: Store, cable: Wire) -> None:
    answer = await asked(store)
    async with cut_off(cable):
        with pytest.raises(StoreError):
            await store.write_surely("me", 100, replay.end, answer, Ended("complete", "Hello", {}), (), 1000, 2.0)
        assert store.unwritten == 1
    await back(store)
    assert tuple(await row(store, "SELECT state, text FROM messages WHERE id = ?", answer)) == ("complete", "Hello")
    assert store.unwritten == 0


async def test_what_the_database_refuses_for_its_own_sake_is_given_up(store: Store) -> None:
    def wrong(db: Any) -> None:
        db.execute("SELECT * FROM a_table_that_is_gone")

    with pytest.raises(StoreError):
        await store.write_surely("me", 1, wrong)

    async def given_up() -> bool:
        await back(store)
        return (store.unwritten, store.backlog.dropped) == (0, 1)

    await soon(given_up)


async def test_a_replica_that_waits_for_a_lock_shows_life(store: Store, witness: Store, postgres_url: str) -> None:
    """As in a write to the ledger, which holds a lock on the process's own row meanwhile."""
    await store.beat()
    await store.write(spend.buy, KEY, store.process, LIMIT, LIMIT)
    with postgres.connected(postgres_url) as other:
        other.execute("SELECT * FROM spend FOR UPDATE")
        finished(store, "r1", 10)
        store.ledger.flush()
        await soon(lambda: postgres.waits(postgres_url))
        assert await store.beat()
        assert (await witness.read(spend.spent, [KEY]))[KEY] == (0, LIMIT)  # it still waits
        other.rollback()
    assert (await row(store, "SELECT cost_e12 FROM ledger"))[0] == 10


async def test_a_heartbeat_that_is_just_being_written_counts(store: Store, witness: Store, postgres_url: str) -> None:
    await store.write(spend.buy, KEY, store.process, LIMIT, LIMIT)
    expire = "UPDATE replicas SET expires_at = clock_timestamp() WHERE process = %s"
    beat = "UPDATE replicas SET expires_at = clock_timestamp() + interval '1 minute' WHERE process = %s"
    with postgres.connected(postgres_url) as other:
        other.execute(expire, (store.process,))
        other.commit()
        other.execute(beat, (store.process,))
        sweeping = asyncio.ensure_future(witness.sweep())
        await soon(lambda: postgres.waits(postgres_url))
        other.commit()
        await sweeping
    assert (await witness.read(spend.spent, [KEY]))[KEY] == (0, LIMIT)
    assert await store.beat()


class TestAway:
    """A replica that was silent for longer than it counts as alive."""

    @pytest.fixture(autouse=True)
    def short(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(engine.Postgres, "alive_seconds", 2.0)

    async def gone(self, store: Store, witness: Store) -> None:
        """Until others have buried it."""

        async def look() -> bool:
            await turn(witness)
            found = await witness.write(
                lambda db: db.execute("SELECT 1 FROM replicas WHERE process = ?", (store.process,)).fetchone()
            )
            return found is None

        await soon(look)

    async def test_its_requests_and_answers_are_lost_and_its_leases_return(
        self, store: Store, cable: Wire, witness: Store
    ) -> None:
        await turn(store)
        answer = await asked(store)
        await store.write(spend.buy, KEY, store.process, 1000, LIMIT)
        store.ledger.put(Entry(time.time(), "r1", store.process, "ann"))
        store.ledger.flush()
        await turn(store)
        async with cut_off(cable):
            await self.gone(store, witness)
            assert store.lives_until < time.monotonic()  # it knew before the others did
        assert (await row(witness, "SELECT state FROM messages WHERE id = ?", answer))[0] == "lost"
        assert (await row(witness, "SELECT state FROM ledger"))[0] == "lost"
        assert (await witness.read(spend.spent, [KEY]))[KEY] == (0, 0)

    async def test_it_begins_anew_and_what_it_spent_before_counts_without_its_lease(
        self, store: Store, cable: Wire, witness: Store
    ) -> None:
        before = store.process
        await store.write(spend.buy, KEY, before, LIMIT, LIMIT)
        async with cut_off(cable):
            await self.gone(store, witness)
            finished(store, "r1", 700)
            store.ledger.flush()
            taken = (await witness.write(spend.buy, KEY, witness.process, LIMIT, LIMIT)).granted
            assert taken == LIMIT
        await soon(lambda: _reborn(store, before))
        with pytest.raises(StoreError, match="away from the database"):
            await store.write(spend.buy, KEY, before, 1, 2 * LIMIT)
        assert tuple(await row(store, "SELECT state, cost_e12 FROM ledger")) == ("completed", 700)
        assert (await witness.read(spend.spent, [KEY]))[KEY][0] == 700  # beside what others have leased again

    async def test_what_counted_when_it_was_taken_for_dead_does_not_count_again(
        self, store: Store, cable: Wire, witness: Store
    ) -> None:
        before, opened = store.process, time.time()
        await store.write(spend.buy, KEY, before, 1000, LIMIT)
        open_attempt = attempt(opened, "open", 300)
        store.ledger.put(Entry(opened, "r1", before, "ann"), (open_attempt,))
        store.ledger.flush()
        await turn(store)
        async with cut_off(cable):
            await self.gone(store, witness)
            assert (await witness.read(spend.spent, [KEY]))[KEY] == (300, 0)
            entry = Entry(opened, "r1", before, "ann", state="completed", cost_e12=450)
            store.ledger.put(entry, (attempt(opened, "answered", 450),), [Spent(KEY, before, 450)])
            store.ledger.flush()
        await soon(lambda: _reborn(store, before))
        assert (await witness.read(spend.spent, [KEY]))[KEY] == (450, 0)

    async def test_what_it_left_open_counts_though_it_was_written_after_its_lease_had_ended(
        self, store: Store, cable: Wire, witness: Store
    ) -> None:
        """As the rows of requests that a replica began while it was cut off, and ended for nothing later."""
        before, opened = store.process, time.time()
        await store.write(spend.buy, KEY, before, 1000, LIMIT)
        async with cut_off(cable):
            await self.gone(store, witness)
            assert (await witness.read(spend.spent, [KEY]))[KEY] == (0, 0)
        await witness.write(ledger.write, [(Entry(opened, "r1", before, "ann"), (attempt(opened, "open", 300),), ())])
        await turn(witness)
        assert tuple(await row(witness, "SELECT state FROM ledger")) == ("lost",)
        assert (await witness.read(spend.spent, [KEY]))[KEY][0] == 300
        final = (Entry(opened, "r1", before, "ann", state="failed"), (attempt(opened, "failed", 0),))
        await witness.write(
            ledger.write, [(*final, [Spent(KEY, before, 0), Spent(KEY, "later", 0)])]
        )  # of two attempts
        assert (await witness.read(spend.spent, [KEY]))[KEY][0] == 0

    async def test_its_answer_is_kept_though_others_took_it_for_lost(
        self, store: Store, cable: Wire, witness: Store
    ) -> None:
        answer = await asked(store)
        before = store.process
        async with cut_off(cable):
            await self.gone(store, witness)
            with pytest.raises(StoreError):
                await store.write_surely("me", 1, replay.end, answer, Ended("complete", "Here", {}), (), 9, 2.0)
        await soon(lambda: _reborn(store, before))
        assert tuple(await row(store, "SELECT state, text FROM messages WHERE id = ?", answer)) == ("complete", "Here")

    async def test_one_that_only_reconnects_does_not_rise_from_the_dead(
        self, store: Store, cable: Wire, witness: Store
    ) -> None:
        before = store.process
        async with cut_off(cable):
            await self.gone(store, witness)
        await store.write(threads.create, "me", 1.0)
        assert await row(witness, "SELECT count(*) FROM replicas WHERE process = ?", before) == (0,)


async def _reborn(store: Store, before: str) -> bool:
    try:
        await turn(store)
    except StoreError:
        return False
    return store.process != before
