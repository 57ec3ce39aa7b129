"""The browser of the page's tests, and its contexts: each is a visitor without a past.

The headless shell is the same engine without the windows, menus and extensions of the whole browser, whose own pages take most of
the processor's time of a short test. Nothing is animated, and the worker that keeps the page for times without a network is left
out, but for the tests of these.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Playwright

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((found for name in NAMES if (found := shutil.which(name))), "")
PATIENCE = 30_000  # milliseconds until a test gives up on what should come at once; nothing is asserted about it
AS_USUAL: dict[str, Any] = {
    "viewport": {"width": 1280, "height": 800},
    "reduced_motion": "reduce",
    "service_workers": "block",
}
BLOCKED = "Service Worker registration blocked by Playwright"  # its own warning in the page's console


def launched(playwright: Playwright) -> Browser:
    return playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


def visitor(browser: Browser, **options: Any) -> BrowserContext:
    """A new context; `options` as in Playwright's `new_context`."""
    made = browser.new_context(**{**AS_USUAL, **options})
    made.set_default_timeout(PATIENCE)
    return made
