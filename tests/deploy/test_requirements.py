"""deploy/requirements.txt pins all that the image installs: versions that pyproject allows, with hashes, from no named host."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "deploy" / "requirements.txt").read_text(encoding="utf-8")
PINNED = re.compile(
    r"^([\w.-]+)==(\S+)(?: ; [^\\\n]+)? \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.MULTILINE
)
EXTRAS = ("fast", "postgres", "redis")


def pins() -> dict[str, Version]:
    return {canonicalize_name(name): Version(version) for name, version, _ in PINNED.findall(TEXT)}


def wanted() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"]
    named = [*project["project"]["dependencies"], *(one for extra in EXTRAS for one in extras[extra])]
    return [Requirement(one) for one in (*named, *project["build-system"]["requires"])]


def test_every_requirement_is_pinned_to_a_version_that_it_allows() -> None:
    found = pins()
    for one in wanted():
        assert found[canonicalize_name(one.name)] in one.specifier, one.name


def test_every_line_is_a_pin_with_hashes_or_a_comment() -> None:
    left = [line for line in PINNED.sub("", TEXT).splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert left == []


def test_no_place_is_named() -> None:
    assert "://" not in TEXT
    assert "index" not in TEXT


def test_the_image_installs_nothing_else() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    installs = re.findall(r"pip install [^\n]*", dockerfile)
    assert len(installs) == 2
    assert "--require-hashes -r requirements.txt" in installs[0]
    assert "--no-deps --no-build-isolation" in installs[1]
    assert all(extra in installs[1] for extra in EXTRAS)
