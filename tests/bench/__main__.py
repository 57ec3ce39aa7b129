"""python -m tests.bench run | peers | compare | report | table | plot | growth"""

from __future__ import annotations

import argparse
import asyncio
import gc
import signal
import sys
import time
from pathlib import Path

from . import compare, machine, peers, plot, report, table
from .loop import run as run_loop
from .results import Results, commit, kept, load
from .running import mock
from .scenarios import SCENARIOS, Bench
from .targets import ROOT, TARGETS, Target, chosen


def main() -> None:
    arguments = _arguments()
    arguments.command(arguments)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description="Gateways side by side, in front of one mock."
    )
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run", help="measure, print the tables, keep the numbers")
    run.add_argument("scenarios", nargs="*", metavar="S1..S10,T", help="only these; all by default")
    run.add_argument("--targets", default="", help=f"comma-separated, of: {', '.join(TARGETS)}")
    run.add_argument("--peers", action="store_true", help="also the peers that are installed")
    run.add_argument("--quick", action="store_true", help="a third of the time, one repetition")
    run.set_defaults(command=_run)
    install = commands.add_parser("peers", help="install the peers, each in an environment of its own")
    install.add_argument("names", nargs="*")
    install.set_defaults(command=lambda given: peers.install(given.names))
    compared = commands.add_parser("compare", help="two runs by their ratios; the last two by default")
    compared.add_argument("files", nargs="*", type=Path)
    compared.set_defaults(command=_compare)
    for name, command in (("report", _report), ("table", _table), ("plot", _plot)):
        of_file = commands.add_parser(name, help=f"the {name} of a run that was kept; the last by default")
        of_file.add_argument("file", nargs="?", type=Path)
        of_file.set_defaults(command=command)
    growing = commands.add_parser("growth", help="what large databases and configurations cost, at several sizes")
    growing.add_argument("curves", nargs="*", help="only these; all by default")
    growing.add_argument("--full", action="store_true", help="up to a million requests and 5 GB, and the plots of docs")
    growing.set_defaults(command=_growth)
    return parser.parse_args()


def _run(given: argparse.Namespace) -> None:
    targets = chosen([name.strip() for name in given.targets.split(",") if name.strip()], given.peers)
    about = {**machine.describe(), "commit": commit(), "when": time.strftime("%Y-%m-%d %H:%M")}
    results = Results(about)
    try:
        run_loop(_measure(given.scenarios or list(SCENARIOS), targets, results, given.quick))
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit("interrupted")
    path = results.keep()
    print(report.markdown(results))
    print(f"kept in {path.relative_to(ROOT)}", file=sys.stderr)


async def _measure(names: list[str], targets: list[Target], results: Results, quick: bool) -> None:
    _end_with_sigterm()
    gc.freeze()
    gc.disable()  # our own pauses would count as the gateways' latency
    async with mock() as port:
        bench = Bench(targets, port, results, quick)
        for name in names:
            await SCENARIOS[name](bench)
            gc.collect()
            await asyncio.sleep(0.1)


def _end_with_sigterm() -> None:
    """Lets SIGTERM end the run as Ctrl-C does, and with it all that was started."""
    # Not by an exception from a signal handler: it can be raised in a protocol's callback, where the loop swallows it.
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


def _growth(given: argparse.Namespace) -> None:
    from .growth.run import measure

    run_loop(measure(full=given.full, only=given.curves))


def _compare(given: argparse.Namespace) -> None:
    files = given.files or kept()[-2:]
    if len(files) != 2:
        sys.exit("two runs are needed")
    print("\n".join(compare.changes(load(files[0]), load(files[1]))))


def _report(given: argparse.Namespace) -> None:
    print(report.markdown(load(given.file or kept()[-1])))


def _table(given: argparse.Namespace) -> None:
    print("\n".join(table.table(load(given.file or kept()[-1]))))


def _plot(given: argparse.Namespace) -> None:
    for path in plot.write(load(given.file or kept()[-1]), ROOT / "docs" / "images"):
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
