"""Diagrams in mermaid's language: drawn as images out of a frame without network, so that nothing in them runs."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.gateway import Gateway
from tests.ui.site import Site
from tests.ui.test_page import AXE, audit

pytestmark = pytest.mark.thorough

FLOW = "```mermaid\nflowchart LR\n  A[Ask] --> B{Known?}\n  B -->|yes| C[Answer]\n  B -->|no| D[Search]\n```"
SIZE = "image => image.complete && image.naturalWidth"
HOSTILE = {
    "script in a label": '```mermaid\nflowchart LR\n  A["<script>parent.pwned=1;fetch(`EVIL/1`)</script>x"]\n```',
    "handler in a label": '```mermaid\nflowchart LR\n  A["<img src=EVIL/2 onerror=parent.pwned=1>x"]\n```',
    "click": '```mermaid\nflowchart LR\n  A-->B\n  click A href "javascript:parent.pwned=1"\n  click B call alert()\n```',
    "loosened": '```mermaid\n%%{init: {"securityLevel": "loose", "htmlLabels": true, "flowchart": {"htmlLabels": true}}}%%\n'
    'flowchart LR\n  A["<img src=EVIL/3 onerror=parent.pwned=1><iframe src=EVIL/4></iframe>x"]\n```',
    "style": '```mermaid\n%%{init: {"themeCSS": "* { background: url(EVIL/5) } @import url(EVIL/6);"}}%%\n'
    "flowchart LR\n  A-->B\n```",
    "class": "```mermaid\nclassDiagram\n  class A~script~\n  A : +onload=parent.pwned=1\n```",
}  # fmt: skip


def told(site: Site, text: str) -> Locator:
    site.choose("parrot")
    return site.answered(f"say:{text}")


def drawn(answer: Locator) -> Locator:
    image = answer.get_by_role("img", name="Diagram")
    expect(image).to_be_visible(timeout=60_000)
    return image


def ground(image: Locator) -> str:
    """The fill of the first node."""
    return str(image.evaluate("one => decodeURIComponent(one.src).match(/\\.node rect[^{]*\\{fill:([^;]+)/)[1]"))


def test_a_diagram_is_an_image_whose_source_is_one_key_away(site: Site) -> None:
    answer = told(site, FLOW)
    image = drawn(answer)
    site.until(lambda: image.evaluate(SIZE) > 100)
    source = answer.locator("figure pre")
    expect(source).to_be_hidden()
    answer.get_by_role("button", name="Source").focus()
    site.page.keyboard.press("Enter")
    expect(source).to_contain_text("B{Known?}")
    site.page.keyboard.press("Enter")
    expect(image).to_be_visible()
    if AXE.exists():
        assert audit(site.page) == []
    site.page.set_viewport_size({"width": 390, "height": 800})
    assert site.page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.thorough
def test_a_diagram_is_copied_as_svg_and_as_a_picture_and_follows_the_theme(site: Site) -> None:
    answer = told(site, FLOW)
    image = drawn(answer)
    answer.get_by_role("button", name="Copy SVG").click()
    expect(answer.get_by_role("button", name="Copied")).to_be_visible()
    svg = site.page.evaluate("navigator.clipboard.readText()")
    assert svg.startswith("<svg")
    assert "Known?" in svg
    answer.get_by_role("button", name="Copy PNG").click()
    read = "navigator.clipboard.read().then(([one]) => one.types.join())"
    site.until(lambda: "image/png" in site.page.evaluate(read))
    light = ground(image)
    site.page.emulate_media(color_scheme="dark")
    site.until(lambda: ground(image) != light)


@pytest.mark.thorough
def test_what_is_no_diagram_says_so_above_its_source(site: Site) -> None:
    answer = told(site, "```mermaid\nflowchart LR\n  A --> \n  --> [\n```")
    expect(answer.get_by_role("status")).to_contain_text("This diagram could not be drawn: ", timeout=60_000)
    expect(answer.locator("figure pre")).to_contain_text("A -->")
    expect(answer.get_by_role("img", name="Diagram")).to_have_count(0)
    after = told(site, FLOW)
    after.scroll_into_view_if_needed()
    drawn(after)  # the next one is drawn


def test_while_it_streams_the_source_is_shown_and_nothing_is_loaded(site: Site) -> None:
    loaded: list[str] = []
    site.page.on("request", lambda one: loaded.append(one.url) if "mermaid" in one.url else None)
    answer = told(site, "```python\nx = 1\n```")
    expect(answer.get_by_text("python")).to_be_visible()
    assert loaded == []


def test_nothing_in_a_diagram_runs_or_is_loaded(site: Site, elsewhere: tuple[str, list[str]]) -> None:
    url, asked = elsewhere
    site.choose("parrot")
    for name, text in HOSTILE.items():
        answer = site.answered(f"say:{text.replace('EVIL', url)}")
        expect(answer.get_by_role("img", name="Diagram").or_(answer.locator(".undrawn"))).to_be_visible(timeout=60_000)
        assert site.page.evaluate("window.pwned ?? null") is None, name
        assert asked == [], name
    site.complaints.clear()  # the browser says what it has refused


@pytest.mark.thorough
def test_a_diagram_is_drawn_without_a_network_once_one_was(returning: Page, gateway: Gateway) -> None:
    site = Site(returning, gateway.url)
    site.open()
    returning.evaluate("navigator.serviceWorker.ready.then(() => true)")
    returning.reload()
    expect(site.composer).to_be_visible()
    drawn(told(site, FLOW))
    cached = "caches.match(performance.getEntriesByType('resource').find(one => one.name.includes('mermaid')).name)"
    assert returning.evaluate(f"{cached}.then(Boolean)")
