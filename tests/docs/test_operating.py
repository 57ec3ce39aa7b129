"""docs/operating.md names every event of the log and every field of a request's line; troubleshooting names codes that exist."""

from __future__ import annotations

import ast
import re

from tests.docs.markdown import ROOT, named, prose, rows, section
from tests.docs.test_api import SOURCES, codes, strings

OPERATING, TROUBLES = ROOT / "docs" / "operating.md", ROOT / "docs" / "troubleshooting.md"
LEVELS = {"debug", "info", "warning", "error", "always"}


def is_log_call(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in LEVELS
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "log"
        and bool(node.args)
    )


def events() -> set[str]:
    """The first argument of every `log.LEVEL(...)`."""
    trees = (ast.walk(ast.parse(path.read_text(encoding="utf-8"))) for path in SOURCES)
    calls = [node for tree in trees for node in tree if is_log_call(node)]
    texts = (one for call in calls for one in ast.walk(call.args[0]))  # type: ignore[attr-defined]  # as is_log_call says
    return {one.value for one in texts if isinstance(one, ast.Constant) and isinstance(one.value, str)}


def test_every_event_is_described_and_no_other() -> None:
    told = {name for row in rows(section(OPERATING, "Logs"))[len(line_rows()) :] for name in named(row[0])}
    assert events() - {"request"} <= told
    assert told <= {text for _, text in strings()}


def test_every_field_of_a_requests_line_is_described_and_no_other() -> None:
    assert {name for row in line_rows() for name in named(row[0])} == fields_in_code()


def test_every_code_in_troubleshooting_exists() -> None:
    told = {name for row in rows(prose(TROUBLES)) for name in named(row[0]) if re.fullmatch(r"[a-z]+(_[a-z]+)+", name)}
    assert told
    assert told <= codes()


def line_rows() -> list[list[str]]:
    """The rows of the first table of the section: the fields."""
    first = section(OPERATING, "Logs").split("Other events", 1)[0]
    return rows(first)


def fields_in_code() -> set[str]:
    source = ast.parse((ROOT / "llmproxy" / "observe" / "request_log.py").read_text(encoding="utf-8"))
    [facts] = [one for one in ast.walk(source) if isinstance(one, ast.FunctionDef) and one.name == "facts"]
    keys = {
        str(node.slice.value)
        for node in ast.walk(facts)
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and node.value.id == "line"  # type: ignore[attr-defined]  # a name
    }
    written = {str(key.value) for one in ast.walk(facts) if isinstance(one, ast.Dict) for key in one.keys}  # type: ignore[union-attr]
    return {*written, *keys, "failures", "dropped", "route"}
