"""Variables as files, shells, container engines and people leave them: what was meant counts, the rest is one sentence."""

from __future__ import annotations

import os
import pathlib
import pwd
from collections.abc import Mapping

import pytest

from llmproxy.config import ConfigError, load, reach
from llmproxy.config.addresses import completed
from llmproxy.config.cleaned import cleaned

KEY = "s3cret-0123456789"


@pytest.fixture(autouse=True)
def nowhere(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


# What surrounds a value

AROUND = [
    "{}\n",
    "{}\r",
    "{}\r\n",
    "  {}\t ",
    '"{}"',
    "'{}'",
    '"{}"\r',
    ' "{} "',
    "\ufeff{}",
    "\u200b{}\xa0",
    "\u201c{}\u201d",
]


@pytest.mark.parametrize("around", AROUND)
def test_what_surrounds_a_value_is_not_part_of_it(around: str) -> None:
    written = {
        "LLMPROXY_KEY": KEY,
        "LLMPROXY_KEYS": "client-0123456789",
        "LLMPROXY_HOST": "127.0.0.2",
        "LLMPROXY_PORT": "23011",
        "LLMPROXY_WORKERS": "2",
        "LLMPROXY_DISCOVER": "no",
        "LLMPROXY_LOG_LEVEL": "INFO",
        "LLMPROXY_LOG_FORMAT": "json",
        "LLMPROXY_DATA_DIR": "/x/data",
        "OPENAI_API_KEY": "sk-one",
        "OPENAI_BASE_URL": "https://llm.example/v1",
    }
    config = load(environ={name: around.format(value) for name, value in written.items()})
    server = config.server
    assert [key.secret for key in server.keys] == [KEY, "client-0123456789"]
    assert (server.host, server.port, server.workers, server.discover) == ("127.0.0.2", 23011, 2, False)
    assert (config.logs.level, config.logs.format, config.storage.dir) == ("info", "json", "/x/data")
    openai = config.providers[0]
    assert (openai.api_key, openai.base_url) == ("sk-one", "https://llm.example/v1")


@pytest.mark.parametrize("around", AROUND)
def test_nor_is_it_where_the_file_refers_to_a_variable(tmp_path: pathlib.Path, around: str) -> None:
    file = tmp_path / "other.toml"
    file.write_text('[server]\nkeys = ["${K}"]\nport = "${P}"\n[providers.openai]\nheaders = { "X-Team" = "${T}" }\n')
    environ = {"K": KEY, "P": "77", "T": "a team", "OPENAI_API_KEY": "k"}
    config = load(file, {name: around.format(value) for name, value in environ.items()})
    assert (config.server.keys[0].secret, config.server.port) == (KEY, 77)
    assert config.providers[0].headers == {"X-Team": "a team"}


def test_a_key_that_was_saved_with_a_byte_order_mark_and_quotes_is_read(tmp_path: pathlib.Path) -> None:
    (tmp_path / "key").write_bytes(b'\xef\xbb\xbf"sk-one"\r\n')
    (tmp_path / "llmproxy.toml").write_text('[providers.openai]\napi_key_file = "key"\n')
    assert load(environ={}).providers[0].api_key == "sk-one"


@pytest.mark.parametrize("value", ["", " ", "\r\n", '""', "' '"])
def test_what_holds_nothing_is_not_set(value: str) -> None:
    names = ("LLMPROXY_PORT", "LLMPROXY_KEY", "LLMPROXY_LOG_LEVEL", "LLMPROXY_CONFIG", "OPENAI_API_KEY")
    config = load(environ=dict.fromkeys(names, value))
    assert (config.server.port, config.server.keys, [one.name for one in config.providers]) == (8811, (), ["demo"])


@pytest.mark.parametrize("value", ['say "hi"', "it's", '"a" and "b"', "'", '"'])
def test_quotes_inside_a_value_stay(value: str) -> None:
    assert cleaned(value) == value


# Words and numbers


@pytest.mark.parametrize("word", ["no", "No", "OFF", "false", "False", "0", "n", "f", "disabled"])
def test_no_is_no_in_any_word(word: str) -> None:
    assert load(environ={"LLMPROXY_DISCOVER": word}).server.discover is False


@pytest.mark.parametrize("word", ["yes", "YES", "on", "true", "True", "1", "y", "t", "enabled"])
def test_yes_is_yes_in_any_word(word: str) -> None:
    assert load(environ={"LLMPROXY_DISCOVER": word}).server.discover is True


def test_another_word_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(ConfigError, match="LLMPROXY_DISCOVER: must be one of true, false, yes, no"):
        load(environ={"LLMPROXY_DISCOVER": "maybe"})


@pytest.mark.parametrize(
    ("word", "level"),
    [("INFO", "info"), ("Warn", "warning"), ("WARNING", "warning"), ("CRITICAL", "error"), ("trace", "debug")],
)
def test_log_levels_are_known_as_other_programs_write_them(word: str, level: str) -> None:
    assert load(environ={"LLMPROXY_LOG_LEVEL": word}).logs.level == level


def test_a_port_that_kubernetes_sets_for_a_service_does_not_count_and_is_told() -> None:
    config = load(environ={"LLMPROXY_PORT": "tcp://10.0.0.1:8811"})
    assert config.server.port == 8811
    assert any("LLMPROXY_PORT" in note for note in config.notes)
    assert reach(environ={"LLMPROXY_PORT": "tcp://10.0.0.1:8811"}).base_url == "http://127.0.0.1:8811/v1"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (":11434", "http://127.0.0.1:11434"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("http://0.0.0.0:11434", "http://127.0.0.1:11434"),
        ("http://0.0.0.0:11434/v1/", "http://127.0.0.1:11434/v1"),
        ("[::]:11434", "http://[::1]:11434"),
        ("::", "http://[::1]:11434"),
        ("::1", "http://[::1]:11434"),
        ("*:5", "http://127.0.0.1:5"),
        ("gpu/v1", "http://gpu:11434/v1"),
        ("https://gpu", "https://gpu"),
        ("HTTP://gpu:1", "HTTP://gpu:1"),
    ],
)
def test_an_address_to_listen_on_is_completed_to_one_that_can_be_asked(written: str, meant: str) -> None:
    assert completed(written, "http://127.0.0.1:11434/v1") == meant
    assert load(environ={"OLLAMA_HOST": written}).providers[0].base_url == meant


# Keys


def test_the_operators_key_is_one_key_with_its_commas() -> None:
    assert [key.secret for key in load(environ={"LLMPROXY_KEY": "abc,defghijkl"}).server.keys] == ["abc,defghijkl"]
    assert reach(environ={"LLMPROXY_KEY": "abc,defghijkl"}).key == "abc,defghijkl"


def test_clients_keys_are_parted_by_commas_and_lines() -> None:
    keys = load(environ={"LLMPROXY_KEYS": 'one-key, "two-key"\r\nthree-key,\n'}).server.keys
    assert [key.secret for key in keys] == ["one-key", "two-key", "three-key"]
    assert reach(environ={"LLMPROXY_KEYS": "one-key,two-key"}).key == "one-key"


def test_a_key_that_is_given_twice_stays_the_operators_and_is_told(tmp_path: pathlib.Path) -> None:
    (tmp_path / "llmproxy.toml").write_text('[[server.keys]]\nname = "ci"\nsecret = "${LLMPROXY_KEY}"\n')
    config = load(environ={"LLMPROXY_KEY": KEY, "LLMPROXY_KEYS": f"other,{KEY}"})
    assert [(key.secret, key.admin) for key in config.server.keys] == [(KEY, True), ("other", False)]
    assert len([note for note in config.notes if "same secret" in note]) == 2
    assert KEY not in "".join(config.notes)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OPENAI_API_KEY", "sk\u2013abc"),
        ("OPENAI_API_KEY", "sk-one\nsk-two"),
        ("OPENAI_API_KEY", "sk\x00abc"),
        ("LLMPROXY_KEY", "one\ntwo"),
    ],
)
def test_a_key_that_no_header_can_hold_is_refused_and_not_shown(variable: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"environment variable {variable}: character ") as caught:
        load(environ={variable: value})
    assert value not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        '[providers.openai]\napi_key = "sk\u2013abc"',
        '[providers.openai]\napi_key = "${S}"',
        '[providers.openai]\napi_key_file = "sk-abcdefghijklmnop"',
        '[providers.openai]\napi_key_file = "${S}"',
        '[providers.x]\nadapter = "${S}"',
        '[server]\ndiscover = "${S}"',
        '[server]\nkeys = ["one\\ntwo"]',
    ],
)
def test_no_error_repeats_what_may_be_a_key(tmp_path: pathlib.Path, text: str) -> None:
    (tmp_path / "llmproxy.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(environ={"S": "hush\u2013hush"})
    for secret in ("hush", "abc", "two"):
        assert secret not in str(caught.value)


# Places


def test_without_home_the_users_own_is_taken_and_without_that_none_in_the_working_directory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for variable in ("HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(variable, raising=False)
    own = pwd.getpwuid(os.getuid()).pw_dir
    assert load(environ={}).storage.dir == os.path.join(own, ".local/share/llmproxy")

    def unknown(_: int) -> pwd.struct_passwd:
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert load(environ={}).storage.dir == "/var/lib/llmproxy"


def test_a_variable_of_windows_says_nothing_elsewhere() -> None:
    assert load(environ={"LOCALAPPDATA": "/mnt/c/x", "HOME": "/home/me"}).storage.dir.startswith("/home/me/")


def test_a_directory_in_the_configs_place_is_refused(tmp_path: pathlib.Path) -> None:
    (tmp_path / "llmproxy.toml").mkdir()
    with pytest.raises(ConfigError, match="is a directory, not a file: a container engine makes one"):
        load(environ={})
    with pytest.raises(ConfigError, match=r"llmproxy\.toml: cannot be read: Is a directory"):
        load(tmp_path / "llmproxy.toml", {})


def test_a_link_to_a_config_that_is_missing_is_refused(tmp_path: pathlib.Path) -> None:
    (tmp_path / "llmproxy.toml").symlink_to(tmp_path / "gone.toml")
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load(environ={})


def test_a_working_directory_that_may_not_be_searched_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: object) -> os.stat_result:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "lstat", refused)
    with pytest.raises(ConfigError, match="cannot be looked for: Permission denied"):
        load(environ={})


def test_a_relative_folder_without_a_working_directory_is_one_sentence(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(ConfigError, match="there is no working directory"):
        load(environ={"LLMPROXY_DATA_DIR": "data"})
    variables: Mapping[str, str] = {"LLMPROXY_DATA_DIR": "/data"}
    assert load(environ=variables).storage.dir == "/data"


# Proxies


def test_proxies_come_from_the_environment_lower_case_first() -> None:
    environ = {
        "HTTP_PROXY": "http://one:1",
        "https_proxy": " 'http://two:2'\r",
        "HTTPS_PROXY": "http://three:3",
        "ALL_PROXY": "socks5://four:4",
        "NO_PROXY": "corp.example,10.0.0.0/8\n",
    }
    assert load(environ=environ).proxies == {
        "http": "http://one:1",
        "https": "http://two:2",
        "all": "socks5://four:4",
        "no": "corp.example,10.0.0.0/8",
    }


def test_a_header_that_looks_like_a_proxy_under_cgi_does_not_count() -> None:
    assert load(environ={"HTTP_PROXY": "http://evil:1", "REQUEST_METHOD": "GET"}).proxies == {}


@pytest.mark.parametrize("value", ["ftp://me:hush@x:1", "http://", "http://me:hush@x:99999", "http://me:hush@:1"])
def test_a_proxy_that_cannot_be_used_is_refused_and_not_shown(value: str) -> None:
    with pytest.raises(ConfigError, match="environment variable HTTPS_PROXY: must be an HTTP proxy") as caught:
        load(environ={"HTTPS_PROXY": value})
    assert "hush" not in str(caught.value)


def test_secrets_of_proxies_do_not_show() -> None:
    assert "hush" not in repr(load(environ={"HTTPS_PROXY": "http://me:hush@x:1"}))


@pytest.mark.parametrize(
    ("written", "meant"), [("none", ""), ("", ""), ("socks5://x:1", "socks5://x:1"), ("x:3128", "x:3128")]
)
def test_a_provider_may_have_a_proxy_of_its_own_or_none(tmp_path: pathlib.Path, written: str, meant: str) -> None:
    (tmp_path / "llmproxy.toml").write_text(f'[providers.ollama]\nbase_url = "http://gpu"\nproxy = "{written}"\n')
    config = load(environ={"ALL_PROXY": "http://one:1"})
    assert config.providers[0].proxy == meant


@pytest.mark.parametrize("host", ["http://0.0.0.0", "0.0.0.0:8811", "a b", "gw.example/"])
def test_a_host_with_a_scheme_or_a_port_is_refused(host: str) -> None:
    with pytest.raises(ConfigError, match=r"server\.host must be an address or a name to listen on"):
        load(environ={"LLMPROXY_HOST": host, "LLMPROXY_KEY": KEY})


@pytest.mark.parametrize(("host", "meant"), [("[::1]", "::1"), ("localhost", "localhost"), ("::", "::")])
def test_a_host_may_be_an_address_or_a_name(host: str, meant: str) -> None:
    assert load(environ={"LLMPROXY_HOST": host, "LLMPROXY_KEY": KEY}).server.host == meant


# Keys that make no provider


def test_a_services_key_that_no_adapter_reads_is_said_without_the_key() -> None:
    notes = load(environ={"DASHSCOPE_API_KEY": KEY}).notes
    assert [note for note in notes if "DASHSCOPE_API_KEY" in note and "COMPATIBLE_BASE_URL" in note]
    assert KEY not in "".join(notes)


def test_a_key_that_the_file_uses_is_not_said(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "llmproxy.toml"
    file.write_text(
        '[providers.qwen]\nadapter = "compatible"\nbase_url = "https://qwen.example/v1"\napi_key = "${DASHSCOPE_API_KEY}"\n'
    )
    assert not [note for note in load(file, {"DASHSCOPE_API_KEY": KEY}).notes if "DASHSCOPE" in note]


def test_a_key_of_something_else_is_not_said() -> None:
    assert not [note for note in load(environ={"WEATHER_API_KEY": KEY}).notes if "WEATHER" in note]
