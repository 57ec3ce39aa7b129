"""docs/architecture.md names files and functions that exist, and every package."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.docs.markdown import ROOT, named, prose, rows, section

PAGE = ROOT / "docs" / "architecture.md"
FILES = sorted(set(re.findall(r"`([a-z_/]+\.py)`", prose(PAGE))) - {"__init__.py"})
SYMBOLS = re.findall(r"`([a-z_/]+\.py)`, `([A-Za-z_.]+)`", prose(PAGE))
PATH = rows(section(PAGE, "Reading path"))
PATH_LINES = 1050  # the page says about 1,000


def found(name: str) -> Path:
    """A file by its path below the package; of a sentence's second file, the folder may be left out."""
    [path] = (ROOT / "llmproxy").rglob(name)
    return path


@pytest.mark.parametrize("file", FILES)
def test_a_file_exists(file: str) -> None:
    assert found(file).is_file()


@pytest.mark.parametrize(("file", "symbol"), SYMBOLS)
def test_a_symbol_is_in_its_file(file: str, symbol: str) -> None:
    source = found(file).read_text(encoding="utf-8")
    for name in symbol.split("."):
        assert re.search(rf"^\s*(async def|def|class) {name}\b", source, re.MULTILINE), name


def test_every_package_has_a_line() -> None:
    packages = {path.parent.name for path in (ROOT / "llmproxy").glob("*/__init__.py")}
    told = {name.strip("/") for row in rows(section(PAGE, "Packages")) for name in named(row[0])}
    assert packages - {"testing"} <= told


def lines(file: str, part: str) -> int:
    """The lines of a file, or of the classes and functions that the reading path names."""
    source = (ROOT / "llmproxy" / file).read_text(encoding="utf-8")
    if part == "all":
        return len(source.splitlines())
    parts = {getattr(one, "name", ""): one for one in ast.parse(source).body}
    return sum((parts[name].end_lineno or 0) - parts[name].lineno + 1 for name in named(part))


def test_the_reading_path_and_the_glossary_are_short() -> None:
    assert len(PATH) <= 8
    files = [(re.findall(r"\[(.*?)\]", row[0])[0], row[1]) for row in PATH]
    assert sum(lines(file, part) for file, part in files) <= PATH_LINES
    assert len(rows(section(PAGE, "Glossary"))) <= 20
