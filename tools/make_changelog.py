"""Collects the fragments of changelog.d into a section of CHANGELOG.md: `python tools/make_changelog.py 0.2.0`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[1]
KINDS = {"security": "Security", "added": "Added", "changed": "Changed", "fixed": "Fixed", "removed": "Removed"}
_MARK = "<!-- releases -->\n"


def fragments(folder: Path) -> dict[str, list[str]]:
    """Kind: its texts, by file name. Raises ValueError for a file whose name has no known kind."""
    found: dict[str, list[str]] = {}
    for file in sorted(folder.glob("*.md")):
        if file.name != "README.md":
            found.setdefault(_kind(file), []).append(" ".join(file.read_text(encoding="utf-8").split()))
    return found


def section(version: str, day: str, found: dict[str, list[str]]) -> str:
    return "\n".join(_lines(version, day, found))


def _lines(version: str, day: str, found: dict[str, list[str]]) -> Iterator[str]:
    yield f"\n## {version} ({day})\n"
    for kind, title in KINDS.items():
        if kind in found:
            yield f"### {title}\n"
            yield from (f"- {text}" for text in found[kind])
            yield ""


def _kind(file: Path) -> str:
    kind = file.name.split(".")[-2]
    if kind not in KINDS:
        raise ValueError(f"{file.name}: {kind!r} is not one of {', '.join(KINDS)}")
    return kind


def main(version: str) -> None:
    folder, log = ROOT / "changelog.d", ROOT / "CHANGELOG.md"
    before, mark, after = log.read_text(encoding="utf-8").partition(_MARK)
    new = section(version, datetime.now(UTC).date().isoformat(), fragments(folder))
    log.write_text(f"{before}{mark}{new}{after}", encoding="utf-8")
    for file in folder.glob("*.*.md"):
        file.unlink()


if __name__ == "__main__":
    main(*sys.argv[1:])
