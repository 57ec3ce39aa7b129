"""What is installed is what is in the tree, and it says everything it needs."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from llmproxy.core import adapter_registry

ROOT = Path(__file__).parents[1]
HOMES = {"llmproxy": ROOT / "llmproxy", "llmproxy/adapters": ROOT / "adapters"}  # as installed: as in the tree
# Distributions whose modules have another name.
MODULES = {"genai-prices": "genai_prices", "google-genai": "google", "prometheus-client": "prometheus_client"}


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names of the files in a wheel, built from a copy so that the tree stays as it is."""
    copy = tmp_path_factory.mktemp("copy")
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, copy)
    for folder in HOMES.values():
        shutil.copytree(folder, copy / folder.name, ignore=shutil.ignore_patterns("__pycache__", "static"))
    (copy / "llmproxy" / "static" / "assets").mkdir(parents=True)
    (copy / "llmproxy" / "static" / "assets" / "index.js").write_text("")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", "dist", "."]
    subprocess.run(command, cwd=copy, check=True, capture_output=True, text=True)
    (built,) = (copy / "dist").glob("*.whl")
    return set(zipfile.ZipFile(built).namelist())


def sources() -> Iterator[tuple[str, Path]]:
    """Every Python file: its name when installed, and where it is."""
    for home, folder in HOMES.items():
        for path in folder.rglob("*.py"):
            yield f"{home}/{path.relative_to(folder).as_posix()}", path


def imported(path: Path) -> Iterator[str]:
    """The modules that a file imports by their full names, at its top or anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def distribution(requirement: str) -> str:
    return "".join(char if char.isalnum() or char in "-_." else " " for char in requirement).split()[0]


def test_the_wheel_has_every_module_of_the_tree_and_no_other(wheel: set[str]) -> None:
    assert {name for name in wheel if name.endswith(".py")} == {name for name, _ in sources()}


def test_the_wheel_has_the_page_the_types_and_the_licence(wheel: set[str]) -> None:
    assert {"llmproxy/static/assets/index.js", "llmproxy/py.typed"} <= wheel
    assert any(name.endswith("licenses/LICENSE") for name in wheel)


def test_every_adapter_that_is_declared_can_be_loaded(project: dict[str, Any]) -> None:
    declared = project["project"]["entry-points"]["llmproxy.adapters"]
    assert set(declared) <= set(adapter_registry.names())
    for name in declared:
        assert adapter_registry.load(name).environment is not None


def test_the_command_is_installed() -> None:
    command, *others = entry_points(group="console_scripts", name="llmproxy")
    assert {one.value for one in others} <= {command.value}  # a checkout may hold what an earlier name left behind
    assert callable(command.load())


def test_everything_that_is_imported_is_declared(project: dict[str, Any]) -> None:
    about = project["project"]
    wanted = [*about["dependencies"], *(one for extra in about["optional-dependencies"].values() for one in extra)]
    names = [distribution(one) for one in wanted]
    known = {"llmproxy", *sys.stdlib_module_names, *(MODULES.get(name, name.replace("-", "_")) for name in names)}
    # The test kit runs inside somebody's pytest.
    kit = {*known, "pytest"}
    strange = {
        f"{name} imports {module}"
        for name, path in sources()
        for module in imported(path)
        if module.split(".")[0] not in (kit if "/testing/" in name else known)
    }
    assert strange == set()


def test_the_core_imports_no_adapter() -> None:
    guilty = {
        name
        for name, path in sources()
        if not name.startswith("llmproxy/adapters/")
        for module in imported(path)
        if module.startswith(("adapters", "llmproxy.adapters"))
    }
    assert guilty == set()
