"""What llmproxy.toml and the environment mean, and how a wrong one is told."""

from __future__ import annotations

import dataclasses
import pathlib
import re
import tomllib
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from llmproxy.config import (
    Alias,
    Breaker,
    Config,
    ConfigError,
    Key,
    Limits,
    Logs,
    Mode,
    Provider,
    Rule,
    Server,
    Storage,
    Timeouts,
    When,
    load,
)
from llmproxy.config.addresses import completed, is_loopback, is_metadata, is_private
from llmproxy.config.environ import SETTINGS
from llmproxy.config.lines import Scanner
from llmproxy.core import adapter_registry

Reader = Callable[..., Config]


@pytest.fixture(autouse=True)
def nowhere(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No llmproxy.toml of the working directory, no variables of whoever runs this."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def read(tmp_path: pathlib.Path) -> Reader:
    def reading(text: str, environ: Mapping[str, str] | None = None) -> Config:
        path = tmp_path / "llmproxy.toml"
        path.write_text(text, encoding="utf-8")
        return load(path, environ or {})

    return reading


def provider(config: Config, name: str) -> Provider:
    return next(one for one in config.providers if one.name == name)


def names(config: Config) -> list[str]:
    return [one.name for one in config.providers]


# Without a file


def test_nothing_at_all_is_a_gateway_on_loopback_with_the_demo() -> None:
    config = load(environ={})
    assert (config.server.host, config.server.port, names(config)) == ("127.0.0.1", 8811, ["demo"])


@pytest.mark.parametrize(
    ("environ", "name", "base_url", "key"),
    [
        ({"OPENAI_API_KEY": "k"}, "openai", "https://api.openai.com/v1", "k"),
        ({"OPENROUTER_API_KEY": "k"}, "openrouter", "https://openrouter.ai/api/v1", "k"),
        ({"GEMINI_API_KEY": "k"}, "gemini", None, "k"),
        ({"GOOGLE_API_KEY": "k"}, "gemini", None, "k"),
        ({"PERPLEXITY_API_KEY": "k"}, "perplexity", "https://api.perplexity.ai", "k"),
        ({"PPLX_API_KEY": " k\n"}, "perplexity", "https://api.perplexity.ai", "k"),
        ({"AIR_API_KEY": "k"}, "airefinery", None, "k"),
        ({"AIREFINERY_API_KEY": "k"}, "airefinery", None, "k"),
        ({"AZURE_OPENAI_API_KEY": "k", "AZURE_OPENAI_ENDPOINT": "https://x.openai.azure.com"}, "azure", None, "k"),
        ({"LLAMACPP_BASE_URL": "http://127.0.0.1:8080"}, "llamacpp", "http://127.0.0.1:8080", ""),
        ({"LLAMA_CPP_BASE_URL": "http://gpu:1", "LLAMACPP_API_KEY": "k"}, "llamacpp", "http://gpu:1", "k"),
        ({"COMPATIBLE_BASE_URL": "https://llm.example/v1/", "COMPATIBLE_API_KEY": "k"}, "compatible", None, "k"),
        ({"OLLAMA_HOST": "0.0.0.0"}, "ollama", "http://127.0.0.1:11434", ""),
        ({"VLLM_BASE_URL": "http://gpu.example:8000/v1"}, "vllm", "http://gpu.example:8000/v1", ""),
        ({"LMSTUDIO_BASE_URL": "http://127.0.0.1:1234/v1"}, "lmstudio", "http://127.0.0.1:1234/v1", ""),
        ({"OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}, "openai", "http://127.0.0.1:9/v1", ""),
        ({"GEMINI_BASE_URL": "http://192.168.0.2:9"}, "gemini", "http://192.168.0.2:9", ""),
        ({"PPLX_BASE_URL": "http://localhost:9"}, "perplexity", "http://localhost:9", ""),
        ({"AIR_BASE_URL": "http://[::1]:9"}, "airefinery", "http://[::1]:9", ""),
    ],
)
def test_a_provider_is_there_when_its_variables_are(
    environ: dict[str, str], name: str, base_url: str | None, key: str
) -> None:
    config = load(environ=environ)
    assert names(config) == [name, "demo"]
    found = provider(config, name)
    assert found.api_key == key
    assert base_url in (None, found.base_url)


AZURE = {"AZURE_OPENAI_API_KEY": "k", "AZURE_OPENAI_ENDPOINT": "https://x.openai.azure.com"}


@pytest.mark.parametrize(
    ("environ", "options"),
    [
        (AZURE, {}),
        ({**AZURE, "AZURE_OPENAI_API_VERSION": "2025-04-01-preview"}, {"api_version": "2025-04-01-preview"}),
        ({**AZURE, "OPENAI_API_VERSION": "a", "AZURE_OPENAI_API_VERSION": "b"}, {"api_version": "a"}),
    ],
)
def test_options_come_from_the_variables_that_the_adapter_declares(
    environ: dict[str, str], options: dict[str, str]
) -> None:
    assert provider(load(environ=environ), "azure").options == options


def test_an_option_in_the_file_goes_before_the_environments(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "llmproxy.toml"
    file.write_text('[providers.azure]\napi_version = "2024-10-21"\n')
    config = load(file, environ={**AZURE, "OPENAI_API_VERSION": "2025-01-01"})
    assert provider(config, "azure").options == {"api_version": "2024-10-21"}


@pytest.mark.parametrize(
    "environ",
    [
        {"OPENAI_API_KEY": ""},
        {"OPENAI_BASE_URL": "https://api.openai.com/v1"},  # public, and no key
        {"AZURE_OPENAI_API_KEY": "k"},  # where?
        {"COMPATIBLE_API_KEY": "k"},
        {"LLAMACPP_API_KEY": "k"},
    ],
)
def test_half_of_what_a_provider_needs_is_not_a_provider(environ: dict[str, str]) -> None:
    assert names(load(environ=environ)) == ["demo"]


def test_the_gateways_own_settings_come_from_the_environment_too(tmp_path: pathlib.Path) -> None:
    config = load(
        environ={
            "LLMPROXY_HOST": "127.0.0.2",
            "LLMPROXY_PORT": "9000",
            "LLMPROXY_WORKERS": "2",
            "LLMPROXY_LOG_LEVEL": "debug",
            "LLMPROXY_LOG_FORMAT": "json",
            "LLMPROXY_DATA_DIR": str(tmp_path),
        }
    )
    assert (config.server.host, config.server.port, config.server.workers) == ("127.0.0.2", 9000, 2)
    assert (config.logs.level, config.logs.format, config.storage.dir) == ("debug", "json", str(tmp_path))


def test_the_operators_key_is_an_administrator_and_clients_keys_are_not() -> None:
    keys = load(environ={"LLMPROXY_KEY": "own", "LLMPROXY_KEYS": "one, two"}).server.keys
    assert [(key.secret, key.admin) for key in keys] == [("own", True), ("one", False), ("two", False)]


def test_data_go_where_the_platform_keeps_them() -> None:
    assert load(environ={"XDG_DATA_HOME": "/data"}).storage.dir == "/data/llmproxy"
    assert load(environ={"HOME": "/home/me"}).storage.dir == "/home/me/.local/share/llmproxy"


def test_the_command_line_has_the_last_word() -> None:
    assert load(None, {"LLMPROXY_PORT": "9000"}, {"port": 9001}).server.port == 9001


# With a file


def test_a_file_in_the_working_directory_is_found(read: Reader) -> None:
    read("[server]\nport = 9002\n")
    assert load(environ={}).server.port == 9002


def test_the_file_named_in_the_environment_is_read(tmp_path: pathlib.Path) -> None:
    (tmp_path / "other.toml").write_text("[server]\nport = 9003\n", encoding="utf-8")
    config = load(environ={"LLMPROXY_CONFIG": str(tmp_path / "other.toml")})
    assert (config.server.port, config.source) == (9003, str(tmp_path / "other.toml"))


def test_the_environment_overrides_the_file(read: Reader) -> None:
    assert read("[server]\nport = 9002\n", {"LLMPROXY_PORT": "9004"}).server.port == 9004


def test_every_table_is_read(read: Reader) -> None:
    config = read(
        """
        default_model = "fast"
        [server]
        port = 1234
        keys = ["${GATEWAY_KEY}", { name = "ci", secret = "s", admin = true, models = ["demo/*"], detach = false }]
        [limits]
        retries = 0
        on_disconnect = "drain"
        [logs]
        format = "json"
        [storage]
        enabled = false
        [providers.groq]
        adapter = "compatible"
        base_url = "https://groq.example/v1"
        headers = { "X-Team" = "a" }
        timeouts = { connect = 2, first_frame = 9.5 }
        max_concurrent = 4
        stream_options = false
        [aliases]
        fast = "groq/small"
        deep = ["groq/large", "fast"]
        mix = { weights = { "groq/a" = 1, "groq/b" = 2.5 } }
        farm = { weights = ["groq/a", "groq/b"] }
        [aliases.auto]
        rules = [{ when = { keywords = ["news"], images = false }, use = "deep", why = "live data" }]
        default = "fast"
        [modes.writer]
        model = "deep"
        system = "Write."
        parameters = { temperature = 0.9 }
        """,
        {"GATEWAY_KEY": "secret", "GROQ_API_KEY": "gk"},
    )
    assert config.server.keys == (
        Key("key-e4d1d1e47176", "secret", formerly="key-1"),
        Key("ci", "s", admin=True, models=("demo/*",), detach=False),
    )
    groq = provider(config, "groq")
    assert (groq.adapter, groq.api_key, groq.max_concurrent) == ("compatible", "gk", 4)
    assert (groq.timeouts.connect, groq.timeouts.first_frame, groq.headers) == (2.0, 9.5, {"X-Team": "a"})
    assert groq.options == {"stream_options": False}
    assert config.aliases["deep"] == Alias("deep", chain=("groq/large", "fast"))
    assert config.aliases["mix"].weights == {"groq/a": 1.0, "groq/b": 2.5}
    assert config.aliases["farm"].weights == {"groq/a": 1.0, "groq/b": 1.0}
    rule = Rule(("deep",), When(keywords=("news",), images=False), "live data")
    assert config.aliases["auto"] == Alias("auto", rules=(rule,), default=("fast",))
    assert (config.modes["writer"].parameters, config.default_model) == ({"temperature": 0.9}, "fast")
    assert (config.limits.on_disconnect, config.limits.retries, config.storage.enabled) == ("drain", 0, False)


def test_providers_stand_in_the_files_order_then_the_environments_then_the_demo(read: Reader) -> None:
    text = '[providers.demo]\n[providers.ollama]\n[providers.b]\nadapter="compatible"\nbase_url="http://b"\n'
    assert names(read(text, {"OPENAI_API_KEY": "k"})) == ["ollama", "b", "openai", "demo"]


def test_a_provider_can_be_switched_off_wherever_it_comes_from(read: Reader) -> None:
    text = '[providers.demo]\nenabled = false\n[providers.openai]\nenabled = false\napi_key = "${NOT_SET}"\n'
    assert names(read(text, {"OPENAI_API_KEY": "k"})) == []


def test_the_environment_gives_the_key_that_a_table_leaves_out(read: Reader) -> None:
    config = read("[providers.openai]\nretries = 1\n", {"OPENAI_API_KEY": "k"})
    assert (provider(config, "openai").api_key, provider(config, "openai").retries) == ("k", 1)


def test_a_key_is_never_sent_to_another_address_than_its_own_service(read: Reader) -> None:
    text = '[providers.other]\nadapter = "openai"\nbase_url = "https://elsewhere.example/v1"\n'
    with pytest.raises(ConfigError, match="OTHER_API_KEY"):
        read(text, {"OPENAI_API_KEY": "k"})


def test_a_key_can_stand_in_a_file_beside_the_config(read: Reader, tmp_path: pathlib.Path) -> None:
    (tmp_path / "key").write_text("from-file\n", encoding="utf-8")
    assert provider(read('[providers.openai]\napi_key_file = "key"\n'), "openai").api_key == "from-file"


def test_secrets_do_not_show_when_a_config_is_printed(read: Reader) -> None:
    config = read('[server]\nkeys = ["hush-client"]\n[providers.openai]\napi_key = "hush-provider"\n')
    assert "hush" not in repr(config)


@pytest.mark.parametrize(
    ("written", "environ", "meant"),
    [
        ("${NAME}", {"NAME": "x"}, "x"),
        ("a-${NAME}-b", {"NAME": "x"}, "a-x-b"),
        ("${NAME:-y}", {}, "y"),
        ("${NAME:-y}", {"NAME": ""}, "y"),
        ("${NAME:-}", {}, ""),
        ("$${NAME}", {}, "${NAME}"),
        ("$NAME", {"NAME": "x"}, "$NAME"),
    ],
)
def test_variables_are_replaced_in_text(read: Reader, written: str, environ: dict[str, str], meant: str) -> None:
    assert read(f'[modes.m]\nsystem = "{written}"\n', environ).modes["m"].system == meant


def test_a_variable_may_hold_a_number(read: Reader) -> None:
    assert read('[server]\nport = "${MY_PORT}"\n', {"MY_PORT": "77"}).server.port == 77


# Wrong ones: (text, line, what the message says)

WRONG: list[tuple[str, int, str]] = [
    ("[server]\nprot = 1", 2, 'server.prot: there is no such setting (did you mean "port"?)'),
    ("[sevrer]\nport = 1", 1, 'did you mean "server"?'),
    ('[server]\nport = "many"', 2, "server.port: must be a whole number, not text"),
    ("[server]\nport = 99999", 2, "must be from 0 to 65535"),
    ("[limits]\n\ndeadline = -1", 3, "limits.deadline: -1 is out of range"),
    (
        '[limits]\non_disconnect = "cancle"',
        2,
        'this value is not one of cancel, drain, detach (did you mean "cancel"?)',
    ),
    ('[logs]\nlevel = "loud"', 2, "is not one of debug, info, warning, error"),
    ("server = 3", 1, "server: expected a table, got a number"),
    ("[server]\nport = 1\nport = 2", 3, "is not valid TOML"),
    ("[server", 1, "is not valid TOML"),
    ('[server]\nkeys = ["a",\n  "a"]', 3, "server.keys[1]: has the name or the secret of an earlier key"),
    ('[server]\nkeys = [""]', 2, "the secret is empty"),
    ('[[server.keys]]\nsecret = "a"\n[[server.keys]]\nadmin = true', 3, "server.keys[1]: needs `secret`"),
    ('[modes.m]\nsystem = "${UNSET}"', 2, "the environment variable UNSET is not set"),
    ("[providers.acme]", 1, "needs `adapter`"),
    ('[providers.x]\nadapter = "opnai"', 2, 'did you mean "openai"?'),
    ("[providers.openai]", 1, "has no key: set OPENAI_API_KEY in the environment"),
    ("[providers.ollama]\nbase_ulr = 'x'", 2, 'did you mean "base_url"?'),
    ("[providers.ollama]\nbase_url = 'ftp://x'", 2, "must begin with http:// or https://"),
    ("[providers.ollama]\nbase_url = 'http://u:pw@x'", 2, "put the key into api_key"),
    ("[providers.ollama]\nbase_url = 'http://169.254.169.254/v1'", 2, "cloud metadata address"),
    ("[providers.ollama]\nbase_url = 'http://[fd00:ec2::254]/'", 2, "cloud metadata address"),
    ("[providers.ollama]\nbase_url = 'http://0xA9FEA9FE/'", 2, "cloud metadata address"),
    ("[providers.compatible]", 1, "needs `base_url`"),
    ("[providers.ollama.timeouts]\nconect = 1", 2, "providers.ollama.timeouts.conect"),
    ("[providers.ollama]\nmodels = ['a', 3]", 2, "providers.ollama.models[1]: must be text, not a whole number"),
    ("[providers.ollama]\nenabled = 'no'", 2, "is either true or false"),
    ("[providers.openai]\napi_key_file = 'nope'", 2, "cannot read the file that is named here: No such file"),
    ("[providers.ollama]\nproxy = 'ftp://u:pw@x:1'", 2, "must be an HTTP proxy"),
    ("[providers.ollama]\nproxy = 'http://x:99999'", 2, "must be an HTTP proxy"),
    ("[providers.ollama]\nca_file = 'nope'", 2, "cannot read the file that is named here: No such file"),
    ("[providers.'a/b']\nadapter = 'demo'", 1, "has no slash"),
    ("[aliases]\na = 'b'\nb = ['x/y', 'a']", 2, "stands for itself (a -> b -> a)"),
    ("[aliases]\na = 'a'", 2, "stands for itself (a -> a)"),
    ("[aliases]\na = 3", 2, "aliases.a: must be"),
    ("[aliases]\na = []", 2, "names no model"),
    ("[aliases]\n'demo/x' = 'demo/y'\n[providers.demo]", 2, "would never be used"),
    ("[aliases.a]\nweights = { x = 1,  y = 0 }", 2, "a weight is a number above zero"),
    ("[aliases.a]\nwieghts = { x = 1 }", 1, "an alias is a model, a list of models"),
    ("[aliases.a]\nrules = [\n  { use = 'x' },\n  { use = 'x', when = { imges = true } }]", 4, 'mean "images"?'),
    ("[aliases.a]\nrules = [{ when = {} }]", 2, "aliases.a.rules[0]: a rule needs `use`"),
    ("[modes.m]\nmodle = 'x'", 2, 'did you mean "model"?'),
]


@pytest.mark.parametrize(("text", "line", "said"), WRONG, ids=[said[:40] for _, _, said in WRONG])
def test_a_wrong_file_is_told_with_place_and_reason(read: Reader, text: str, line: int, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text)
    message = str(caught.value)
    assert f"llmproxy.toml:{line}: " in message
    assert said in message
    assert "\n" not in message


def test_a_missing_file_is_told() -> None:
    with pytest.raises(ConfigError, match=r"nope\.toml: cannot be read: No such file"):
        load(pathlib.Path("nope.toml"), {})


def test_a_wrong_variable_is_told_by_its_name() -> None:
    with pytest.raises(ConfigError, match="environment variable LLMPROXY_PORT: must be a whole number"):
        load(environ={"LLMPROXY_PORT": "http"})
    with pytest.raises(ConfigError, match="environment variable OPENAI_BASE_URL: must begin with http"):
        load(environ={"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "ftp://x"})


def test_an_error_never_shows_what_a_variable_held(read: Reader) -> None:
    for text in (
        '[logs]\nlevel = "${S}"',
        '[server]\nport = "${S}"',
        '[providers.ollama]\nbase_url = "http://u:${S}@x"',
    ):
        with pytest.raises(ConfigError) as caught:
            read(text, {"S": "hush-hush"})
        assert "hush" not in str(caught.value)


# The open listener


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "", "example.com"])
def test_listening_beyond_loopback_takes_a_key(host: str) -> None:
    with pytest.raises(ConfigError, match="LLMPROXY_KEY"):
        load(environ={}, overrides={"host": host})
    assert load(environ={"LLMPROXY_KEY": "k"}, overrides={"host": host}).server.host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_listening_on_loopback_takes_none(host: str) -> None:
    assert load(environ={}, overrides={"host": host}).server.host == host


def test_what_an_address_is() -> None:
    assert [is_loopback(host) for host in ("127.1", "::ffff:127.0.0.1", "localhost", "10.0.0.1")] == [
        True,
        True,
        True,
        False,
    ]
    assert [is_private(host) for host in ("10.0.0.1", "ollama", "nas.local", "8.8.8.8", "openai.com")] == [
        True,
        True,
        True,
        False,
        False,
    ]
    assert [is_metadata(host) for host in ("169.254.1.1", "fe80::1", "metadata.google.internal", "10.0.0.1")] == [
        True,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("gpu", "http://gpu:11434"),
        ("gpu:1", "http://gpu:1"),
        ("0.0.0.0:5", "http://127.0.0.1:5"),
        ("https://x/v1/", "https://x/v1"),
    ],
)
def test_an_address_is_completed(written: str, meant: str) -> None:
    assert completed(written, "http://127.0.0.1:11434/v1") == meant


# Lines

LINES = '''# a comment with [table] = "and" more
top = 1
a.b."c.d" = { x = 1, y.z = [1, 2] }

[server] # [not.this]
"quoted key" = """
[fake]
fake = 1
"""
list = [
  "a", # ]
  [1,
   2],
  { deep = 'v' },
]
[[many]]
k = 1
[many.sub]
k = 1979-05-27 07:32:00
[[many]]
k = 3.5
[x . "y.z"]
'''


def test_the_line_of_every_key_is_known() -> None:
    lines = Scanner(LINES).lines
    assert {
        ("top",): 2,
        ("a", "b", "c.d", "x"): 3,
        ("a", "b", "c.d", "y", "z", 1): 3,
        ("server",): 5,
        ("server", "quoted key"): 6,
        ("server", "list"): 10,
        ("server", "list", 0): 11,
        ("server", "list", 1, 1): 13,
        ("server", "list", 2, "deep"): 14,
        ("many", 0, "k"): 17,
        ("many", 0, "sub", "k"): 19,
        ("many", 1): 20,
        ("many", 1, "k"): 21,
        ("x", "y.z"): 22,
    }.items() <= lines.items()
    assert ("server", "fake") not in lines


def test_every_key_that_tomllib_finds_has_a_line() -> None:
    def walk(value: Any, path: tuple[str | int, ...]) -> list[tuple[str | int, ...]]:
        inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        return [path, *(deeper for key, one in inner for deeper in walk(one, (*path, key)))]

    lines = Scanner(LINES).lines
    missing = [path for path in walk(tomllib.loads(LINES), ()) if path and path not in lines]
    # Headers give the tables they name; those in between are written nowhere.
    assert missing == [("x",)]


def test_the_reference_names_every_setting_and_every_variable() -> None:
    text = (pathlib.Path(__file__).parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")
    tables = (Server, Key, Limits, Logs, Storage, Provider, Timeouts, Breaker, When, Mode)
    settings = {field.name for table in tables for field in dataclasses.fields(table)} - {"source", "formerly"}
    declared = [adapter_registry.load(name).environment for name in adapter_registry.names()]
    variables = {one for each in declared for one in (*each.keys, *each.base_urls)} | set(SETTINGS)
    named = set(re.findall(r"\w+", text))
    assert (settings | variables) - named == set()


def test_the_example_in_the_repository_is_valid_without_any_key() -> None:
    example = pathlib.Path(__file__).parents[2] / "llmproxy.example.toml"
    assert "auto" in load(example, {}).aliases
