"""An administrator makes, limits, renews and revokes keys on the page, and groups of them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.gateway import Gateway, running_gateway
from tests.ui.browser import visitor
from tests.ui.site import Site
from tests.ui.test_accounts import ADMIN, ANNA, CONFIG
from tests.ui.test_page import AXE, audit

ASK = {"model": "quick/hello", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
def keyed() -> Iterator[Gateway]:
    with running_gateway(CONFIG) as running:
        yield running


def opened(browser: Browser, keyed: Gateway, secret: str = ADMIN, width: int = 1280, scheme: str = "light") -> Page:
    context = visitor(
        browser, viewport={"width": width, "height": 900}, color_scheme="dark" if scheme == "dark" else "light",
        permissions=["clipboard-read", "clipboard-write"],
    )  # fmt: skip
    page = context.new_page()
    if secret:
        page.add_init_script(f"sessionStorage.setItem('llmproxy.key', '{secret}')")
    page.goto(f"{keyed.url}/#/activity")
    expect(page.get_by_role("heading", name="Budgets and usage" if secret == ANNA else "Usage")).to_be_visible()
    expect(page.locator(".skeleton")).to_have_count(0)  # what is loaded later moves what is clicked
    return page


def requests(page: Page, keyed: Gateway, name: str) -> int:
    """How many the gateway has written down for a key."""
    rows = page.request.get(f"{keyed.url}/api/usage?by=key", headers={"Authorization": f"Bearer {ADMIN}"}).json()
    return sum(row["requests"] for row in rows["data"] if row["key"] == name)


def status(page: Page, keyed: Gateway, secret: str) -> int:
    """Of a request with this key."""
    bearer = {"Authorization": f"Bearer {secret}"}
    return page.request.post(f"{keyed.url}/v1/chat/completions", data=ASK, headers=bearer).status


def row(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name="Keys").get_by_role("listitem").filter(has_text=re.compile(rf"^\s*{name}\b"))


def act(page: Page, name: str, action: str) -> None:
    page.get_by_role("button", name=f"Actions for {name}").click()
    page.get_by_role("menuitem", name=action).click()


def made(page: Page, name: str, **fields: str) -> str:
    """Makes a key by the form; gives its secret as the page shows it."""
    page.get_by_role("button", name="New key").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name", exact=True).fill(name)
    for label, value in fields.items():
        dialog.get_by_role("textbox", name=label.replace("_", " ")).or_(
            dialog.get_by_role("spinbutton", name=label.replace("_", " "))
        ).fill(value)
    dialog.get_by_role("button", name="Create").click()
    expect(dialog.get_by_role("heading", name=f"The secret of {name}")).to_be_visible()
    return dialog.get_by_role("textbox", name="Secret").input_value()


def close(page: Page) -> None:
    page.get_by_role("dialog").get_by_role("button", name="Close").click()
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_key_that_is_made_on_the_page_counts_and_its_secret_is_shown_once(browser: Browser, keyed: Gateway) -> None:
    page = opened(browser, keyed)
    secret = made(page, "carl", Budget="20/month, 1/day", Requests_a_minute="60", Expires="30d")
    page.get_by_role("dialog").get_by_role("button", name="Copy").click()
    expect(page.get_by_role("dialog").get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == secret
    close(page)
    assert status(page, keyed, secret) == 200
    expect(row(page, "carl")).to_contain_text("60 requests a minute")
    expect(row(page, "carl").get_by_role("meter")).to_have_count(2)
    assert secret not in page.content()
    page.context.close()


@pytest.mark.thorough
def test_limits_are_changed_and_a_mistake_is_told_where_it_was_made(browser: Browser, keyed: Gateway) -> None:
    page = opened(browser, keyed)
    made(page, "carl", Requests_a_minute="60")
    close(page)
    act(page, "carl", "Change limits")
    dialog = page.get_by_role("dialog", name="Limits of carl")
    expect(dialog.get_by_label("Requests a minute")).to_have_value("60")
    dialog.get_by_label("Budget").fill("20/year")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_role("alert")).to_contain_text("windows are day, week, month, total")
    dialog.get_by_label("Budget").fill("20/month")
    dialog.get_by_label("Requests a minute").fill("")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    expect(row(page, "carl")).to_contain_text("$20.00, month")
    expect(row(page, "carl")).not_to_contain_text("requests a minute")
    page.context.close()


@pytest.mark.thorough
def test_a_renewed_key_has_another_secret_and_a_revoked_one_none(browser: Browser, keyed: Gateway) -> None:
    page = opened(browser, keyed)
    old = made(page, "carl")
    close(page)
    act(page, "carl", "New secret")
    page.get_by_role("dialog").get_by_role("button", name="New secret").click()
    secret = page.get_by_role("dialog").get_by_role("textbox", name="Secret").input_value()
    assert secret != old
    close(page)
    assert [status(page, keyed, one) for one in (old, secret)] == [200, 200]
    act(page, "carl", "Revoke")
    page.get_by_role("dialog", name="Revoke carl?").get_by_role("button", name="Revoke").click()
    expect(row(page, "carl")).to_have_count(0)
    assert status(page, keyed, secret) == 401
    page.get_by_role("button", name="Show 1 revoked key").click()
    expect(row(page, "carl")).to_contain_text("revoked")
    page.context.close()


@pytest.mark.thorough
def test_a_group_is_made_filled_and_deleted(browser: Browser, keyed: Gateway) -> None:
    page = opened(browser, keyed)
    page.get_by_role("button", name="New group").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name", exact=True).fill("team")
    dialog.get_by_label("Budget").fill("200/month")
    dialog.get_by_role("button", name="Create").click()
    expect(row(page, "team")).to_contain_text("0 keys")
    page.get_by_role("button", name="New key").click()
    dialog.get_by_label("Name", exact=True).fill("carl")
    dialog.get_by_label("Group").select_option("team")
    dialog.get_by_role("button", name="Create").click()
    expect(dialog.get_by_role("heading", name="The secret of carl")).to_be_visible()
    close(page)
    expect(row(page, "team")).to_contain_text("1 key")
    act(page, "team", "Delete")
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("carl")
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    act(page, "carl", "Revoke")
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(row(page, "team")).to_contain_text("0 keys")
    act(page, "team", "Delete")
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(row(page, "team")).to_have_count(0)
    page.context.close()


@pytest.mark.thorough
def test_a_key_of_the_configuration_is_shown_and_not_changed_here(browser: Browser, keyed: Gateway) -> None:
    page = opened(browser, keyed)
    expect(row(page, "anna")).to_contain_text("in the configuration")
    expect(row(page, "anna").get_by_role("button")).to_have_count(0)
    page.context.close()


def test_who_is_no_administrator_loads_nothing_of_it(browser: Browser, keyed: Gateway) -> None:
    page = opened(browser, keyed, ANNA)
    expect(page.get_by_text("$20.00 left of $20.00")).to_be_visible()
    expect(page.get_by_role("region", name="Keys")).to_have_count(0)
    loaded = page.evaluate("performance.getEntriesByType('resource').map((one) => one.name)")
    assert not [one for one in loaded if "Keys-" in one or "/api/groups" in one]
    page.context.close()


def test_the_first_key_closes_the_gateway_and_the_page_stays_in(browser: Browser) -> None:
    with running_gateway('[providers.quick]\nadapter = "demo"\ntokens_per_second = 3000\n') as bare:
        page = opened(browser, bare, "")
        expect(page.get_by_text("No key is needed yet")).to_be_visible()
        secret = made(page, "boss")
        close(page)
        expect(row(page, "boss")).to_contain_text("administrator")
        expect(page.get_by_text("No key is needed yet")).to_have_count(0)
        assert [status(page, bare, one) for one in (secret, "another-key-of-some-length")] == [200, 401]
        page.reload()
        expect(row(page, "boss")).to_be_visible()
        page.context.close()


@pytest.mark.thorough
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
    secrets = []
    for name in ("carl", "a-key-with-a-rather-long-name-for-a-small-window"):
        secrets.append(made(page, name, Budget="20/month", Models="quick/*"))
        close(page)
    for secret in (*secrets, secrets[0], ADMIN):
        assert status(page, keyed, secret) == 200
    Site(page, keyed.url).until(lambda: requests(page, keyed, "carl") == 2)  # they are written a moment later
    page.reload()
    expect(row(page, "carl")).to_contain_text("2 requests")
    shots = os.environ.get("SHOTS")
    for action in ("", "New key"):
        if action:
            page.get_by_role("button", name=action).click()
            expect(page.get_by_role("dialog")).to_be_visible()
        else:
            page.get_by_role("region", name="Keys").scroll_into_view_if_needed()
        found = audit(page, scheme)
        assert not found, "\n".join(found)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        if shots:
            page.screenshot(path=f"{shots}/keys{'-form' * bool(action)}-{width}-{scheme}.png")
    page.context.close()
