"""The built page in a real Chromium, in front of a real gateway: the demo model, and a provider that says what it is told."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.gateway import Gateway, running_gateway

STATIC = Path(__file__).parents[2] / "llmproxy" / "static"
CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)

CONFIG = """
default_model = "quick/hello"

[providers.demo]
tokens_per_second = 60

[providers.quick]
adapter = "demo"
tokens_per_second = 3000

[providers.parrot]
adapter = "compatible"
base_url = "{parrot}/v1"
api_key = "unused"
models = ["parrot"]
list_models = false

[providers.painter]
adapter = "compatible"
base_url = "{parrot}/v1"
api_key = "unused"
models = ["painter"]
list_models = false

[providers.perplexity]
base_url = "{parrot}"
api_key = "unused"
list_models = false

[aliases]
fast = "quick/hello"

[modes.sketch]
model = "quick/markdown"
"""


def _missing() -> str:
    if find_spec("playwright") is None:
        return "the page is not tested: playwright is not installed (pip install playwright)"
    if not CHROMIUM:
        return "the page is not tested: there is no chromium (apt-get install chromium)"
    if not (STATIC / "index.html").exists():
        return "the page is not tested: it is not built (npm ci && npm run build in ui/)"
    return ""


HERE = Path(__file__).parent
SECONDS = 240  # a test gives up after, so that its own waits say first what did not come
MISSING = _missing()
# Skips with the reason, and in CI fails: that file must be read even if the others cannot be.
SAYS_SO = "test_browser.py"
collect_ignore = [] if find_spec("playwright") else [one.name for one in HERE.glob("test_*.py") if one.name != SAYS_SO]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.timeout(SECONDS))
            if MISSING and item.path.name != SAYS_SO:
                item.add_marker(pytest.mark.skip(reason=MISSING))


if not MISSING:
    from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

    from tests.ui.parrot import Parrot, serving
    from tests.ui.site import PATIENCE, Site

    expect.set_options(timeout=PATIENCE)

    @pytest.fixture(scope="session")
    def gateway() -> Iterator[Gateway]:
        with serving(Parrot) as address, running_gateway(CONFIG.format(parrot=address)) as running:
            yield running

    # For a module, not the session: Playwright's loop must be gone before tests that bring their own.
    @pytest.fixture(scope="module")
    def browser() -> Iterator[Browser]:
        with sync_playwright() as playwright:
            launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            yield launched
            launched.close()

    @pytest.fixture
    def context(browser: Browser) -> Iterator[BrowserContext]:
        made = browser.new_context(
            viewport={"width": 1280, "height": 800}, permissions=["clipboard-read", "clipboard-write"]
        )
        made.set_default_timeout(PATIENCE)
        yield made
        made.close()

    @pytest.fixture
    def page(context: BrowserContext) -> Page:
        return context.new_page()

    @pytest.fixture
    def site(page: Page, gateway: Gateway) -> Iterator[Site]:
        """The page, opened; what it complains about in the console fails the test."""
        site = Site(page, gateway.url)
        site.open()
        yield site
        assert site.complaints == []
