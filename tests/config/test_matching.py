"""Hosts, origins and patterns that no request could ever match are refused with the form that would."""

from __future__ import annotations

import pathlib

import pytest

from llmproxy.config import Config, ConfigError, load

ORIGINS = [
    ("https://app.example/", 'such as "https://app.example"'),
    ("https://app.example/path", 'such as "https://app.example"'),
    ("app.example", 'such as "https://app.example"'),
    ("localhost:3000", 'such as "https://app.example"'),
    ("HTTPS://App.Example", 'such as "https://app.example"'),
    ("https://app.example:443", 'such as "https://app.example"'),
    ("http://app.example:80", 'such as "https://app.example"'),
    (" https://app.example", 'such as "https://app.example"'),
    ("https://me:pw@app.example", 'such as "https://app.example"'),
    ("https://bücher.example", 'such as "https://app.example"'),
    ("https://*.example.com", 'patterns are not known here; name each one, or "*" for all'),
    ("https://a.example,https://b.example", "one to an entry, without commas"),
    ("https://", 'such as "https://app.example"'),
    ("", 'such as "https://app.example"'),
]
HOSTS = [
    ("https://gw.example", 'such as "gw.example"'),
    ("gw.example:8811", 'such as "gw.example"'),
    ("GW.example", 'such as "gw.example"'),
    ("gw.example/", 'such as "gw.example"'),
    ("::1", 'such as "gw.example"'),
    ("[2001:DB8::1]:80", 'such as "gw.example"'),
    ("*.example.com", 'patterns are not known here; name each one, or "*" for all'),
    ("a.example, b.example", "one to an entry, without commas"),
]
PATTERNS = [
    (" fast", 'such as "openai/gpt-*"'),
    ("openai/", 'such as "openai/gpt-*"'),
    ("/openai/*", 'such as "openai/gpt-*"'),
    ("openai/.*", 'such as "openai/gpt-*"'),
    ("^openai/gpt$", 'such as "openai/gpt-*"'),
    ("a,b", "one to an entry, without commas"),
]
GOOD_ORIGINS = [
    "*",
    "null",
    "http://localhost:3000",
    "https://[::1]:8443",
    "app://obsidian.md",
    "chrome-extension://abc",
]
GOOD_HOSTS = ["*", "gw.example", "gw_1", "10.0.0.1", "[::1]", "xn--bcher-kva.example"]
GOOD_PATTERNS = ["*", "gpt-4.*", "openai/gpt-[45]*", "meta-llama/*", "fast", "o?"]


def read(folder: pathlib.Path, text: str) -> Config:
    (folder / "llmproxy.toml").write_text(text, encoding="utf-8")
    return load(folder / "llmproxy.toml", {})


@pytest.mark.parametrize(("given", "said"), ORIGINS)
def test_an_origin_that_no_browser_sends_is_refused_with_an_example(
    tmp_path: pathlib.Path, given: str, said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, f'[server]\nallowed_origins = ["http://good.example",\n  "{given}"]\n')
    assert "llmproxy.toml:3: server.allowed_origins[1]: can match no Origin header: " in str(caught.value)
    assert said in str(caught.value)
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize(("given", "said"), HOSTS)
def test_a_host_that_no_request_names_is_refused_with_an_example(tmp_path: pathlib.Path, given: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, f'[server]\nallowed_hosts = ["{given}"]\n')
    assert "server.allowed_hosts[0]: can match no Host header: " in str(caught.value)
    assert said in str(caught.value)


@pytest.mark.parametrize(("given", "said"), PATTERNS)
def test_a_pattern_that_no_model_fits_is_refused_with_an_example(tmp_path: pathlib.Path, given: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, f'[[server.keys]]\nsecret = "s"\nmodels = ["{given}"]\n')
    assert "can match no model's name: " in str(caught.value)
    assert said in str(caught.value)


@pytest.mark.parametrize("given", ["demo", "Demo/*", "DEMO/hello"])
def test_a_providers_name_alone_or_in_another_case_is_refused(tmp_path: pathlib.Path, given: str) -> None:
    with pytest.raises(
        ConfigError, match=r'the models of the key ci: an entry can match no name: write "demo/MODEL" or "demo/\*"'
    ):
        read(tmp_path, f'[[server.keys]]\nname = "ci"\nsecret = "s"\nmodels = ["{given}"]\n')


def test_an_alias_may_be_called_like_a_provider(tmp_path: pathlib.Path) -> None:
    text = '[[server.keys]]\nsecret = "s"\nmodels = ["demo"]\n[aliases]\ndemo = "demo/hello"\n'
    assert read(tmp_path, text).server.keys[0].models == ("demo",)


def test_what_can_match_is_taken_as_it_is(tmp_path: pathlib.Path) -> None:
    text = f"[server]\nallowed_origins = {GOOD_ORIGINS}\nallowed_hosts = {GOOD_HOSTS}\n"
    server = read(tmp_path, f'{text}[[server.keys]]\nsecret = "s"\nmodels = {GOOD_PATTERNS}\n').server
    assert [*server.allowed_origins] == GOOD_ORIGINS
    assert [*server.allowed_hosts] == GOOD_HOSTS
    assert [*server.keys[0].models] == GOOD_PATTERNS
