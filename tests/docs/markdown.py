"""What the documents hold that can be checked: fenced blocks, tables, links, headings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md")))

_MARK = re.compile(r"<!-- (?P<kind>run|file|try|not run)(?:: (?P<what>.+))? -->")
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`]+)`")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block. `run`: it is executed, and must print `shows`. `file`: it is this file of an example.

    `why`: why it is not run, or for `try`, what runs it.
    """

    page: str
    line: int
    language: str
    text: str
    run: bool = False
    shows: str = ""
    file: str = ""
    why: str = ""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    source = page.read_text(encoding="utf-8")
    for fence in _FENCE.finditer(source):
        before = source[: fence.start()].rstrip("\n")
        mark = _MARK.fullmatch(before.rpartition("\n")[2])
        kind, what = (mark["kind"], mark["what"] or "") if mark else ("", "")
        yield Block(
            page=page.relative_to(ROOT).as_posix(),
            line=before.count("\n") + 2,
            language=fence[1],
            text=fence[2],
            run=kind == "run",
            shows=what if kind == "run" else "",
            file=what if kind == "file" else "",
            why=what if kind in ("try", "not run") else "",
        )


def every_block() -> list[Block]:
    return [block for page in PAGES for block in blocks(page)]


def section(page: Path, heading: str) -> str:
    """What stands below a heading, until the next of any level."""
    lines = iter(prose(page).splitlines())
    for line in lines:
        if line.lstrip("#").strip() == heading and line.startswith("#"):
            break
    else:
        raise LookupError(f"{page.name} has no heading {heading!r}")
    found: list[str] = []
    for line in lines:
        if line.startswith("#"):
            break
        found.append(line)
    return "\n".join(found)


def rows(text: str) -> list[list[str]]:
    """The rows of the tables in a text, without their heads."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    rules = {number for number, row in enumerate(cells) if all(set(cell) <= set(":-") and cell for cell in row)}
    return [row for number, row in enumerate(cells) if number not in rules and number + 1 not in rules]


def named(text: str) -> list[str]:
    """What stands in backquotes."""
    return _CODE.findall(text)


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def links(page: Path) -> list[str]:
    return _LINK.findall(_CODE.sub("", prose(page)))


def anchors(page: Path) -> set[str]:
    """The fragments that lead to a page's headings, as GitHub makes them."""
    headings = (line.lstrip("#").strip() for line in prose(page).splitlines() if line.startswith("#"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
