"""Many tabs of one browser: all their answers come on one connection, so that none waits for a free one, and Stop gets through."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from tests.gateway import Gateway, running_gateway
from tests.ui.browser import visitor
from tests.ui.parrot import Endless, serving
from tests.ui.site import Site

TABS = 7  # a browser opens six connections to a host
CONFIG = """
default_model = "on/and-on"
[providers.on]
adapter = "compatible"
base_url = "{address}/v1"
api_key = "unused"
models = ["and-on"]
list_models = false
"""
NO_LOCKS = "Object.defineProperty(navigator, 'locks', {value: undefined})"  # as for pages by plain http


def opened(context: BrowserContext, url: str) -> Site:
    site = Site(context.new_page(), url)
    site.open()
    return site


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with serving(Endless) as address, running_gateway(CONFIG.format(address=address)) as running:
        yield running


@pytest.fixture(params=["with locks", pytest.param("without locks", marks=pytest.mark.thorough)])
def tabs(request: pytest.FixtureRequest, browser: Browser, gateway: Gateway) -> Iterator[list[Site]]:
    with visitor(browser) as context:
        if request.param == "without locks":
            context.add_init_script(NO_LOCKS)
        yield [opened(context, gateway.url) for _ in range(TABS)]


@pytest.mark.thorough
def test_seven_tabs_stream_at_once_and_stop_gets_through(tabs: list[Site]) -> None:
    for number, site in enumerate(tabs):
        site.ask(f"Question {number}")
        site.begun()
    for site in tabs:
        before = len(site.text())
        site.begun(beyond=before)  # all of them go on
    for site in reversed(tabs):
        site.button("Stop").click()
        expect(site.answers.last).to_contain_text("The connection to the model was closed in")
    assert tabs[0].in_flight() == []


def test_when_the_tab_that_leads_is_closed_the_others_go_on(browser: Browser, gateway: Gateway) -> None:
    with visitor(browser) as context:
        leader, other = opened(context, gateway.url), opened(context, gateway.url)
        for site in (leader, other):
            site.ask("Go on")
            site.begun()
        leader.button("Stop").click()
        expect(leader.answers.last).to_contain_text("Stopped.")
        leader.page.close()
        other.begun(beyond=len(other.text()))
        other.button("Stop").click()
        expect(other.answers.last).to_contain_text("Stopped.")
        assert other.text() == other.stored()[-1]["content"].strip()


@pytest.mark.thorough
def test_tabs_with_different_keys_share_nothing(browser: Browser) -> None:
    keys = "".join(
        f'[[server.keys]]\nname = "{name}"\nsecret = "{name}-{name}-{name}-secret"\n' for name in ("one", "two")
    )
    with running_gateway(keys) as locked, visitor(browser) as context:
        sites = [Site(context.new_page(), locked.url) for _ in range(2)]
        for site, name in zip(sites, ("one", "two"), strict=True):
            site.page.goto(f"{locked.url}/")
            site.page.get_by_role("textbox", name="Key").fill(f"{name}-{name}-{name}-secret")
            site.page.get_by_role("button", name="Use this key").click()
            expect(site.page.get_by_role("dialog")).to_have_count(0)
        for site in sites:
            site.choose("demo/hello")
            site.ask("Only mine")
        for site in sites:
            expect(site.complete(site.answers.last)).to_contain_text("You said: “Only mine”.")
            expect(site.chats).to_have_count(1)
