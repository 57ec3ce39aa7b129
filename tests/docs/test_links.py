"""Links between the documents lead somewhere, and numbers in the README come from where they were measured."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.markdown import PAGES, ROOT, anchors, links, prose

INSIDE = [
    pytest.param(page, link, id=f"{page.name}:{link}")
    for page in PAGES
    for link in links(page)
    if "://" not in link and not link.startswith("mailto:")
]


@pytest.mark.parametrize(("page", "link"), INSIDE)
def test_a_link_leads_to_a_file_and_a_heading_that_are_there(page: Path, link: str) -> None:
    name, _, anchor = link.partition("#")
    target = (page.parent / name).resolve() if name else page
    assert target.is_relative_to(ROOT)
    assert target.exists()
    assert not anchor or anchor in anchors(target)


def test_what_the_readme_measures_is_in_the_measurements() -> None:
    measured = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    claims = re.findall(r"(\d+) (MB|us|times)\b", prose(ROOT / "README.md"))
    assert claims
    for number, unit in claims:
        assert re.search(rf"\b{number} {'x' if unit == 'times' else unit}\b", measured), f"{number} {unit}"
