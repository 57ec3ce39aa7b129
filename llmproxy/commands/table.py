"""Rows of text as a table for a terminal."""

from __future__ import annotations

from collections.abc import Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell, separated by two spaces; empty columns are left out."""
    kept = [index for index in range(len(head)) if index == 0 or any(row[index] for row in rows)]
    shown = [[plain(row[index]) for index in kept] for row in (head, *rows)]
    widths = [max(len(row[index]) for row in shown) for index in range(len(kept))]
    rule = ["-" * width for width in widths]
    lines = (zip(row, widths, strict=True) for row in (shown[0], rule, *shown[1:]))
    return "\n".join("  ".join(cell.ljust(width) for cell, width in line).rstrip() for line in lines)


def plain(cell: str) -> str:
    """The text on one line, without control characters, which could control the terminal."""
    return "".join(char if char.isprintable() else " " for char in cell)
