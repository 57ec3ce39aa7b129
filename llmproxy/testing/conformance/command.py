"""Runs the conformance checks against a gateway, and prints the results."""

from __future__ import annotations

import argparse
import asyncio
import sys
import traceback
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

import aiohttp
import orjson

from ..provider import FakeProvider
from . import both, breaks, budgets, cancels, failures, fields, gemini_only, messages_only, responses_only, streams
from .faces import MESSAGES, RESPONSES
from .gemini_face import GEMINI
from .stage import Check, Failed, Stage
from .voices import API_NAMES

BY_API: Mapping[str, Sequence[Check]] = {
    "chat": (*streams.CHECKS, *fields.CHECKS, *failures.CHECKS, *breaks.CHECKS, *cancels.CHECKS),
    "messages": (*both.checks(MESSAGES), *messages_only.CHECKS),
    "responses": (*both.checks(RESPONSES), *responses_only.CHECKS),
    "gemini": (*both.checks(GEMINI), *gemini_only.CHECKS),
}
CHECKS: Sequence[Check] = [check for checks in BY_API.values() for check in checks]
PATIENCE = 20.0  # seconds for one check

EPILOG = """
The gateway must have an OpenAI-compatible provider at http://127.0.0.1:PORT/v1, any key, that serves the model.
Nothing else may ask that provider while the checks run, and no circuit breaker or cool-down may shut it off: most of the
checks are failures. Exit code: 0 if all passed, 1 if one failed, 2 if none could run.
"""


@dataclass(frozen=True, slots=True)
class Result:
    group: str
    name: str
    passed: bool
    seen: str


async def run(
    url: str,
    port: int,
    model: str,
    key: str = "",
    only: str = "",
    headers: Mapping[str, str] | None = None,
    *,
    apis: Collection[str] = API_NAMES,
    provider_apis: Collection[str] = API_NAMES,
) -> list[Result]:
    """Every check of these APIs, one after the other, with our provider listening on `port`.

    headers: go with every request. provider_apis: those that the provider has.
    """
    checks = [check for api in API_NAMES if api in apis for check in BY_API[api]]
    chosen = [check for check in checks if only in f"{check.group}: {check.name}"]
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
    connector = aiohttp.TCPConnector(force_close=True)
    async with (
        FakeProvider(port, models=[model.rpartition("/")[2]]) as provider,
        aiohttp.ClientSession(timeout=timeout, connector=connector, read_bufsize=2**22) as client,
    ):
        stage = Stage(url, provider, client, model, key, headers or {}, provider_apis)
        return [await _result(check, stage) for check in chosen]


async def _result(check: Check, stage: Stage) -> Result:
    stage.clear()
    passed, seen = False, ""
    try:
        async with asyncio.timeout(PATIENCE):
            passed, seen = True, await check.run(stage)
    except Failed as failed:
        passed, seen = False, str(failed)
    except TimeoutError:
        passed, seen = False, f"nothing within {PATIENCE:g} s"
    except Exception as error:  # noqa: BLE001  a check must not end the others
        where = traceback.extract_tb(error.__traceback__)[-1]
        passed, seen = False, f"{type(error).__name__}: {error} (at {where.name})"
    if check.asks and not stage.asked:
        passed, seen = False, f"the provider was not asked; {seen}"
    if not passed:
        await stage.provider.hang_up()
    return Result(check.group, check.name, passed, seen)


def table(results: Iterable[Result]) -> str:
    """Markdown, readable as it is."""
    rows = [("check", "", "seen"), ("---", "---", "---")]
    rows += [(f"{one.group}: {one.name}", "pass" if one.passed else "FAIL", one.seen) for one in results]
    cells = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in (0, 1)]
    return "\n".join(f"| {row[0]:<{widths[0]}} | {row[1]:<{widths[1]}} | {row[2]} |" for row in cells)


def main(arguments: Sequence[str] | None = None) -> int:
    said = options().parse_args(arguments)
    try:
        if said.budgets:
            return _tortured(said)
        results = asyncio.run(_run(said))
    except OSError as error:
        print(f"cannot listen on port {said.upstream_port}: {error}", file=sys.stderr)
        return 2
    if said.json:
        print(orjson.dumps([asdict(one) for one in results], option=orjson.OPT_INDENT_2).decode())
    else:
        print(table(results))
        print(f"\n{sum(one.passed for one in results)} of {len(results)} checks passed.")
    return 0 if results and all(one.passed for one in results) else 1


async def _run(said: argparse.Namespace) -> list[Result]:
    """The checks that were asked for."""
    given = (said.url, said.upstream_port, said.model, said.key, said.only, dict(said.header))
    return await run(*given, apis=said.api or API_NAMES, provider_apis=said.provider_api or API_NAMES)


def _tortured(said: argparse.Namespace) -> int:
    url = said.url.rstrip("/").removesuffix("/v1")
    outcome = asyncio.run(budgets.torture(url, said.upstream_port, said.model, said.key, said.limit, said.rate))
    results = [Result("budgets", name, passed, seen) for name, passed, seen in outcome.checks]
    if said.json:
        print(orjson.dumps([asdict(one) for one in results], option=orjson.OPT_INDENT_2).decode())
    else:
        print(table(results))
        print(
            f"\n{outcome.answered} answers, {outcome.bill.served:,} tokens, {outcome.spent:.4f} $ by the provider's own bill."
        )
    return int(not all(one.passed for one in results))


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("llmproxy conformance", description=__doc__, epilog=EPILOG)
    option = parser.add_argument
    option("url", help="the gateway, for example http://127.0.0.1:8811")
    option("--upstream-port", type=int, default=9800, help="where the gateway expects its provider (default 9800)")
    option("--model", default="openai/fake-model", help="the name that leads to it (default openai/fake-model)")
    option("--key", default="", help="the gateway's key")
    option(
        "--header", type=_header, action="append", default=[], help="NAME:VALUE, sent with every request; repeatable"
    )
    option("--only", default="", help="checks whose name contains this")
    option(
        "--api",
        choices=API_NAMES,
        action="append",
        default=[],
        help="checks of this API only; repeatable (default all)",
    )
    option(
        "--provider-api",
        choices=API_NAMES,
        action="append",
        default=[],
        help="the provider has this API and no other; repeatable (default all)",
    )
    option("--budgets", action="store_true", help="only this: spend a key's budget with 200 clients at once")
    option("--limit", type=float, default=5.0, help="the budget of that key, in dollars (default 5)")
    option(
        "--rate",
        type=float,
        default=10.0,
        help="what a million tokens of output cost there (default 10); of input nothing",
    )
    option("--json", action="store_true", help="print the results as JSON")
    return parser


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME:VALUE")
    return name.strip(), value.strip()
