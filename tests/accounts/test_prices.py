"""What tokens cost, against the package that the table is made from."""

from __future__ import annotations

import subprocess
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from llmproxy.accounts import prices
from llmproxy.accounts.prices import Price, Prices
from llmproxy.commands.check import old_prices
from llmproxy.core.usage import Tokens, in_e12
from tests import forks

OPENAI, ANTHROPIC = "https://api.openai.com/v1", "https://api.anthropic.com/v1"
GEMINI = "https://generativelanguage.googleapis.com/v1beta"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()

TOKENS = Tokens(input=1000, cache_read=500, cache_write_5m=200, output=300, reasoning=100)


@pytest.mark.parametrize(
    ("base_url", "model"),
    [
        (OPENAI, "gpt-4o"),
        (OPENAI, "gpt-4o-mini-2024-07-18"),
        (OPENAI, "o3"),
        (ANTHROPIC, "claude-3-5-sonnet-20241022"),
        (ANTHROPIC, "claude-sonnet-4-5"),
        (GEMINI, "gemini-2.5-pro"),
        (GEMINI, "gemini-2.5-flash"),
        ("https://openrouter.ai/api/v1", "openai/gpt-4o"),
        ("https://api.perplexity.ai", "sonar"),
        ("https://me.openai.azure.com/openai", "gpt-4o"),
    ],
)
@pytest.mark.parametrize("scale", [1, 1000], ids=["short", "long"])
def test_costs_are_those_of_genai_prices_to_the_last_digit(base_url: str, model: str, scale: int) -> None:
    genai_prices = pytest.importorskip("genai_prices")
    tokens = Tokens._make(count * scale for count in TOKENS)
    theirs = genai_prices.calc_price(
        genai_prices.Usage(
            input_tokens=tokens.prompt,
            cache_read_tokens=tokens.cache_read,
            cache_write_tokens=tokens.cache_write_5m,
            output_tokens=tokens.output,
        ),
        model,
        provider_api_url=base_url,
        genai_request_timestamp=datetime.fromtimestamp(NOW, UTC),
    )
    price = Prices().price("any", model, base_url, NOW)
    assert price is not None
    rates = theirs.model_price
    request = rates.requests_kcount * 10**9 if rates.requests_kcount else 0
    if rates.cache_read_mtok is not None and rates.cache_write_mtok is not None and not request:
        assert price.cost(tokens) == theirs.total_price * 10**12
    plain = Tokens(input=tokens.input, output=tokens.output)
    usage = genai_prices.Usage(input_tokens=plain.input, output_tokens=plain.output)
    assert price.cost(plain) == rates.calc_price(usage)["total_price"] * 10**12


def test_an_unknown_model_has_no_price_rather_than_zero() -> None:
    assert Prices().price("openai", "gpt-77", OPENAI, NOW) is None
    assert Prices().price("local", "gpt-4o", "http://127.0.0.1:8080", NOW) is None


def test_the_price_of_a_day_is_the_one_that_held_then() -> None:
    before, after = (datetime(*day, tzinfo=UTC).timestamp() for day in ((2026, 3, 1), (2026, 4, 1)))
    long = Tokens(input=300_000)
    then, now = (Prices().price("a", "claude-sonnet-4-6", ANTHROPIC, at) for at in (before, after))
    assert then is not None
    assert now is not None
    assert (then.cost(long), now.cost(long)) == (in_e12(1.8), in_e12(0.9))
    assert then.id != now.id
    assert now.id.endswith(":anthropic/claude-sonnet-4-6@2026-03-13")


def test_the_config_goes_before_the_table() -> None:
    own = Prices({"openai/gpt-4*": {"input": 1, "output": 2}, "mine/*": "openai", "mine/gpt-4o": {"input": 9}})
    price = own.price("openai", "gpt-4o", OPENAI, NOW)
    assert price == Price("config:openai/gpt-4*", {"input": 1_000_000, "output": 2_000_000})
    assert price.cost(Tokens(input=3, cache_read=2, output=4)) == 13_000_000
    borrowed, real = own.price("mine", "gpt-4o", "http://proxy", NOW), Prices().price("x", "gpt-4o", OPENAI, NOW)
    assert borrowed == real is not None


def test_a_class_without_a_price_costs_what_its_kind_does_and_calls_are_unknown() -> None:
    price = Price("p", {"input": 10, "output": 20, "cache_write_5m": 12})
    assert price.cost(Tokens(input=1, cache_read=1, cache_write_5m=1, cache_write_1h=1, audio_in=1)) == 54
    assert price.cost(Tokens(output=3, reasoning=2, image_out=1)) == 80
    assert price.cost(Tokens(output=3, calls=1)) is None


def test_long_prompts_are_dearer_as_a_whole() -> None:
    price = Price("p", {"input": [1, [100, 2]], "output": [3, [100, 5]]})
    assert [price.cost(Tokens(input=n, output=1)) for n in (100, 101)] == [103, 207]


def test_the_table_is_not_older_than_it_may_be() -> None:
    assert prices.age_in_days(datetime.now(UTC).date()) <= prices.MAX_AGE_DAYS, "run `make prices`"
    assert prices.age_in_days(date.fromisoformat(prices.table()["made"])) == 0


def test_check_warns_of_a_table_that_is_too_old() -> None:
    made = date.fromisoformat(prices.table()["made"])
    assert list(old_prices(made + timedelta(days=prices.MAX_AGE_DAYS))) == []
    [warning] = old_prices(made + timedelta(days=prices.MAX_AGE_DAYS + 1))
    assert "61 days old" in warning


def shown(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    config = folder / "llmproxy.toml"
    config.write_text('[prices]\n"local/*" = { input = 0, output = 0.5 }\n')
    return forks.run("prices", *more, "--config", str(config), cwd=folder, env={"HOME": str(folder)}, timeout=30)


def test_the_command_shows_prices_of_table_and_config(tmp_path: Path) -> None:
    assert "openai/gpt-4o-mini" in shown(tmp_path, "openai/gpt-4o-mini").stdout
    assert [line.split() for line in shown(tmp_path, "local").stdout.splitlines()][2][:4] == [
        "local/*",
        "config",
        "0",
        "0.5",
    ]
    assert shown(tmp_path).stdout.endswith("1 prices of the config go before them.\n")
    unknown = shown(tmp_path, "gpt-77")
    assert (unknown.returncode, unknown.stderr.count("gpt-77")) == (1, 1)
