"""What is measured: how each gateway is started in front of the mock, and how it is asked."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "bench"
PEERS = CACHE / "peers"
BEFORE = Path(os.environ.get("LLMPROXY_BENCH_BEFORE", ""))  # the command of another commit's environment
SHARED_SECRET = "a-secret-of-the-benchmark"
Kind = Literal["reference", "ours", "peer"]

NGINX = """\
daemon off; worker_processes 1; error_log stderr; pid {home}/nginx.pid; user root;
events {{ worker_connections 8192; }}
http {{
  access_log off; keepalive_requests 10000000; client_max_body_size 64m; client_body_buffer_size 8m;
  client_body_temp_path {home}/body; proxy_temp_path {home}/proxy;
  fastcgi_temp_path {home}/fastcgi; uwsgi_temp_path {home}/uwsgi; scgi_temp_path {home}/scgi;
  upstream mock {{ server 127.0.0.1:{mock}; keepalive 1024; keepalive_requests 10000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{ proxy_pass http://mock; proxy_buffering off; proxy_http_version 1.1; proxy_set_header Connection ""; }}
  }}
}}
"""
CADDY = """\
{{
  admin off
  auto_https off
}}
http://127.0.0.1:{port} {{
  reverse_proxy 127.0.0.1:{mock}
}}
"""
LITELLM = """\
model_list:
  - model_name: mock
    litellm_params: {{model: openai/mock, api_base: "http://127.0.0.1:{mock}/v1", api_key: x}}
general_settings: {{}}
litellm_settings: {{num_retries: 0, telemetry: false}}
"""
# Nothing it would store is stored: that takes a database beside it.
TENSORZERO = """\
[gateway]
observability.enabled = false
[models.mock]
routing = ["mock"]
[models.mock.providers.mock]
type = "openai"
model_name = "mock"
api_base = "http://127.0.0.1:{mock}/v1"
api_key_location = "none"
"""
WIDE = """\
[server]
max_in_flight = 20000
max_connections = 20000
max_lag = 0
"""  # by default a worker answers 1,000 requests at once, and refuses further ones when its loop is late
FIRST_KEY, SECOND_KEY = "first-key-of-the-benchmark", "second-key-of-the-benchmark"
KEYS = f"""\
[[server.keys]]
name = "first"
secret = "{FIRST_KEY}"
rpm = 100000000
tpm = 100000000000
budget = "1000000/total"
[[server.keys]]
name = "second"
secret = "{SECOND_KEY}"
[prices]
"openai/*" = {{{{ input = 1, output = 2 }}}}
"""


@dataclass(frozen=True, slots=True)
class Place:
    """Where one process of a run stands: its port, the mock's, and a directory of its own."""

    port: int
    mock: int
    home: Path

    def file(self, name: str, text: str) -> str:
        """Writes a configuration with the ports and the directory filled in; its path."""
        path = self.home / name
        path.write_text(text.format(port=self.port, mock=self.mock, home=self.home))
        return str(path)

    def told(self) -> int:
        """The port that a process has chosen by itself; 0 until it has written it down."""
        path = self.home / "port"
        return int((path.exists() and path.read_text()) or 0)


@dataclass(frozen=True, slots=True)
class Target:
    """One gateway. `command` is None where there is nothing to start; `slow` ones get less load."""

    name: str
    command: Callable[[Place], list[str]] | None
    installed: Callable[[], bool] = lambda: True
    environment: Callable[[Place], Mapping[str, str]] = lambda place: {}
    model: str = "mock"
    headers: Callable[[Place], Mapping[str, str]] = lambda place: {}
    port: Callable[[Place], int] = lambda place: place.port  # asked until the process answers there
    path: str = "/v1"
    kind: Kind = "reference"
    slow: bool = False
    other_key: (
        tuple[bytes, bytes] | tuple[()]
    ) = ()  # in the headers: what to replace, and by what, to ask as another key
    gemini: str | None = None  # the model that makes it talk to the mock in Gemini's dialect


def _python(*arguments: str) -> list[str]:
    return [sys.executable, "-m", *arguments]


def _relay(kind: str) -> Callable[[Place], list[str]]:
    return lambda at: _python(
        "tests.bench.relays", kind, "--port", str(at.port), "--upstream", f"http://127.0.0.1:{at.mock}"
    )


def _nginx(at: Place) -> list[str]:
    return ["nginx", "-p", str(at.home), "-e", "stderr", "-c", at.file("nginx.conf", NGINX)]


def _caddy(at: Place) -> list[str]:
    return ["caddy", "run", "--adapter", "caddyfile", "--config", at.file("Caddyfile", CADDY)]


def _llmproxy(workers: int = 1) -> Callable[[Place], list[str]]:
    more = ("--workers", str(workers)) if workers > 1 else ()
    return lambda at: _python("llmproxy", "serve", "--port", str(at.port), *more)


def _llmproxy_environment(at: Place) -> dict[str, str]:
    upstream = f"http://127.0.0.1:{at.mock}"
    openai = {"OPENAI_BASE_URL": f"{upstream}/v1", "OPENAI_API_KEY": "x"}
    return {**openai, "GEMINI_BASE_URL": f"{upstream}/v1beta", "GEMINI_API_KEY": "x", "XDG_DATA_HOME": str(at.home)}


def _shared(*more: str) -> Callable[[Place], list[str]]:
    return lambda at: _python("tests.bench.shared", str(at.port), f"http://127.0.0.1:{at.mock}", str(at.home), *more)


def _shared_target(name: str, *more: str) -> Target:
    headers = {"Authorization": f"Bearer {SHARED_SECRET}"}
    return Target(name, _shared(*more), model="openai/mock", headers=lambda at: headers, kind="ours")


def _tensorzero(at: Place) -> list[str]:
    launcher = str(Path(__file__).with_name("tensorzero_gateway.py"))
    # -P: its own imports are not looked for among the files here.
    return [str(_TENSORZERO), "-P", launcher, at.file("tensorzero.toml", TENSORZERO), str(at.home / "port")]


def _has(program: str) -> Callable[[], bool]:
    return lambda: shutil.which(program) is not None


def _there(path: Path) -> Callable[[], bool]:
    return path.exists


_LITELLM = PEERS / "litellm" / "bin" / "litellm"
_TENSORZERO = PEERS / "tensorzero" / "bin" / "python"
_PORTKEY = PEERS / "portkey" / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"

TARGETS = {
    target.name: target
    for target in (
        Target("direct", None),
        Target("nginx", _nginx, _has("nginx")),
        Target("caddy", _caddy, _has("caddy")),
        Target("bare aiohttp", _relay("bare")),
        Target("aiohttp relay", _relay("aiohttp")),
        Target("lean relay", _relay("lean")),
        Target(
            "llmproxy",
            _llmproxy(),
            environment=_llmproxy_environment,
            model="openai/mock",
            kind="ours",
            gemini="gemini/mock",
        ),
        Target(
            "llmproxy keys",
            lambda at: [*_llmproxy()(at), "--config", at.file("llmproxy.toml", KEYS)],
            environment=_llmproxy_environment,
            model="openai/mock",
            headers=lambda at: {"Authorization": f"Bearer {FIRST_KEY}"},
            kind="ours",
            other_key=(FIRST_KEY.encode(), SECOND_KEY.encode()),
        ),
        Target(
            "llmproxy before",
            lambda at: [str(BEFORE), "serve", "--port", str(at.port)],
            BEFORE.is_file,
            environment=_llmproxy_environment,
            model="openai/mock",
            kind="ours",
        ),
        Target("llmproxy x2", _llmproxy(2), environment=_llmproxy_environment, model="openai/mock", kind="ours"),
        Target(
            "litellm",
            lambda at: [
                str(_LITELLM),
                "--host",
                "127.0.0.1",
                "--port",
                str(at.port),
                "--config",
                at.file("litellm.yaml", LITELLM),
            ],
            _there(_LITELLM),
            environment=lambda at: {
                "LITELLM_LOCAL_MODEL_COST_MAP": "True",
                "DISABLE_ADMIN_UI": "True",
                "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",  # no keys, as for all the others
            },
            kind="peer",
            slow=True,
        ),
        Target(
            "portkey",
            lambda at: ["node", str(_PORTKEY), f"--port={at.port}", "--headless"],
            _there(_PORTKEY),
            headers=lambda at: {
                "x-portkey-provider": "openai",
                "x-portkey-custom-host": f"http://127.0.0.1:{at.mock}/v1",
            },
            kind="peer",
            slow=True,
        ),
        Target(
            "tensorzero",
            _tensorzero,
            _there(_TENSORZERO),
            model="tensorzero::model_name::mock",
            port=Place.told,
            path="/openai/v1",
            kind="peer",
        ),
    )
}
# Not among those that are chosen by name: S9 measures them beside each other.
SHARED = (
    _shared_target("SQLite"),
    _shared_target("PostgreSQL", "--postgres"),
    _shared_target("PostgreSQL, Redis", "--postgres", "--redis"),
    _shared_target("3 replicas", "--postgres", "--redis", "--replicas", "3"),
)


def wide(target: Target) -> Target:
    """The target with room for thousands of streams."""
    if target.name != "llmproxy":
        return target
    return replace(target, command=lambda at: [*_llmproxy()(at), "--config", at.file("llmproxy.toml", WIDE)])


DEFAULT = ("direct", "nginx", "caddy", "aiohttp relay", "lean relay", "llmproxy")


def chosen(names: list[str], peers: bool) -> list[Target]:
    """The targets of those names, or the default ones with the peers; those that are not installed are left out."""
    wanted = names or [*DEFAULT, *(name for name, target in TARGETS.items() if peers and target.kind == "peer")]
    return [TARGETS[name] for name in wanted if TARGETS[name].installed()]


def clean_environment(target: Target, at: Place) -> dict[str, str]:
    """Nothing of ours but what a program needs: no key and no proxy of the caller can leak into a measurement."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "SSL_CERT_FILE") if name in os.environ}
    return {**kept, "HOME": str(at.home), **target.environment(at)}
