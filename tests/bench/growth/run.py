"""All curves, at sizes that take about five minutes, or at full size."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests import postgres

from .. import machine
from ..results import commit
from ..targets import CACHE, ROOT
from . import curves, names, stores
from .curves import Curve

_WITHOUT = "No PostgreSQL: LLMPROXY_TEST_POSTGRES names none, and none answers."


async def measure(*, full: bool, only: list[str]) -> None:
    """Prints each curve when it is there; keeps all of them, and writes the plots of a full run."""
    done: list[Curve] = []
    with tempfile.TemporaryDirectory(prefix="llmproxy-growth-") as folder, ExitStack() as stack:
        url = _postgres(stack)
        async for curve in _all(Path(folder), url, full, only):
            print(f"\n{curves.table(curve)}", flush=True)
            done.append(curve)
    about = {
        **machine.describe(),
        "commit": commit(),
        "when": time.strftime("%Y-%m-%d %H:%M"),
        "load": os.getloadavg()[0],
    }
    CACHE.mkdir(parents=True, exist_ok=True)
    path = CACHE / f"growth-{time.strftime('%Y%m%d-%H%M%S')}.json"
    path.write_text(json.dumps({"about": about, "curves": [one.as_dict() for one in done]}, indent=1))
    print(f"kept in {path.relative_to(ROOT)}", file=sys.stderr)
    if full:
        for one in curves.write(done, ROOT / "docs" / "images"):
            print(one.relative_to(ROOT), file=sys.stderr)


async def _all(folder: Path, url: str | None, full: bool, only: list[str]) -> AsyncIterator[Curve]:
    places = stores.Places(folder / "store", url)

    def sizes(*usual: int) -> list[int]:
        """A full run goes on to ten times the largest."""
        return [*usual, *([10 * usual[-1]] if full else [])]

    made: dict[str, Callable[[], Awaitable[Curve]]] = {
        "models": lambda: names.lists([50, 500, 5_000]),
        "keys": lambda: names.keys([1, 100, 10_000], folder),
        "figures": lambda: stores.figures(places, sizes(10_000, 100_000)),
        "search": lambda: stores.search(places, sizes(1_000, 10_000)),
        "deleting": lambda: stores.deleting(places, sizes(1_000, 10_000)),
        "first-write": lambda: stores.first_write(places, sizes(50, 500)),
        "pages": lambda: stores.pages(places, [100, 1_000, 10_000]),
    }
    if not only or "routing" in only:
        yield names.routing([50, 500, 5_000])
    for name, curve in made.items():
        if not only or name in only:
            yield await curve()


def _postgres(stack: ExitStack) -> str | None:
    try:
        server = stack.enter_context(postgres.server())
        return stack.enter_context(postgres.database(server))
    except pytest.skip.Exception:
        print(_WITHOUT, file=sys.stderr)
        return None
