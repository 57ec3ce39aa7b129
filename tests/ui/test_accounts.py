"""What the page says of budgets and usage: an administrator sees everybody's, others their own."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.gateway import Gateway, running_gateway
from tests.ui.browser import visitor
from tests.ui.test_page import AXE, audit
from tests.waiting import until

pytestmark = pytest.mark.thorough

ADMIN, ANNA = "sesame-sesame-admin", "sesame-sesame-anna-1"
CONFIG = f"""
default_model = "quick/hello"

[providers.quick]
adapter = "demo"
tokens_per_second = 3000

[[server.keys]]
name = "boss"
secret = "{ADMIN}"
admin = true

[[server.keys]]
name = "anna"
secret = "{ANNA}"
budget = "20/month"

[[server.keys]]
name = "bert"
secret = "sesame-sesame-bert-1"
budget = "5/day"
"""


@pytest.fixture(scope="module")
def keyed() -> Iterator[Gateway]:
    with running_gateway(CONFIG) as running:
        yield running


def opened(browser: Browser, keyed: Gateway, secret: str, width: int = 1280, scheme: str = "light") -> Page:
    page = visitor(
        browser, viewport={"width": width, "height": 900}, color_scheme="dark" if scheme == "dark" else "light"
    ).new_page()
    page.add_init_script(f"sessionStorage.setItem('llmproxy.key', '{secret}')")
    ask = {"model": "quick/hello", "messages": [{"role": "user", "content": "hi"}]}
    asked = page.request.post(
        f"{keyed.url}/v1/chat/completions", data=ask, headers={"Authorization": f"Bearer {ADMIN}"}
    )
    assert asked.ok, asked.text()
    page.goto(f"{keyed.url}/#/activity")
    expect(page.get_by_role("heading", name="Usage" if secret == ADMIN else "Budgets and usage")).to_be_visible()
    return page


def test_what_was_shown_with_a_key_is_not_shown_without_it(browser: Browser, keyed: Gateway) -> None:
    page = opened(browser, keyed, ANNA)
    expect(page.get_by_text("$20.00 left of $20.00")).to_be_visible()
    expect(page.get_by_role("term").filter(has_text="Time to first token")).to_be_visible()
    page.keyboard.press("Control+,")
    page.get_by_role("button", name="Forget the key").click()
    secret = page.get_by_role("dialog").get_by_label("Key")
    expect(secret).to_be_visible()
    expect(page.get_by_text("$20.00 left of $20.00")).to_have_count(0)
    expect(page.get_by_role("term").filter(has_text="Time to first token")).to_have_count(0)
    secret.fill("sesame-sesame-bert-1")
    secret.press("Enter")
    expect(page.get_by_text("$5.00 left of $5.00")).to_be_visible()
    page.context.close()


def test_one_sees_what_is_left_of_ones_own_budget_and_nobody_elses(browser: Browser, keyed: Gateway) -> None:
    page = opened(browser, keyed, ANNA)
    accounts = page.get_by_role("region", name="Budgets and usage")
    expect(accounts.get_by_text("$20.00 left of $20.00")).to_be_visible()
    expect(accounts.get_by_role("meter")).to_have_count(1)
    with page.expect_response("**/api/usage?by=key"):
        accounts.get_by_role("button", name="Key", exact=True).click()
    expect(accounts).not_to_contain_text("boss")
    expect(accounts).not_to_contain_text("bert")
    page.context.close()


def test_an_administrator_sees_every_budget_and_what_each_key_and_model_used(browser: Browser, keyed: Gateway) -> None:
    page = opened(browser, keyed, ADMIN)
    expect(page.get_by_role("region", name="Keys").get_by_role("meter")).to_have_count(2)
    expect(page.get_by_text("$0 of $5.00, day")).to_be_visible()
    accounts = page.get_by_role("region", name="Usage")
    expect(accounts.get_by_role("cell", name="hello")).to_be_visible()
    accounts.get_by_role("button", name="Key", exact=True).click()
    expect(accounts.get_by_role("cell", name="boss")).to_be_visible()
    page.context.close()


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed (npm ci in ui/)")
@pytest.mark.parametrize(
    ("width", "scheme"),
    [
        (390, "light"),
        pytest.param(1280, "light", marks=pytest.mark.thorough),
        pytest.param(1280, "dark", marks=pytest.mark.thorough),
    ],
)
def test_axe_finds_nothing_and_nothing_is_wider_than_the_window(
    browser: Browser, keyed: Gateway, width: int, scheme: str
) -> None:
    page = opened(browser, keyed, ADMIN, width, scheme)
    accounts = page.get_by_role("region", name="Usage")
    expect(accounts.get_by_role("cell", name="hello")).to_be_visible()
    accounts.scroll_into_view_if_needed()
    found = audit(page, scheme)
    assert not found, "\n".join(found)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if os.environ.get("SHOTS"):
        accounts.screenshot(path=f"{os.environ['SHOTS']}/accounts-{width}-{scheme}.png")
    page.context.close()


PRICED = """
[prices]
"quick/*" = { input = 1000, output = 2000 }
"""


def backdate(database: Path, seconds: int) -> None:
    """What `markdown` answered was answered so much earlier, once it is written."""

    def moved() -> int:
        with closing(sqlite3.connect(database, timeout=30)) as db, db:
            change = "UPDATE attempts SET opened_at = opened_at - ? WHERE model = 'markdown' AND cost_e12 > 0"
            return db.execute(change, (seconds,)).rowcount

    until(moved)


def test_what_was_spent_is_drawn_by_key_and_model_and_over_days(browser: Browser) -> None:
    with running_gateway(CONFIG + PRICED) as priced:
        for secret, model in ((ADMIN, "quick/hello"), (ADMIN, "quick/markdown"), (ANNA, "quick/hello")):
            page = opened(browser, priced, secret)
            ask = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
            bearer = {"Authorization": f"Bearer {secret}"}
            assert page.request.post(f"{priced.url}/v1/chat/completions", data=ask, headers=bearer).ok
            page.context.close()
        backdate(priced.folder / "data" / "llmproxy.db", 3 * 86_400)
        page = opened(browser, priced, ADMIN)
        usage = page.get_by_role("region", name="Usage")
        bars = usage.get_by_role("list", name="The dearest").get_by_role("listitem")
        expect(bars).to_have_count(2)
        usage.get_by_role("button", name="Key", exact=True).click()
        expect(bars.filter(has_text="anna")).to_have_count(1)
        widths = [bars.nth(at).locator(".bar").bounding_box() for at in range(2)]
        assert widths[0] is not None
        assert widths[1] is not None
        assert widths[0]["width"] > widths[1]["width"]
        usage.get_by_role("button", name="Day", exact=True).click()
        expect(usage.get_by_role("img", name="Spent per day")).to_be_visible()
        if os.environ.get("SHOTS"):
            usage.screenshot(path=f"{os.environ['SHOTS']}/usage-day.png")
        page.context.close()
