"""The numbers of /metrics: distributions under OpenTelemetry's names, and a dashboard that asks for nothing else."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from llmproxy.observe.histograms import HISTOGRAMS, Distributions
from llmproxy.server.endpoints.metrics import PHASES
from tests.accounts.house import ASK, KEYS, ROOT, answer, house, usage

ROOT_FOLDER = Path(__file__).parents[2]
DASHBOARD = ROOT_FOLDER / "deploy" / "grafana" / "llmproxy.json"
EVE = "eve-secret-of-some-length"
LIMITED = f'{KEYS}\n[[server.keys]]\nname = "eve"\nsecret = "{EVE}"\nrpm = 2\nbudget = "1/day"\n'


async def scraped() -> str:
    """What /metrics tells after an answer, one that was refused, and a failure."""
    async with house(LIMITED) as there:
        there.provider.answers(answer(usage=usage(100, 50, prompt_tokens_details={"cached_tokens": 40})))
        await there.ask(EVE)
        there.provider.answers(answer())
        await there.ask(EVE)
        assert (await there.ask(EVE))[0] == 429
        there.provider.answers(answer())
        await there.ask(ROOT, {**ASK, "model": "far/m"})
        there.provider.fails(400)
        await there.ask(ROOT)
        async with there.client.get(
            f"{there.gateway.url}/metrics", headers={"Authorization": f"Bearer {ROOT}"}
        ) as told:
            return await told.text()


async def test_everything_that_happened_is_in_the_numbers() -> None:
    text = await scraped()
    samples = {
        (one.name, *(f"{key}={value}" for key, value in sorted(one.labels.items()))): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
    }
    near = ("gen_ai_operation_name=chat", "gen_ai_provider_name=near", "gen_ai_request_model=m")
    assert samples["gen_ai_client_token_usage_sum", *near, "gen_ai_token_type=input"] == 110
    assert samples["gen_ai_client_token_usage_bucket", *near, "gen_ai_token_type=output", "le=16.0"] == 1
    assert samples["gen_ai_server_request_duration_seconds_count", "error_type=", *near] == 2
    assert samples["llmproxy_tokens_total", "class=cache_read", "model=m", "provider=near"] == 40
    cost = (110 + 2 * 55) / 1e6
    assert samples["llmproxy_cost_dollars_total", "model=m", "provider=near"] == pytest.approx(cost)
    assert samples["llmproxy_unpriced_requests_total", "model=m", "provider=far"] == 1
    assert samples["llmproxy_limit_refusals_total", "limit=rate"] == 1
    assert samples["llmproxy_budget_held_dollars",] == 0
    assert samples["llmproxy_budget_leased_dollars",] == pytest.approx(1 - cost)
    assert {key[1] for key in samples if key[0] == "llmproxy_in_flight_phase"} == {f"phase={one}" for one in PHASES}
    if shutil.which("promtool"):
        checked = subprocess.run(
            ["promtool", "check", "metrics"], input=text, text=True, check=False, capture_output=True
        )
        assert checked.returncode == 0, checked.stderr


async def test_every_query_of_the_dashboard_names_a_metric_that_there_is() -> None:
    told = {line.split()[2] for line in (await scraped()).splitlines() if line.startswith("# TYPE")}
    there = told | {f"{name}_bucket" for name in HISTOGRAMS}
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for query in (target["expr"] for target in panel["targets"]):
            named = set(re.findall(r"\b(?:llmproxy|gen_ai)_\w+(?=[\[)])", re.sub(r"by \(.*?\)", "", query)))
            assert named, query
            assert named <= there, query


def test_the_dashboard_is_the_one_that_the_tool_makes() -> None:
    spec = importlib.util.spec_from_file_location("make_dashboard", ROOT_FOLDER / "tools" / "make_dashboard.py")
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert json.loads(DASHBOARD.read_text()) == tool.dashboard()


def test_models_that_clients_make_up_do_not_become_series_without_bound() -> None:
    all_of_them = Distributions()
    for number in range(2000):
        all_of_them.observe([("gen_ai_server_time_to_first_token_seconds", ("near", f"made-up-{number}"), 0.1)])
    known = all_of_them.histograms["gen_ai_server_time_to_first_token_seconds"]
    assert len(known) == 501
    assert sum(known["near", "other"].counts) == 1500
