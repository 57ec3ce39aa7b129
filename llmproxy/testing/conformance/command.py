"""Runs the conformance checks against a gateway, and prints the results."""

from __future__ import annotations

import argparse
import asyncio
import sys
import traceback
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import aiohttp
import orjson

from ..provider import FakeProvider
from . import breaks, budgets, cancels, failures, fields, gemini_only, messages_only, responses_only, shared, streams
from .client_api_gemini import GEMINI
from .client_apis import MESSAGES, RESPONSES
from .harness import Check, Failed, Harness
from .provider_apis import API_NAMES

BY_API: Mapping[str, Sequence[Check]] = {
    "chat": (*streams.CHECKS, *fields.CHECKS, *failures.CHECKS, *breaks.CHECKS, *cancels.CHECKS),
    "messages": (*shared.checks(MESSAGES), *messages_only.CHECKS),
    "responses": (*shared.checks(RESPONSES), *responses_only.CHECKS),
    "gemini": (*shared.checks(GEMINI), *gemini_only.CHECKS),
}
CHECKS: Sequence[Check] = [check for checks in BY_API.values() for check in checks]
CHECK_TIMEOUT = 20.0  # seconds

EPILOG = """
Configure an OpenAI-compatible provider at http://127.0.0.1:PORT/v1 in the gateway, with any key, that has the model.
Nothing else may call this port while the checks run. Switch off circuit breakers and cool-downs, because most checks
make the provider fail. If the gateway does not call this port, the program stops at the first check.
Exit code: 0 if all passed, 1 if one failed, 2 if none could run.
example: llmproxy conformance http://127.0.0.1:8811 --api chat
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
    """Runs every check of these APIs, one after the other. The test provider listens on `port`.

    only: run checks whose name contains this. headers: sent with every request. provider_apis: the APIs of the provider.
    Stops at the first check if the gateway does not call the provider. Raises OSError if the port is in use.
    """
    checks = [check for api in API_NAMES if api in apis for check in BY_API[api]]
    chosen = [check for check in checks if only in f"{check.group}: {check.name}"]
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
    connector = aiohttp.TCPConnector(force_close=True)
    async with (
        FakeProvider(port, models=[model.rpartition("/")[2]]) as provider,
        aiohttp.ClientSession(timeout=timeout, connector=connector, read_bufsize=2**22) as client,
    ):
        harness = Harness(url, provider, client, model, key, headers or {}, provider_apis)
        results: list[Result] = []
        called = False
        for check in chosen:
            results.append(await _result(check, harness))
            called = called or bool(harness.asked)
            if check.asks and not called:
                return [*results[:-1], replace(results[-1], seen=_unreached(port, results[-1].seen))]
        return results


def _unreached(port: int, seen: str) -> str:
    """Why no check can run, and what to do."""
    setting = f"for llmproxy: OPENAI_BASE_URL=http://127.0.0.1:{port}/v1 OPENAI_API_KEY=any"
    return f"{seen}. The other checks were not run: configure the test provider in the gateway ({setting}), and --model"


async def _result(check: Check, harness: Harness) -> Result:
    harness.clear()
    passed, seen = False, ""
    try:
        async with asyncio.timeout(CHECK_TIMEOUT):
            passed, seen = True, await check.run(harness)
    except Failed as failed:
        passed, seen = False, str(failed)
    except TimeoutError:
        passed, seen = False, f"nothing within {CHECK_TIMEOUT:g} s"
    except Exception as error:  # noqa: BLE001  a check must not end the others
        where = traceback.extract_tb(error.__traceback__)[-1]
        passed, seen = False, f"{type(error).__name__}: {error} (at {where.name})"
    if check.asks and not harness.asked:
        passed, seen = False, f"the provider was not asked; {seen}"
    if not passed:
        await harness.provider.hang_up()
    return Result(check.group, check.name, passed, seen)


def table(results: Iterable[Result]) -> str:
    """The results as a Markdown table with aligned columns."""
    rows = [("check", "", "seen"), ("---", "---", "---")]
    rows += [(f"{one.group}: {one.name}", "pass" if one.passed else "FAIL", one.seen) for one in results]
    cells = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in (0, 1)]
    return "\n".join(f"| {row[0]:<{widths[0]}} | {row[1]:<{widths[1]}} | {row[2]} |" for row in cells)


def main(arguments: Sequence[str] | None = None) -> int:
    given = options().parse_args(arguments)
    try:
        if given.budgets:
            return _check_budgets(given)
        results = asyncio.run(_run(given))
    except OSError as error:
        print(f"cannot listen on port {given.upstream_port}: {error}", file=sys.stderr)
        return 2
    return _printed(given, results, f"{sum(one.passed for one in results)} of {len(results)} checks passed.")


async def _run(given: argparse.Namespace) -> list[Result]:
    chosen = (given.url, given.upstream_port, given.model, given.key, given.only, dict(given.header))
    return await run(*chosen, apis=given.api or API_NAMES, provider_apis=given.provider_api or API_NAMES)


def _check_budgets(given: argparse.Namespace) -> int:
    url = given.url.rstrip("/").removesuffix("/v1")
    outcome = asyncio.run(budgets.torture(url, given.upstream_port, given.model, given.key, given.limit, given.rate))
    results = [Result("budgets", name, passed, seen) for name, passed, seen in outcome.checks]
    tokens = f"{outcome.answered} answers, {outcome.bill.served:,} tokens"
    return _printed(given, results, f"{tokens}, {outcome.spent:.4f} $ by the provider's own count.")


def _printed(given: argparse.Namespace, results: Sequence[Result], summary: str) -> int:
    """Prints the results; returns the exit code."""
    if given.json:
        print(orjson.dumps([asdict(one) for one in results], option=orjson.OPT_INDENT_2).decode())
    else:
        print(f"{table(results)}\n\n{summary}")
    return 0 if results and all(one.passed for one in results) else 1


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("llmproxy conformance", description=__doc__, epilog=EPILOG)
    option = parser.add_argument
    option("url", help="the gateway, for example http://127.0.0.1:8811")
    option(
        "--upstream-port",
        type=int,
        default=9800,
        help="port of the test provider, which the gateway must call (default 9800)",
    )
    option("--model", default="openai/fake-model", help="the gateway's name for its model (default openai/fake-model)")
    option("--key", default="", help="the gateway's key")
    option(
        "--header", type=_header, action="append", default=[], help="NAME:VALUE, sent with every request; repeatable"
    )
    option("--only", default="", help="run only checks whose name contains this")
    option(
        "--api",
        choices=API_NAMES,
        action="append",
        default=[],
        help="run only checks of this API; repeatable (default all)",
    )
    option(
        "--provider-api",
        choices=API_NAMES,
        action="append",
        default=[],
        help="the provider has this API and no other; repeatable (default all)",
    )
    option("--budgets", action="store_true", help="test only budgets: spend a key's budget with 200 clients at once")
    option("--limit", type=float, default=5.0, help="the budget of that key, in dollars (default 5)")
    option(
        "--rate",
        type=float,
        default=10.0,
        help="price of a million output tokens in dollars (default 10); input is free",
    )
    option("--json", action="store_true", help="print the results as JSON")
    return parser


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME:VALUE")
    return name.strip(), value.strip()
