"""Makes deploy/grafana/llmproxy.json: a dashboard over what /metrics tells. `make dashboard` runs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FILE = Path(__file__).parents[1] / "deploy" / "grafana" / "llmproxy.json"
_QUANTILE = "histogram_quantile({q}, sum by (le, {by}) (rate({name}_bucket[$__rate_interval])))"

# Title, unit, and queries with their legends.
PANELS: list[tuple[str, str, list[tuple[str, str]]]] = [
    ("Requests", "reqps", [("sum by (outcome) (rate(llmproxy_requests_total[$__rate_interval]))", "{{outcome}}")]),
    ("Errors by code", "reqps", [("sum by (code) (rate(llmproxy_errors_total[$__rate_interval]))", "{{code}}")]),
    ("In flight by phase", "short", [("sum by (phase) (llmproxy_in_flight_phase)", "{{phase}}")]),
    (
        "Time of a request", "s",
        [(_QUANTILE.format(q=q, by="gen_ai_provider_name", name="gen_ai_server_request_duration_seconds"),
          f"p{q * 100:.0f} {{{{gen_ai_provider_name}}}}") for q in (0.5, 0.95)],
    ),
    (
        "Time to the first token", "s",
        [(_QUANTILE.format(q=q, by="gen_ai_provider_name", name="gen_ai_server_time_to_first_token_seconds"),
          f"p{q * 100:.0f} {{{{gen_ai_provider_name}}}}") for q in (0.5, 0.95)],
    ),
    (
        "Time between tokens", "s",
        [(_QUANTILE.format(q=0.5, by="gen_ai_request_model", name="gen_ai_server_time_per_output_token_seconds"),
          "{{gen_ai_request_model}}")],
    ),
    (
        "Calls of providers: first chunk", "s",
        [(_QUANTILE.format(q=0.95, by="gen_ai_request_model", name="gen_ai_client_operation_time_to_first_chunk_seconds"),
          "p95 {{gen_ai_request_model}}")],
    ),
    ("Attempts by end", "reqps", [("sum by (state) (rate(llmproxy_attempts_total[$__rate_interval]))", "{{state}}")]),
    ("Tokens by class", "short", [("sum by (class) (rate(llmproxy_tokens_total[$__rate_interval]))", "{{class}}")]),
    ("Dollars an hour", "currencyUSD", [("sum by (model) (rate(llmproxy_cost_dollars_total[1h])) * 3600", "{{model}}")]),
    ("Without a price", "reqps", [("sum by (model) (rate(llmproxy_unpriced_requests_total[$__rate_interval]))", "{{model}}")]),
    (
        "Budgets: held and leased", "currencyUSD",
        [("sum(llmproxy_budget_held_dollars)", "held"), ("sum(llmproxy_budget_leased_dollars)", "leased")],
    ),
    ("Refused by limits", "reqps", [("sum by (limit) (rate(llmproxy_limit_refusals_total[$__rate_interval]))", "{{limit}}")]),
    (
        "Stop until hung up", "s",
        [(_QUANTILE.format(q=0.95, by="by", name="llmproxy_stop_to_closed_seconds"), "p95 {{by}}")],
    ),
    (
        "Wait for a provider's turn", "s",
        [(_QUANTILE.format(q=0.95, by="provider", name="llmproxy_queue_wait_seconds"), "p95 {{provider}}")],
    ),
    ("Event loop lag", "s", [("max by (worker) (llmproxy_loop_lag_seconds)", "worker {{worker}}")]),
    ("Memory", "bytes", [("max by (worker) (llmproxy_memory_bytes)", "worker {{worker}}")]),
    ("Breakers open", "short", [("sum by (provider) (llmproxy_open)", "{{provider}}")]),
]  # fmt: skip


def main() -> None:
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(json.dumps(dashboard(), indent=1) + "\n", encoding="utf-8")


def dashboard() -> dict[str, Any]:
    source = {"type": "prometheus", "uid": "${datasource}"}
    return {
        "uid": "llmproxy",
        "title": "llmproxy",
        "tags": ["llmproxy"],
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {
            "list": [{"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"}]
        },
        "panels": [panel(number, *one, source) for number, one in enumerate(PANELS)],
    }


def panel(number: int, title: str, unit: str, queries: list[tuple[str, str]], source: dict[str, str]) -> dict[str, Any]:
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": title,
        "datasource": source,
        "gridPos": {"h": 8, "w": 8, "x": number % 3 * 8, "y": number // 3 * 8},
        "fieldConfig": {"defaults": {"unit": unit}, "overrides": []},
        "targets": [
            {"refId": chr(65 + at), "expr": query, "legendFormat": legend, "datasource": source}
            for at, (query, legend) in enumerate(queries)
        ],
    }


if __name__ == "__main__":
    main()
