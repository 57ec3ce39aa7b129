"""The built page in a real Chromium, in front of a real gateway: the demo model, and a provider that says what it is told."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.gateway import Gateway, running_gateway
from tests.ui.browser import CHROMIUM, PATIENCE, launched, visitor

STATIC = Path(__file__).parents[2] / "llmproxy" / "static"

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

[providers.endless]
adapter = "compatible"
base_url = "{parrot}/v1"
api_key = "unused"
models = ["endless"]
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
        return "the page is not tested: there is no chromium (apt-get install chromium-headless-shell)"
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


@pytest.fixture
def elsewhere() -> Iterator[tuple[str, list[str]]]:
    """A server elsewhere, and what it was asked for."""
    asked: list[str] = []

    class Evil(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Evil) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


if not MISSING:
    from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

    from tests.ui.parrot import Parrot, serving
    from tests.ui.site import Site

    expect.set_options(timeout=PATIENCE)

    @pytest.fixture(scope="session")
    def gateway() -> Iterator[Gateway]:
        with serving(Parrot) as address, running_gateway(CONFIG.format(parrot=address)) as running:
            yield running

    @pytest.fixture(scope="session")
    def started_browser() -> Iterator[tuple[Browser, asyncio.AbstractEventLoop]]:
        """One for all files of a worker, and Playwright's loop, which counts as running only while a file uses it."""
        with sync_playwright() as playwright:
            browser, loop = launched(playwright), asyncio.get_running_loop()
            asyncio._set_running_loop(None)
            yield browser, loop
            asyncio._set_running_loop(loop)
            browser.close()

    @pytest.fixture(scope="module")
    def browser(started_browser: tuple[Browser, asyncio.AbstractEventLoop]) -> Iterator[Browser]:
        """Other files may bring their own loops, so between files Playwright's is set aside: Python allows one in a thread."""
        browser, loop = started_browser
        asyncio._set_running_loop(loop)
        yield browser
        asyncio._set_running_loop(None)

    @pytest.fixture
    def context(browser: Browser) -> Iterator[BrowserContext]:
        with visitor(browser, permissions=["clipboard-read", "clipboard-write"]) as made:
            yield made

    @pytest.fixture
    def page(context: BrowserContext) -> Page:
        return context.new_page()

    @pytest.fixture
    def returning(browser: Browser) -> Iterator[Page]:
        """A page of one who comes back: the worker that keeps the page for times without a network may run."""
        with visitor(browser, service_workers="allow") as made:
            yield made.new_page()

    @pytest.fixture
    def site(page: Page, gateway: Gateway) -> Iterator[Site]:
        """The page, opened; what it complains about in the console fails the test."""
        site = Site(page, gateway.url)
        site.open()
        yield site
        assert site.complaints == []
