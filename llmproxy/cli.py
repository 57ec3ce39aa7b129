"""Command line: the commands, their arguments, and exit codes."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from llmproxy import __version__
from llmproxy.config import ConfigError

WRONG_CONFIG = 2  # the exit code of a configuration that cannot be used; argparse's for a wrong command line, too
INTERRUPTED = 130
_ABOUT = "A light LLM gateway: the APIs of OpenAI, Anthropic and Gemini in front of every model provider."
_EXIT_CODES = "Exit codes: 0 success, 1 failure, 2 wrong configuration or command line, 130 Ctrl-C."
_FIRST = """\
llmproxy: a light LLM gateway.

  llmproxy serve     run the gateway with the API keys in the environment
  llmproxy init      write a commented llmproxy.toml
  llmproxy check     validate the configuration
  llmproxy doctor    find problems on this machine, and how to fix them
  llmproxy chat      chat with a model through the running gateway

Without any key there is a demo: `llmproxy serve`, then http://127.0.0.1:8811.
All commands: llmproxy --help. One, with an example: llmproxy serve --help."""


def main(argv: Sequence[str] | None = None) -> int:
    given = _given(list(sys.argv[1:] if argv is None else argv))
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


def _given(words: list[str]) -> argparse.Namespace:
    """The command and its arguments. Those of `conformance` are the test kit's, its --help too."""
    if words[:1] == ["conformance"]:
        return argparse.Namespace(command="conformance", argv=words[1:])
    return parser().parse_args(words)


def parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(prog="llmproxy", description=_ABOUT, epilog=_EXIT_CODES)
    root.add_argument("--version", action="version", version=f"llmproxy {__version__}")
    commands = root.add_subparsers(dest="command", metavar="COMMAND")
    for name, help, example, arguments in _COMMANDS:
        arguments(commands.add_parser(name, help=help, epilog=f"example: llmproxy {name} {example}".rstrip()))
    return root


def _init(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "file",
        nargs="?",
        type=Path,
        default=Path("llmproxy.toml"),
        metavar="FILE",
        help="the file to write; it must not exist (default: ./llmproxy.toml)",
    )


def _serve(command: argparse.ArgumentParser) -> None:
    command.add_argument("--host", help="address to listen on (default: 127.0.0.1)")
    command.add_argument("--port", type=_port, help="port to listen on (default: 8811); 0 takes a free one")
    command.add_argument("--workers", type=_count, help="processes that share the port (default: 1)")
    _config(command)


def _chat(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "model",
        nargs="?",
        default="",
        help="an alias, a model, or provider/model (default: the gateway's default_model, else its first model)",
    )
    command.add_argument("--system", default="", metavar="TEXT", help="system prompt")
    command.add_argument("--once", metavar="QUESTION", help="ask one question, print the answer, and exit")
    _address(command)


def _models(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="print the list as JSON")
    _address(command)


def _trace(command: argparse.ArgumentParser) -> None:
    command.add_argument("id", metavar="ID", help="ID of the request (response header X-Request-ID)")
    command.add_argument("--json", action="store_true", help="print the record as JSON")
    _address(command)


def _check(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--call", action="store_true", help="send a test request to every provider, and show the results"
    )
    _config(command)


def _doctor(command: argparse.ArgumentParser) -> None:
    _config(command)


def _backup(command: argparse.ArgumentParser) -> None:
    command.add_argument("file", type=Path, metavar="FILE", help="file to write; it must not exist")
    _config(command)


def _migrate(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--from",
        dest="source",
        required=True,
        metavar="URL",
        help="database to copy, such as sqlite:///var/lib/llmproxy",
    )
    command.add_argument(
        "--to",
        dest="target",
        required=True,
        metavar="URL",
        help="empty database, such as postgresql://user@host/llmproxy",
    )


def _prices(command: argparse.ArgumentParser) -> None:
    command.add_argument("model", nargs="?", default="", help="part of the model's name (default: all models)")
    _config(command)


def _keys(command: argparse.ArgumentParser) -> None:
    command.add_argument("action", choices=("create", "list", "show", "set", "rotate", "revoke"))
    command.add_argument("name", nargs="?", default="", metavar="NAME", help="name of the key")
    command.add_argument("--models", metavar="GLOB,...", help="patterns of the models that it may use")
    _limits(command)
    command.add_argument("--group", metavar="NAME", help="group whose limits apply too; `none` removes it")
    command.add_argument("--expires", metavar="END", help="when the key expires, such as 30d or 2026-12-31")
    command.add_argument(
        "--admin",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="may see and stop everybody's requests, and manage keys",
    )
    command.add_argument(
        "--overlap", default="1d", metavar="SPAN", help="how long the old secret stays valid after rotate (default: 1d)"
    )
    command.add_argument("--json", action="store_true", help="print JSON")
    _config(command)


def _groups(command: argparse.ArgumentParser) -> None:
    command.add_argument("action", choices=("create", "list", "show", "set", "delete"))
    command.add_argument("name", nargs="?", default="", metavar="NAME", help="name of the group")
    _limits(command)
    command.add_argument("--json", action="store_true", help="print JSON")
    _config(command)


def _limits(command: argparse.ArgumentParser) -> None:
    command.add_argument("--rpm", metavar="N", help="requests per minute; `none` removes the limit")
    command.add_argument("--tpm", metavar="N", help="tokens per minute; `none` removes the limit")
    command.add_argument("--max-parallel", metavar="N", help="parallel requests; `none` removes the limit")
    command.add_argument(
        "--budget", metavar="DOLLARS/WINDOW", help="budget in dollars, such as 20/month or 2/day,50/total"
    )


def _run(command: argparse.ArgumentParser) -> None:
    command.add_argument("--budget", metavar="DOLLARS", help="budget of the command in dollars, such as 2 or 2/day")
    command.add_argument("--models", metavar="GLOB,...", help="patterns of the models that it may use")
    command.add_argument("--max-requests", type=_count, metavar="N", help="maximum number of requests")
    _config(command)
    command.add_argument(
        "argv", nargs=argparse.REMAINDER, metavar="-- CMD ...", help="the command to run, with its arguments"
    )


def _usage(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "action",
        nargs="?",
        choices=("show", "reconcile"),
        default="show",
        help="show the usage, or compare it with a provider's bill (default: show)",
    )
    command.add_argument(
        "file", nargs="?", type=Path, metavar="FILE", help="export of the provider (CSV or JSON), for reconcile"
    )
    command.add_argument(
        "--by", choices=("key", "group", "model", "provider", "day"), default="key", help="group by (default: key)"
    )
    command.add_argument(
        "--since", type=_time, default=0.0, metavar="DATE", help="from this day on, such as 2026-01-31 (UTC)"
    )
    command.add_argument("--until", type=_time, default=float("inf"), metavar="DATE", help="before this day")
    form = command.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("--csv", action="store_true", help="print CSV")
    _config(command)


def _config(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="configuration file (default: $LLMPROXY_CONFIG, else ./llmproxy.toml if it exists)",
    )


def _address(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--base-url",
        metavar="URL",
        help="base URL of the gateway (default: $LLMPROXY_URL, else http://127.0.0.1:8811/v1)",
    )


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


def _nothing(command: argparse.ArgumentParser) -> None:
    """`conformance` parses its own arguments."""


# Name, help, the arguments of an example, and what adds the arguments to the command's parser.
_COMMANDS: tuple[tuple[str, str, str, Callable[[argparse.ArgumentParser], None]], ...] = (
    ("init", "write a commented llmproxy.toml for the keys in the environment", "", _init),
    ("serve", "run the gateway", "--port 9000", _serve),
    (
        "chat",
        "chat with a model through the running gateway",
        'openai/gpt-4o-mini --once "Why is the sky blue?"',
        _chat,
    ),
    ("models", "list the models of the running gateway", "--base-url http://127.0.0.1:9000", _models),
    ("trace", "show the timeline of a request", "0f3a9c21 --json", _trace),
    ("check", "validate the configuration", "--config llmproxy.toml --call", _check),
    ("doctor", "find problems on this machine, and say how to fix them", "", _doctor),
    ("backup", "back up the database, also while the gateway runs", "copy.db", _backup),
    (
        "migrate",
        "copy the whole database into an empty one of another kind, and compare counts and sums",
        "--from sqlite:///var/lib/llmproxy --to postgresql://user@host/llmproxy",
        _migrate,
    ),
    ("prices", "show model prices", "gpt-4o", _prices),
    ("keys", "create, show, change and revoke client keys", "create alice --rpm 60 --budget 20/month", _keys),
    ("groups", "create, show, change and delete groups of keys", "create team --budget 200/month", _groups),
    ("run", "run a command with its own gateway, key and budget", "--budget 2 -- python agent.py", _run),
    ("usage", "show usage and cost", "--by model --since 2026-01-01", _usage),
    ("conformance", "test whether a gateway behaves like the providers' APIs", "", _nothing),
)
