"""Makes docs/cli.md from the parsers of the commands. `make docs` runs it; a test compares the page with it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from llmproxy.cli import parser
from llmproxy.testing.conformance.command import options

FILE = Path(__file__).parents[1] / "docs" / "cli.md"
_HEAD = """# Command line

This page lists every command and its options. It is made by `make docs` from the code; do not edit it.

Exit codes: 0 success; 1 failure; 2 wrong configuration or command line; 130 after Ctrl-C. `llmproxy run` returns the exit code of
its command. Environment variables are in [configuration.md](configuration.md#the-gateways-own-variables).
"""


def page() -> str:
    root = parser()
    commands = next(one for one in root._actions if isinstance(one, argparse._SubParsersAction))
    helps = {one.dest: one.help or "" for one in commands._choices_actions}
    parsers = {**commands.choices, "conformance": options()}
    return "\n".join([_HEAD, *(line for name, one in parsers.items() for line in _section(name, helps[name], one))])


def _section(name: str, help: str, command: argparse.ArgumentParser) -> Iterator[str]:
    yield f"## llmproxy {name}\n"
    yield f"{help[:1].upper()}{help[1:]}.\n"
    actions = [one for one in command._actions if not isinstance(one, argparse._HelpAction)]
    if actions:
        yield "| argument | meaning |"
        yield "|---|---|"
        yield from (f"| {_name(one)} | {_cell(one.help or '')} |" for one in actions)
        yield ""
    if command.epilog and command.epilog.startswith("example: "):
        yield f"Example: `{command.epilog.removeprefix('example: ')}`\n"


def _name(action: argparse.Action) -> str:
    value = action.metavar or ("|".join(map(str, action.choices)) if action.choices else action.dest.upper())
    if not action.option_strings:
        return f"`{_cell(str(value))}`"
    flag = action.option_strings[0] if action.nargs == 0 else f"{action.option_strings[0]} {value}"
    return f"`{_cell(flag)}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    FILE.write_text(page(), encoding="utf-8")
