"""`llmproxy.adapter_kit` is one import for everything, and loads only what is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

from llmproxy import adapter_kit


def test_every_name_is_there() -> None:
    for name in dir(adapter_kit):
        assert getattr(adapter_kit, name) is not None


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
