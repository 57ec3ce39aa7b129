"""The command line: which commands there are, what they take, and how a failure ends the process."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from llmproxy import __version__
from llmproxy.config import ConfigError

if TYPE_CHECKING:
    _Commands = argparse._SubParsersAction[argparse.ArgumentParser]

WRONG_CONFIG = 2  # the exit code of a configuration that cannot be used; argparse's for a wrong command line, too
INTERRUPTED = 130
_FIRST = """\
llmproxy: one light process that makes every model look like OpenAI.

  llmproxy serve     run the gateway, with the keys that the environment has
  llmproxy init      write a first llmproxy.toml
  llmproxy check     whether the configuration holds
  llmproxy doctor    what is wrong on this machine, and how to fix it
  llmproxy chat      talk to a model through the running gateway

Without any key there is a demo: `llmproxy serve`, then http://127.0.0.1:8811.
All commands: llmproxy --help. One, with an example: llmproxy serve --help."""


def main(argv: Sequence[str] | None = None) -> int:
    given = _parser().parse_args(argv)
    if given.command is None:
        print(_FIRST)
        return 0
    # Each command is imported only when it is asked for: `serve` must not pay for what `chat` needs.
    command = importlib.import_module(f"llmproxy.commands.{given.command}")
    try:
        return int(command.main(given))
    except ConfigError as error:
        print(f"llmproxy: {error}", file=sys.stderr)
        return WRONG_CONFIG
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has had enough (`| head`)
        sys.stderr.close()
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="llmproxy", description="One light process that makes every model look like OpenAI."
    )
    parser.add_argument("--version", action="version", version=f"llmproxy {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    _init(_command(commands, "init", "write a first llmproxy.toml", "llmproxy init"))
    _serve(_command(commands, "serve", "run the gateway", "llmproxy serve --port 9000"))
    _chat(
        _command(
            commands,
            "chat",
            "talk to a model through the running gateway",
            'llmproxy chat openai/gpt-4o-mini --once "Why is the sky blue?"',
        )
    )
    _models(
        _command(
            commands,
            "models",
            "list what the running gateway offers",
            "llmproxy models --base-url http://127.0.0.1:9000",
        )
    )
    _check(_command(commands, "check", "validate the configuration", "llmproxy check --config llmproxy.toml --call"))
    _doctor(_command(commands, "doctor", "say what is wrong on this machine, and how to fix it", "llmproxy doctor"))
    _backup(
        _command(commands, "backup", "copy the database while the gateway may be running", "llmproxy backup copy.db")
    )
    _prices(_command(commands, "prices", "show what models cost", "llmproxy prices gpt-4o"))
    _keys(
        _command(
            commands,
            "keys",
            "make, show and revoke clients' keys",
            "llmproxy keys create alice --rpm 60 --budget 20/month",
        )
    )
    _run(
        _command(
            commands,
            "run",
            "run a command with a gateway, a key and a budget of its own",
            "llmproxy run --budget 2 -- python agent.py",
        )
    )
    _usage(
        _command(
            commands, "usage", "show what was used and what it cost", "llmproxy usage --by model --since 2026-01-01"
        )
    )
    _conformance(
        _command(
            commands,
            "conformance",
            "test whether a URL behaves like OpenAI's API",
            "llmproxy conformance http://127.0.0.1:8811",
        )
    )
    return parser


def _command(commands: _Commands, name: str, help: str, example: str) -> argparse.ArgumentParser:
    return commands.add_parser(name, help=help, epilog=f"example: {example}")


def _init(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "file", nargs="?", type=Path, default=Path("llmproxy.toml"), metavar="FILE", help="a new file (./llmproxy.toml)"
    )


def _serve(command: argparse.ArgumentParser) -> None:
    command.add_argument("--host", help="address to listen on (127.0.0.1)")
    command.add_argument("--port", type=_port, help="port to listen on (8811); 0 takes a free one")
    command.add_argument("--workers", type=_count, help="processes that share the port (1)")
    _config(command)


def _chat(command: argparse.ArgumentParser) -> None:
    command.add_argument("model", nargs="?", default="", help="an alias, a model, or provider/model")
    command.add_argument("--system", default="", metavar="TEXT", help="what the model is told beforehand")
    command.add_argument("--once", metavar="QUESTION", help="ask this, print the answer, and end")
    _address(command)


def _models(command: argparse.ArgumentParser) -> None:
    _address(command)


def _check(command: argparse.ArgumentParser) -> None:
    command.add_argument("--call", action="store_true", help="ask every provider for a first word, and show a table")
    _config(command)


def _doctor(command: argparse.ArgumentParser) -> None:
    _config(command)


def _backup(command: argparse.ArgumentParser) -> None:
    command.add_argument("file", type=Path, metavar="FILE", help="the copy; it must not exist yet")
    _config(command)


def _prices(command: argparse.ArgumentParser) -> None:
    command.add_argument("model", nargs="?", default="", help="a part of the model's name")
    _config(command)


def _keys(command: argparse.ArgumentParser) -> None:
    command.add_argument("action", choices=("create", "list", "show", "set", "rotate", "revoke"))
    command.add_argument("name", nargs="?", default="", metavar="NAME")
    command.add_argument("--models", metavar="GLOB,...", help="patterns of what it may ask for")
    command.add_argument("--rpm", metavar="N", help="requests a minute; none takes it away")
    command.add_argument("--tpm", metavar="N", help="tokens a minute")
    command.add_argument("--max-parallel", metavar="N", help="requests at once")
    command.add_argument("--budget", metavar="DOLLARS/WINDOW", help="as 20/month or 2/day,50/total")
    command.add_argument("--group", metavar="NAME", help="of the config, whose limits hold too")
    command.add_argument("--expires", metavar="END", help="as 30d or 2026-12-31")
    command.add_argument(
        "--admin", action=argparse.BooleanOptionalAction, default=None, help="may see and stop everything"
    )
    command.add_argument(
        "--overlap", default="1d", metavar="SPAN", help="how long the older secret of a rotated key counts"
    )
    command.add_argument("--json", action="store_true")
    _config(command)


def _run(command: argparse.ArgumentParser) -> None:
    command.add_argument("--budget", metavar="DOLLARS", help="what it may spend, as 2 or 2/day")
    command.add_argument("--models", metavar="GLOB,...", help="patterns of what it may ask for")
    command.add_argument("--max-requests", type=_count, metavar="N", help="how often it may ask")
    _config(command)
    command.add_argument("argv", nargs=argparse.REMAINDER, metavar="-- CMD ...", help="the command")


def _usage(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "action", nargs="?", choices=("show", "reconcile"), default="show", help="show, or compare with a bill"
    )
    command.add_argument("file", nargs="?", type=Path, metavar="FILE", help="the provider's export, for reconcile")
    command.add_argument("--by", choices=("key", "group", "model", "provider", "day"), default="key")
    command.add_argument(
        "--since", type=_time, default=0.0, metavar="DATE", help="from this day on, as 2026-01-31 (UTC)"
    )
    command.add_argument("--until", type=_time, default=float("inf"), metavar="DATE", help="until before this day")
    form = command.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true")
    form.add_argument("--csv", action="store_true")
    _config(command)


def _conformance(command: argparse.ArgumentParser) -> None:
    command.add_argument("url", metavar="URL", help="of the gateway, as http://127.0.0.1:8811")
    command.add_argument("options", nargs=argparse.REMAINDER, help="see python -m llmproxy.testing.conformance --help")


def _config(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--config", type=Path, metavar="FILE", help="a configuration file (./llmproxy.toml if there is one)"
    )


def _address(command: argparse.ArgumentParser) -> None:
    command.add_argument("--base-url", metavar="URL", help="of the gateway (http://127.0.0.1:8811/v1)")


def _port(text: str) -> int:
    if text.isdecimal() and int(text) <= 65535:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a port from 0 to 65535")


def _count(text: str) -> int:
    if text.isdecimal() and int(text) >= 1:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1")


def _time(text: str) -> float:
    """A date or a time, in UTC unless it says otherwise, as Unix seconds."""
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date or a time, as 2026-01-31") from None
    return (given if given.tzinfo is not None else given.replace(tzinfo=UTC)).timestamp()
