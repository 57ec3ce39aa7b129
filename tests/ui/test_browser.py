"""What the page is tested with: where it is missing the other tests here are skipped, which in CI must not go unseen."""

from __future__ import annotations

import os

import pytest

from tests.ui.conftest import MISSING


def test_the_page_can_be_tested() -> None:
    if MISSING and not os.environ.get("CI"):
        pytest.skip(MISSING)
    assert not MISSING
