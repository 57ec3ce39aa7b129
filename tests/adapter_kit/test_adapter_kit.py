"""`llmproxy.adapter_kit` is one import for everything, and loads only what is used."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from llmproxy import adapter_kit


def test_every_name_is_there() -> None:
    for name in dir(adapter_kit):
        assert getattr(adapter_kit, name) is not None


def test_a_star_gives_the_kit_and_nothing_of_how_it_is_made() -> None:
    given: dict[str, object] = {}
    exec("from llmproxy.adapter_kit import *", given)
    assert set(given) - {"__builtins__"} == set(dir(adapter_kit))


def test_what_type_checkers_see_is_what_is_loaded() -> None:
    tree = ast.parse(Path(str(adapter_kit.__file__)).read_text(encoding="utf-8"))
    typed = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names = {one.asname for node in typed for one in node.names if one.asname}
    assert names | {"API"} == set(dir(adapter_kit))


def test_a_name_that_is_not_there_is_an_error_that_lists_what_is() -> None:
    with pytest.raises(AttributeError, match="OpenAICompatible"):
        _ = adapter_kit.Nothing


def test_importing_it_loads_nothing_of_the_gateway() -> None:
    code = """
import sys, llmproxy.adapter_kit
sys.exit(str([name for name in sys.modules if name.startswith("llmproxy.") and name != "llmproxy.adapter_kit"] or ""))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""


def test_loading_every_adapter_loads_only_contracts_and_bytes() -> None:
    code = """
import sys
from importlib.metadata import entry_points
for one in entry_points(group="llmproxy.adapters"):
    one.load()
print(*{name.split(".")[1] for name in sys.modules if name.startswith("llmproxy.")})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == {"adapter_kit", "adapters", "core", "wire"}
