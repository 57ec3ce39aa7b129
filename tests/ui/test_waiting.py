"""What the page says while there is no answer yet, and that Stop works then too."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Route, expect

from tests.gateway import Gateway, running_gateway
from tests.ui.parrot import Server, chunk, serving
from tests.ui.site import Site

CONFIG = """
default_model = "quick/hello"

[providers.quick]
adapter = "demo"
tokens_per_second = 3000

[providers.narrow]
adapter = "demo"
max_concurrent = 1

[providers.moody]
adapter = "compatible"
base_url = "{address}/v1"
api_key = "unused"
models = ["shy", "busy"]
list_models = false

[providers.hasty]
adapter = "compatible"
base_url = "{address}/v1"
api_key = "unused"
models = ["busy"]
list_models = false
retries = 0

[aliases]
busy-then-shy = ["hasty/busy", "moody/shy"]
"""


class Moody(Server):
    """Its model `shy` says nothing until it is free to speak; `busy` asks everybody to come back later."""

    free = threading.Event()

    def pieces(self, asked: dict[str, Any]) -> Iterator[bytes]:
        self.free.wait(30)
        yield chunk({"content": "At last."})

    def answer(self, asked: dict[str, Any]) -> None:
        if asked["model"] == "busy":
            self.send_response(503)
            self.send_header("Retry-After", "15")
            self.end_headers()
        else:
            super().answer(asked)


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with serving(Moody) as address, running_gateway(CONFIG.format(address=address)) as running:
        yield running


@pytest.fixture(autouse=True)
def _shy() -> Iterator[None]:
    Moody.free.clear()
    yield
    Moody.free.set()


def test_a_provider_that_has_not_answered_yet_is_named(site: Site) -> None:
    site.choose("moody/shy")
    site.ask("Hello?")
    expect(site.answers.last).to_have_text("Connecting to moody · shy")
    Moody.free.set()
    expect(site.answers.last.locator(".prose")).to_have_text("At last.")


def test_the_place_in_a_queue_is_said(site: Site, context: BrowserContext) -> None:
    site.choose("narrow/slow")
    site.ask("First")
    expect(site.answers.last.locator(".prose")).to_be_visible()
    other = Site(context.new_page(), site.url)
    other.open()
    other.choose("narrow/slow")
    other.ask("Second")
    expect(other.answers.last).to_have_text("Queued at 1")
    site.button("Stop").click()
    expect(other.answers.last.locator(".prose")).to_be_visible()
    other.button("Stop").click()
    expect(other.answers.last).to_contain_text("Stopped.")


def test_a_pause_before_the_next_try_is_said_and_can_be_stopped(site: Site) -> None:
    site.choose("moody/busy")
    site.ask("Hello?")
    expect(site.answers.last).to_have_text(re.compile(r"Retrying with moody in 1\d s, after \w+"))
    site.button("Stop").click()
    expect(site.answers.last).to_contain_text("Stopped.")
    expect(site.answers.last).not_to_contain_text("closed")  # nothing was open
    assert site.in_flight() == []


def test_the_next_provider_of_a_chain_is_named_and_the_failed_one_is_told_of(site: Site) -> None:
    site.choose("busy-then-shy")
    site.ask("Hello?")
    expect(site.answers.last).to_have_text("Retrying with moody · shy (attempt 2)")
    Moody.free.set()
    facts = site.complete(site.answers.last).get_by_label("Facts about this answer")
    expect(facts).to_contain_text("2 attempts")
    expect(facts).to_contain_text("after upstream_error")


def held(site: Site) -> list[Route]:
    """Questions that are on their way to the gateway, and stay there."""
    routes: list[Route] = []

    def hold(route: Route) -> None:
        routes.append(route)

    site.page.route("**/messages/stream", hold)
    return routes


def test_a_stop_before_the_gateway_has_the_question_is_carried_out_when_it_has(site: Site) -> None:
    routes = held(site)
    site.choose("moody/shy")
    site.ask("Hello?")
    expect(site.answers.last).to_have_text("Asking the gateway")
    site.button("Stop").click()
    routes[0].continue_()
    expect(site.answers.last).to_contain_text("Stopped.")
    assert site.in_flight() == []
    assert site.stored()[-1]["state"] == "stopped"


def test_a_stop_that_reaches_nobody_says_so(site: Site) -> None:
    held(site)
    site.ask("Hello?")
    expect(site.answers.last).to_have_text("Asking the gateway")
    site.button("Stop").click()
    expect(site.answers.last).to_contain_text("The gateway could not be reached to confirm the stop.")
