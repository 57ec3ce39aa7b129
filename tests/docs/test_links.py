"""Links between the documents lead somewhere, and numbers in the README come from where they were measured."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.markdown import PAGES, ROOT, anchors, links, prose
from tests.thorough import each

INSIDE = [
    pytest.param(page, link, id=f"{page.name}:{link}")
    for page in PAGES
    for link in links(page)
    if "://" not in link and not link.startswith("mailto:")
]


@each("page, link", INSIDE)
def test_a_link_leads_to_a_file_and_a_heading_that_are_there(page: Path, link: str) -> None:
    name, _, anchor = link.partition("#")
    target = (page.parent / name).resolve() if name else page
    assert target.is_relative_to(ROOT)
    assert target.exists()
    assert not anchor or anchor in anchors(target)


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda page: page.name)
def test_a_page_says_first_what_it_is_for_and_the_readme_leads_to_it(page: Path) -> None:
    title, blank, first = page.read_text(encoding="utf-8").splitlines()[:3]
    assert title.startswith("# ")
    assert not blank
    assert first.startswith("This page ")
    assert str(page.relative_to(ROOT)) in links(ROOT / "README.md")


def test_what_the_readme_measures_is_in_the_measurements() -> None:
    measured = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    claims = re.findall(r"(\d+) (MB|us|times)\b", prose(ROOT / "README.md"))
    assert claims
    for number, unit in claims:
        assert re.search(rf"\b{number} {'x' if unit == 'times' else unit}\b", measured), f"{number} {unit}"
