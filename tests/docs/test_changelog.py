"""Fragments of the changelog have a known kind, and become a section by it."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

from tests.docs.markdown import ROOT


@pytest.fixture(scope="module")
def tool() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "tools" / "make_changelog.py"))


def test_every_fragment_has_a_kind_and_a_text(tool: dict[str, Any]) -> None:
    assert all(text for texts in tool["fragments"](ROOT / "changelog.d").values() for text in texts)


def test_a_section_has_the_kinds_in_their_order(tool: dict[str, Any], tmp_path: Path) -> None:
    for name, text in {"a.fixed": "One\nfix.", "b.added": "News.", "c.fixed": "Two."}.items():
        (tmp_path / f"{name}.md").write_text(text)
    made = tool["section"]("0.2.0", "2026-01-31", tool["fragments"](tmp_path))
    assert made == "\n## 0.2.0 (2026-01-31)\n\n### Added\n\n- News.\n\n### Fixed\n\n- One fix.\n- Two.\n"


def test_an_unknown_kind_is_refused_with_the_file(tool: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "a.nonsense.md").write_text("x")
    with pytest.raises(ValueError, match=r"a\.nonsense\.md"):
        tool["fragments"](tmp_path)
