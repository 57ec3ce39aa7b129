"""A process that answers questions in a thread, and says on stdout what was acknowledged: FOLDER [ROUNDS], else until killed."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from llmproxy.store import Entry, Store, messages, threads
from llmproxy.store.messages import Ask, Ended


def say(*words: str) -> None:
    sys.stdout.write(" ".join(words) + "\n")
    sys.stdout.flush()


async def answer(store: Store, thread_id: str, number: int) -> None:
    opened = Entry(time.time(), f"{store.process}-{number}", store.process)
    store.ledger.put(opened)
    what = Ask(opened.id, messages.new_id(), store.process, "m", f"question {number}", follows_head=False)
    asked = await store.write(messages.ask, "me", thread_id, what, time.time())
    say("asked", asked.answer_id)
    for size in (100, 2000, 9000):
        await store.write(messages.checkpoint, asked.answer_id, "x" * size, "")
        say("grown", asked.answer_id, str(size))
    await store.write(messages.end, asked.answer_id, Ended("complete", "x" * 10_000, {}), time.time())
    say("ended", asked.answer_id, "10000")


async def main(folder: Path, rounds: int) -> None:
    async with Store(folder) as store:
        made = await store.write(threads.create, "me", time.time(), title="T")
        await store.read(threads.listed, "me", 1, None)  # the reader's connection stands beside the writer's
        for number in range(rounds):
            await asyncio.gather(*(answer(store, made["id"], 3 * number + part) for part in range(3)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000))
