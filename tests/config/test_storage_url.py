"""`[storage] url` says which database is meant, and goes before `dir`."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmproxy.config import Config, ConfigError, load

SERVER = "postgresql://me:hush%20hush@db/llmproxy"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmproxy.config.storage_url.find_spec", lambda name: object())


def written(tmp_path: Path, text: str, **environ: str) -> Config:
    file = tmp_path / "llmproxy.toml"
    file.write_text(f"[storage]\n{text}\n")
    return load(file, environ)


@pytest.mark.parametrize(
    ("url", "folder"),
    [
        ("sqlite:///var/lib/llmproxy", "/var/lib/llmproxy"),
        ("sqlite:///var/lib/llmproxy/llmproxy.db", "/var/lib/llmproxy"),
        ("sqlite:////var/lib/llmproxy", "/var/lib/llmproxy"),
        ("sqlite:///var/my%20data", "/var/my data"),
    ],
)
def test_an_sqlite_url_names_the_folder(tmp_path: Path, url: str, folder: str) -> None:
    storage = written(tmp_path, f'url = "{url}"\ndir = "/elsewhere"').storage
    assert (storage.dir, storage.where) == (folder, Path(folder))


def test_a_relative_one_lies_beside_the_file(tmp_path: Path) -> None:
    assert written(tmp_path, 'url = "sqlite://data"').storage.dir == str(tmp_path / "data")


@pytest.mark.usefixtures("installed")
def test_a_server_goes_before_the_folder_which_stays_for_files(tmp_path: Path) -> None:
    storage = written(tmp_path, f'url = "{SERVER}"\ndir = "/files"').storage
    assert (storage.where, storage.dir) == (SERVER, "/files")


@pytest.mark.usefixtures("installed")
def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    assert written(tmp_path, 'url = "sqlite:///x"', LLMPROXY_STORAGE_URL=SERVER).storage.where == SERVER


def test_without_the_extra_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmproxy.config.storage_url.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'llmproxy-gateway\[postgres\]'"):
        written(tmp_path, f'url = "{SERVER}"')


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("url", ["mysql://me:secret@db/x", "sqlite://", "secret", "postgresql:secret"])
def test_another_one_is_refused_and_not_repeated(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError, match=r"\[storage\] url begins with postgresql://") as error:
        written(tmp_path, f'url = "{url}"')
    assert "secret" not in str(error.value)


@pytest.mark.usefixtures("installed")
def test_a_store_that_is_off_has_no_url(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="enabled = false"):
        written(tmp_path, f'enabled = false\nurl = "{SERVER}"')


@pytest.mark.usefixtures("installed")
def test_the_password_is_in_no_repr(tmp_path: Path) -> None:
    assert "hush" not in repr(written(tmp_path, f'url = "{SERVER}"'))
