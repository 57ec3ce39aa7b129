"""The page as its tests speak of it: ask, stop, read, choose."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from playwright.sync_api import ConsoleMessage, Locator, Page, expect

from tests.ui.browser import BLOCKED, PATIENCE

DONE = 90_000  # the same for an answer of the demo model
LOOK = 50  # milliseconds between two looks at what has no event to wait for
EXPECTED = ("Failed to load resource", BLOCKED)
STARTED = 10  # characters after which an answer is in full flow


class Site:
    """One tab. `complaints` are the errors that its console has seen, but for refused requests, which the page answers itself."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.complaints: list[str] = []
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not any(one in message.text for one in EXPECTED):
            self.complaints.append(message.text)

    def open(self) -> None:
        with self.page.expect_response("**/v1/models"):
            self.page.goto(f"{self.url}/")
        expect(self.composer).to_be_visible()

    @property
    def composer(self) -> Locator:
        return self.page.get_by_label("Your message")

    @property
    def answers(self) -> Locator:
        return self.page.get_by_role("article", name="Answer", exact=True)

    @property
    def questions(self) -> Locator:
        return self.page.get_by_role("article", name="You", exact=True)

    @property
    def chats(self) -> Locator:
        return self.page.locator("nav li a")

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def choose(self, model: str) -> None:
        self.page.locator(".model-button").first.click()
        self.page.get_by_role("combobox", name="Search models").fill(model)
        expect(self.page.get_by_role("option").first).to_be_visible()
        self.page.keyboard.press("Enter")
        expect(self.page.locator(".model-button").first).to_contain_text(model)

    def ask(self, text: str) -> None:
        self.composer.fill(text)
        self.composer.press("Enter")

    def answered(self, text: str, *, at: int = -1) -> Locator:
        """Asks, and waits for the whole answer."""
        before = self.answers.count()
        self.ask(text)
        if at < 0:
            expect(self.answers).to_have_count(before + 1)
        return self.complete(self.answers.nth(at))

    def begun(self, beyond: int = 0) -> None:
        """Waits until words are on the page, and more than there were before."""
        longer = re.compile(rf"[\s\S]{{{beyond + STARTED},}}")
        expect(self.answers.last.locator(".prose")).to_have_text(longer, timeout=DONE)

    def text(self) -> str:
        return str(self.answers.last.locator(".prose").inner_text())

    def complete(self, answer: Locator) -> Locator:
        expect(answer).to_have_attribute("aria-busy", "false", timeout=DONE)
        return answer

    def until(self, holds: Callable[[], object], patience: int = PATIENCE) -> None:
        """Waits for what neither the page nor its policy lets one wait for in it."""
        for _ in range(patience // LOOK):
            if holds():
                return
            self.page.wait_for_timeout(LOOK)
        raise AssertionError("what was waited for did not come")

    def chat_menu(self, item: str) -> None:
        """Chooses from the menu of the first chat in the list."""
        entry = self.page.locator("nav li").first
        entry.hover()
        entry.get_by_role("button", name="Actions for this chat").click()
        self.page.get_by_role("menuitem", name=item).click()

    def kept(self) -> dict[str, Any]:
        """The open thread as the gateway keeps it."""
        thread = self.page.url.rsplit("/", 1)[1]
        found: dict[str, Any] = self.page.request.get(f"{self.url}/threads/{thread}").json()
        return found

    def stored(self) -> list[dict[str, Any]]:
        """The open thread's messages as the gateway keeps them."""
        thread = self.page.url.rsplit("/", 1)[1]
        messages: list[dict[str, Any]] = self.page.request.get(f"{self.url}/threads/{thread}/messages").json()[
            "messages"
        ]
        return messages

    def in_flight(self) -> list[dict[str, Any]]:
        running: list[dict[str, Any]] = self.page.request.get(f"{self.url}/v1/requests").json()["data"]
        return running
