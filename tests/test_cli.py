"""What the commands print, and the codes they end with, as processes of their own."""

from __future__ import annotations

import http.client
import json
import os
import pathlib
import re
import shlex
import signal
import socketserver
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from llmproxy.cli import main, parser
from llmproxy.commands import banner, discover
from llmproxy.commands.table import table
from llmproxy.config import Config, Provider, Server, load, reach
from llmproxy.core import adapter_registry
from llmproxy.routing.gateway import Gateway as Assembled
from llmproxy.store.sqlite.database import connect
from tests import forks
from tests.gateway import Gateway, free_port, running_gateway

WINDOW = 20  # seconds that a command may take at most


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with running_gateway(
        "[providers.demo]\noptions = { tokens_per_second = 400 }\n[aliases]\nfast = 'demo/hello'\n"
    ) as one:
        yield one


def environment(folder: pathlib.Path, environ: dict[str, str]) -> dict[str, str]:
    inherited = {"PATH": os.environ["PATH"], "HOME": str(folder), "LLMPROXY_DISCOVER": "0", "PYTHONUNBUFFERED": "1"}
    return {**inherited, **environ}


def started(*arguments: str, folder: pathlib.Path, **environ: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "llmproxy", *arguments],
        cwd=folder,
        env=environment(folder, environ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ran(*arguments: str, folder: pathlib.Path, say: str = "", **environ: str) -> tuple[int, str, str]:
    """Exit code, stdout, stderr."""
    done = forks.run(*arguments, cwd=folder, env=environment(folder, environ), timeout=WINDOW, say=say)
    return done.returncode, done.stdout, done.stderr


# serve


@pytest.mark.parametrize(
    ("written", "arguments", "said"),
    [
        ("[server]\nprot = 1\n", (), 'llmproxy.toml:2: server.prot: there is no such setting (did you mean "port"?)'),
        ("", ("--host", "0.0.0.0"), "refusing to listen on 0.0.0.0 without a key"),
        ("", ("--config", "nope.toml"), "nope.toml: cannot be read"),
    ],
)
def test_a_wrong_configuration_is_one_sentence_and_exit_code_2(
    tmp_path: pathlib.Path, written: str, arguments: tuple[str, ...], said: str
) -> None:
    (tmp_path / "llmproxy.toml").write_text(written)
    code, _, err = ran("serve", *arguments, folder=tmp_path)
    assert code == 2
    assert said in err
    assert "Traceback" not in err


def test_a_port_that_is_taken_is_said_without_a_traceback(gateway: Gateway, tmp_path: pathlib.Path) -> None:
    code, _, err = ran("serve", "--port", gateway.url.rpartition(":")[2], folder=tmp_path)
    assert code == 2
    assert "cannot listen on 127.0.0.1" in err
    assert "Traceback" not in err


def test_elsewhere_than_on_a_terminal_the_start_is_one_line(gateway: Gateway) -> None:
    first = gateway.output.splitlines()[0]
    assert f"listening on {gateway.base_url}" in first
    assert "demo" in first


async def test_the_line_to_paste_works(gateway: Gateway) -> None:
    assembled = Assembled.build(load(environ={}))
    lines = list(banner.trial(gateway.url, assembled.config, banner.model_to_try(assembled)))
    command = "\n".join(lines[lines.index(next(line for line in lines if "curl" in line)) :])
    answer = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=WINDOW, check=True).stdout
    assert answer.startswith("data: {")
    assert answer.endswith("data: [DONE]\n\n")
    await assembled.close()


async def test_the_banner_says_what_was_found_and_why() -> None:
    assembled = Assembled.build(load(environ={"OPENAI_API_KEY": "hush"}))
    text = "\n".join(banner.full("http://127.0.0.1:8811", assembled))
    for said in (
        "openai",
        "OPENAI_API_KEY",
        "demo",
        "http://127.0.0.1:8811/v1",
        "none: only this machine can connect",
        "curl",
    ):
        assert said in text
    assert max(map(len, text.splitlines())) <= 80
    assert "hush" not in text
    await assembled.close()


# Proxies


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:1", "socks5://127.0.0.1:1"])
def test_commands_reach_this_machine_without_a_proxy(gateway: Gateway, tmp_path: pathlib.Path, proxy: str) -> None:
    environ = dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"), proxy)
    code, out, err = ran("models", "--base-url", gateway.url, folder=tmp_path, **environ)
    assert (code, err) == (0, "")
    assert "demo/hello" in out
    code, out, err = ran("chat", "demo/hello", "--once", "hi", folder=tmp_path, LLMPROXY_URL=gateway.url, **environ)
    assert (code, err) == (0, "")
    assert out


def test_a_socks_proxy_that_the_sdk_cannot_use_is_one_sentence(tmp_path: pathlib.Path) -> None:
    code, _, err = ran(
        "chat", "m", "--once", "hi", "--base-url", "http://192.0.2.1:1", folder=tmp_path, ALL_PROXY="socks5://x:1"
    )
    assert code == 1
    assert "leads through a SOCKS proxy" in err
    assert "Traceback" not in err


# Local servers


@contextmanager
def answering(status: int, body: str) -> Iterator[str]:
    """A server that says this whatever it is asked; gives its host:port."""

    class Says(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with socketserver.TCPServer(("127.0.0.1", 0), Says) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


LISTED = '{"object":"list","data":[{"id":"tiny","owned_by":"llamacpp"}]}'


def found(monkeypatch: pytest.MonkeyPatch, config: Config, *places: str) -> list[Provider]:
    adapter = adapter_registry.load("llamacpp")
    assert adapter.environment.local is not None
    local = replace(adapter.environment.local, places=places)
    monkeypatch.setattr(adapter, "environment", replace(adapter.environment, local=local))
    before = set(threading.enumerate())
    search = discover.Search(config)
    for thread in set(threading.enumerate()) - before:
        thread.join(WINDOW)
    return list(search.added_to(config).providers)


@pytest.mark.parametrize(("status", "body"), [(200, LISTED), (503, '{"error":{"message":"Loading model"}}')])
def test_a_llama_cpp_server_at_its_usual_place_is_found(
    monkeypatch: pytest.MonkeyPatch, status: int, body: str
) -> None:
    with answering(status, body) as place:
        providers = found(monkeypatch, Config(), f"127.0.0.1:{free_port()}", place)
    assert [(one.name, one.adapter, one.base_url) for one in providers] == [("llamacpp", "llamacpp", f"http://{place}")]


def test_what_else_listens_there_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(200, "<html>my app</html>") as place:
        assert found(monkeypatch, Config(), place) == []


@pytest.mark.parametrize(
    "config",
    [
        Config(providers=(Provider("mine", "llamacpp", "http://gpu:8080"),)),
        Config(switched_off=frozenset(("llamacpp",))),
        Config(server=Server(discover=False)),
    ],
)
def test_nothing_is_looked_for_that_the_operator_has_settled(monkeypatch: pytest.MonkeyPatch, config: Config) -> None:
    with answering(200, LISTED) as place:
        assert found(monkeypatch, config, place) == list(config.providers)


def test_a_server_that_is_configured_under_another_name_is_not_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(200, LISTED) as place:
        config = Config(providers=(Provider("mine", "compatible", f"http://{place}/v1"),))
        assert found(monkeypatch, config, place) == list(config.providers)


# models


def test_models_are_a_table_of_what_the_gateway_offers(gateway: Gateway, tmp_path: pathlib.Path) -> None:
    code, out, _ = ran("models", folder=tmp_path, LLMPROXY_URL=gateway.url)
    rows = [line.split() for line in out.splitlines()]
    assert code == 0
    assert ["fast", "demo/hello"] in [row[:2] for row in rows]
    assert any(row[0] == "demo/reasoning" for row in rows)


def test_models_as_json_are_what_the_gateway_says(gateway: Gateway, tmp_path: pathlib.Path) -> None:
    code, out, _ = ran("models", "--json", folder=tmp_path, LLMPROXY_URL=gateway.url)
    assert code == 0
    assert "fast" in [entry["id"] for entry in json.loads(out)]


@pytest.mark.parametrize(
    "command", [("models",), ("trace", "some-id"), ("chat", "--once", "hi"), ("chat", "demo/hello", "--once", "hi")]
)
def test_without_a_gateway_the_commands_say_where_they_looked_and_what_to_do(
    tmp_path: pathlib.Path, command: tuple[str, ...]
) -> None:
    url = f"http://127.0.0.1:{free_port()}/v1"
    code, _, err = ran(*command, "--base-url", url, folder=tmp_path)
    assert code == 1
    assert f"no gateway answers at {url}" in err
    assert "`llmproxy serve`" in err
    assert "Traceback" not in err


@pytest.fixture(scope="module")
def locked() -> Iterator[Gateway]:
    with running_gateway('[server]\nkeys = ["sesame-sesame-sesame"]\n[providers.demo]\n') as gateway:
        yield gateway


@pytest.mark.parametrize("command", [("models",), ("trace", "some-id"), ("chat", "demo/hello", "--once", "hi")])
def test_without_a_key_where_one_is_needed_they_name_the_variable(
    locked: Gateway, tmp_path: pathlib.Path, command: tuple[str, ...]
) -> None:
    code, _, err = ran(*command, folder=tmp_path, LLMPROXY_URL=locked.url)
    assert code == 1
    assert "LLMPROXY_KEY" in err


def test_a_table_shows_no_control_characters_and_no_empty_column() -> None:
    assert table(("a", "b", "c"), [("x\x1b[2J", "", "1"), ("yy", "", "22")]).splitlines() == [
        "a      c",
        "-----  --",
        "x [2J  1",
        "yy     22",
    ]


# trace


def test_a_trace_is_drawn_in_80_columns_or_given_as_json(gateway: Gateway, tmp_path: pathlib.Path) -> None:
    body = json.dumps({"model": "demo/flaky", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9})
    asking = http.client.HTTPConnection(gateway.url.removeprefix("http://"))
    headers = {"Content-Type": "application/json", "X-Request-ID": "drawn-as-a-waterfall"}
    asking.request("POST", "/v1/chat/completions", body, headers)
    assert asking.getresponse().read()
    code, out, _ = ran("trace", "drawn-as-a-waterfall", "--base-url", gateway.base_url, folder=tmp_path)
    lines = out.splitlines()
    assert code == 0
    assert max(map(len, lines)) <= 80
    assert [line.split()[:2] for line in lines if "|" in line] == [
        ["1", "first"], ["backoff", "after"], ["2", "retry"]
    ]  # fmt: skip
    code, out, _ = ran("trace", "drawn-as-a-waterfall", "--json", "--base-url", gateway.base_url, folder=tmp_path)
    assert (code, json.loads(out)["id"]) == (0, "drawn-as-a-waterfall")


def test_a_trace_that_is_not_there_is_said(gateway: Gateway, tmp_path: pathlib.Path) -> None:
    code, _, err = ran("trace", "of-nobody/at-all", "--base-url", gateway.base_url, folder=tmp_path)
    assert code == 1
    assert "404" in err


# chat


def test_chat_prints_the_answer(gateway: Gateway, tmp_path: pathlib.Path) -> None:
    code, out, _ = ran("chat", "fast", "--once", "hi there", "--base-url", gateway.base_url, folder=tmp_path)
    assert code == 0
    assert "hi there" in out


def test_chat_keeps_the_conversation(gateway: Gateway, tmp_path: pathlib.Path) -> None:
    ran("chat", "fast", "--base-url", gateway.url, folder=tmp_path, say="first question\nsecond question\n")
    usages = [event for event in recent(gateway) if event["model"] == "fast"]
    first, second = sorted(usage["usage"]["prompt_tokens"] for usage in usages)[-2:]
    assert second > first


def test_without_a_model_the_default_is_asked_and_a_pipe_gets_the_answers_alone(
    gateway: Gateway, tmp_path: pathlib.Path
) -> None:
    code, out, err = ran("chat", "--base-url", gateway.url, folder=tmp_path, say="good morning\n")
    assert (code, err) == (0, "")
    assert "good morning" in out
    assert not out.startswith(">")


def test_an_error_is_told_in_the_gateways_words_the_chat_goes_on_and_ends_with_1(
    gateway: Gateway, tmp_path: pathlib.Path
) -> None:
    code, _, err = ran("chat", "no-such-model", "--base-url", gateway.url, folder=tmp_path, say="one\ntwo\n")
    assert code == 1
    assert err.count("no-such-model' does not exist here") == 2


def test_ctrl_c_cancels_on_the_server_and_the_chat_goes_on(gateway: Gateway, tmp_path: pathlib.Path) -> None:
    process = started("chat", "demo/long", "--base-url", gateway.url, folder=tmp_path)
    assert process.stdin
    assert process.stdout
    process.stdin.write("a long story\n")
    process.stdin.flush()
    heard = "".join(process.stdout.read(1) for _ in range(40))
    process.send_signal(signal.SIGINT)
    _, err = process.communicate("", timeout=WINDOW)
    assert len(heard) == 40
    assert "[cancelled on the server]" in err
    assert process.returncode == 0
    cancelled = next(one for one in recent(gateway) if one["model"] == "demo/long")
    assert (cancelled["state"], cancelled["by"]) == ("cancelled", "api")
    assert cancelled["id"].startswith("chat-")


def recent(gateway: Gateway) -> list[dict[str, Any]]:
    asking = http.client.HTTPConnection(gateway.url.removeprefix("http://"), timeout=WINDOW)
    asking.request("GET", "/v1/requests")
    said: list[dict[str, Any]] = json.load(asking.getresponse())["recent"]
    asking.close()
    return said


def test_chat_without_the_sdk_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    assert main(["chat", "--once", "hi"]) == 1
    assert capsys.readouterr().err == "llmproxy: chat needs the openai SDK: pip install 'llmproxy-gateway[chat]'\n"


# check


def test_check_says_that_a_configuration_holds(tmp_path: pathlib.Path) -> None:
    (tmp_path / "llmproxy.toml").write_text("[aliases]\nfast = 'opnai/x'\n")
    code, out, err = ran("check", folder=tmp_path, OPENAI_API_KEY="k")
    assert code == 0
    assert "llmproxy.toml: ok" in out
    assert 'alias fast: opnai/x: no provider opnai is configured (did you mean "openai"?)' in err


def test_check_says_no_ok_of_what_serve_would_refuse(tmp_path: pathlib.Path) -> None:
    """An option that only the adapter knows."""
    (tmp_path / "llmproxy.toml").write_text("[providers.gemini]\napi_key = 'k'\noptions = { models = { x = 3 } }\n")
    told = [
        ran(command, *more, folder=tmp_path) for command, *more in (["check"], ["serve"], ["serve", "--workers", "2"])
    ]
    assert [(code, out) for code, out, _ in told] == [(2, "")] * 3
    assert len({err.splitlines()[-1] for _, _, err in told}) == 1
    assert 'models."x" must be a table' in told[0][2]


def test_check_warns_of_what_serve_warns_of(gateway: Gateway, tmp_path: pathlib.Path) -> None:
    (tmp_path / "llmproxy.toml").write_text("default_model = 'opnai/x'\n[aliases]\nfast = 'opnai/x'\n")
    taken = gateway.url.rpartition(":")[2]
    code, _, err = ran("check", folder=tmp_path, LLMPROXY_PORT=taken, OPENAI_API_KEY="k")
    assert code == 0
    assert "warning: default_model: opnai/x: no provider opnai is configured" in err
    assert f"warning: cannot listen on 127.0.0.1:{taken}: Address already in use" in err
    process = started("serve", "--port", "0", folder=tmp_path, LLMPROXY_LOG_FORMAT="json", OPENAI_API_KEY="k")
    assert process.stderr is not None
    notes = [json.loads(process.stderr.readline()) for _ in range(2)]
    process.terminate()
    process.wait(WINDOW)
    assert {note["note"].partition(":")[0] for note in notes} == {"alias fast", "default_model"}


def test_backup_says_what_it_made_and_never_replaces_a_file(tmp_path: pathlib.Path) -> None:
    connect(tmp_path / "data").close()
    target = tmp_path / "copy.db"
    done = ran("backup", str(target), folder=tmp_path, LLMPROXY_DATA_DIR=str(tmp_path / "data"))
    assert done == (0, f"{target}: {target.stat().st_size} bytes, integrity checked\n", "")
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    again = ran("backup", str(target), folder=tmp_path, LLMPROXY_DATA_DIR=str(tmp_path / "data"))
    assert again == (1, "", f"llmproxy: no backup was made: {target} exists. Name a new file.\n")


def test_a_backup_of_nothing_says_where_it_looked(tmp_path: pathlib.Path) -> None:
    code, _, error = ran("backup", "x.db", folder=tmp_path, LLMPROXY_DATA_DIR=str(tmp_path / "data"))
    assert (code, error) == (1, f"llmproxy: no backup was made: There is no database in {tmp_path / 'data'}.\n")
    assert list(tmp_path.iterdir()) == []


def test_check_with_call_shows_who_answers(tmp_path: pathlib.Path) -> None:
    url = f"http://127.0.0.1:{free_port()}/v1"
    code, out, _ = ran("check", "--call", folder=tmp_path, OPENAI_BASE_URL=url, LLMPROXY_LOG_LEVEL="error")
    rows = {line.split()[0]: line for line in out.splitlines() if line.startswith(("openai ", "demo "))}
    assert code == 1
    assert " yes " in rows["demo"]
    assert " no " in rows["openai"]


# Where the gateway is


@pytest.mark.parametrize(
    ("given", "environ", "base_url"),
    [
        (None, {}, "http://127.0.0.1:8811/v1"),
        (None, {"LLMPROXY_PORT": "9"}, "http://127.0.0.1:9/v1"),
        (None, {"LLMPROXY_HOST": "0.0.0.0"}, "http://127.0.0.1:8811/v1"),
        (None, {"LLMPROXY_HOST": "::1"}, "http://[::1]:8811/v1"),
        (None, {"LLMPROXY_URL": "https://llm.example"}, "https://llm.example/v1"),
        ("box:8811", {"LLMPROXY_URL": "https://llm.example"}, "http://box:8811/v1"),
    ],
)
def test_the_commands_look_where_serve_listens(given: str | None, environ: dict[str, str], base_url: str) -> None:
    assert reach(given, environ).base_url == base_url


def test_help_needs_nothing_to_be_loaded() -> None:
    command = "import sys, llmproxy.cli as cli\ntry: cli.main(['--help'])\nexcept SystemExit: print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True).stdout.split()
    assert not {"aiohttp", "openai", "msgspec", "structlog"} & set(loaded)


# The first minutes


def test_alone_it_says_what_to_do_next_within_80_columns(tmp_path: pathlib.Path) -> None:
    code, out, err = ran(folder=tmp_path)
    assert (code, err) == (0, "")
    assert "llmproxy serve" in out
    assert max(map(len, out.splitlines())) <= 80


def test_the_help_of_each_command_has_one_example_that_can_be_parsed() -> None:
    root = parser()
    commands = next(one.choices for one in root._actions if isinstance(one.choices, dict))
    assert {"serve", "init"} <= set(commands)
    for name, command in commands.items():
        assert command.epilog is not None
        said, example = command.epilog.split(": llmproxy ", 1)
        assert said == "example"
        assert root.parse_args(shlex.split(example)).command == name


def test_init_writes_a_file_that_holds_and_has_no_key_in_it(tmp_path: pathlib.Path) -> None:
    code, out, err = ran("init", folder=tmp_path, GROQ_API_KEY="s3cret-groq", OLLAMA_HOST="0.0.0.0")
    assert (code, err) == (0, "")
    assert "groq (GROQ_API_KEY), ollama (OLLAMA_HOST)" in out
    written = tmp_path / "llmproxy.toml"
    assert "s3cret" not in written.read_text() + out
    config = load(written, {"GROQ_API_KEY": "s3cret-groq"})
    assert [one.name for one in config.providers] == ["groq", "ollama", "demo"]


def test_each_setting_that_init_shows_can_be_made(tmp_path: pathlib.Path) -> None:
    ran("init", folder=tmp_path)
    lines = (tmp_path / "llmproxy.toml").read_text().splitlines()
    shown = [line.removeprefix("# ") for line in lines if re.match(r"# (\[|[a-z_]+ = )", line)]
    assert len(shown) > 10
    file = tmp_path / "shown.toml"
    file.write_text("\n".join(shown))
    config = load(file, {"ALICE_KEY": "alice-0123456789", "OPENAI_API_KEY": "k"})
    assert [key.name for key in config.server.keys] == ["alice"]
    assert {"openai", "local"} <= {one.name for one in config.providers}


def test_init_never_replaces_a_file(tmp_path: pathlib.Path) -> None:
    mine = tmp_path / "llmproxy.toml"
    mine.write_text("# mine\n")
    code, out, err = ran("init", folder=tmp_path)
    assert (code, out) == (1, "")
    assert "llmproxy.toml exists" in err
    assert mine.read_text() == "# mine\n"
