"""docs/cli.md is what the commands' parsers say."""

from __future__ import annotations

import runpy

from tests.docs.markdown import ROOT


def test_the_page_is_made_from_the_code() -> None:
    made = runpy.run_path(str(ROOT / "tools" / "make_cli_docs.py"))
    assert made["FILE"].read_text(encoding="utf-8") == made["page"](), "run `make docs`"
