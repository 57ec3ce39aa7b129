"""Measures a thread of 2,000 messages: `python -m tests.ui.measure_thread` prints the table of docs/performance-ui.md.

A thread is imported, opened from the list of chats, scrolled, typed in, and an answer is streamed into it.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

from playwright.sync_api import Page, expect, sync_playwright

from tests.gateway import running_gateway
from tests.ui.browser import launched, visitor
from tests.ui.measure import ANSWERED, CONFIG, LONG_MS, OBSERVE, Case, Paced, mixed
from tests.ui.parrot import serving
from tests.ui.site import Site

PARAGRAPH = (
    "A paragraph with **strong words**, `code` and a [link](https://example.org) that fills more than one line. " * 3
)
ANSWER = (
    f"## Answer {{number}}\n\n{PARAGRAPH}\n\n- one point\n- another\n\n```python\nvalue = compute({{number}})\n```\n"
)
STREAMED = Case("an answer into it", mixed(), 4_000, 400)
# How long a key takes until the frame that shows its letter.
KEYS = """
window.keys = [];
document.querySelector('#composer').addEventListener('keydown', () => {
    const at = performance.now();
    requestAnimationFrame(() => setTimeout(() => window.keys.push(performance.now() - at)));
});
"""
OPEN = """
id => new Promise((opened) => {
    const at = performance.now();
    new MutationObserver((_, self) => {
        if (document.querySelectorAll('[data-message] .prose').length < 5) return;
        self.disconnect();
        requestAnimationFrame(() => setTimeout(() => opened(performance.now() - at)));
    }).observe(document.body, { subtree: true, childList: true });
    document.querySelector(`nav a[href='#/t/${id}']`).click();
})
"""
BUILDS_MS = 240_000
BUILT = "document.querySelectorAll('[data-message]').length"
HEAD = """\
| a thread of {:,} messages | took | main thread, CPU time | CPU time a frame | frames/s | tasks over 50 ms (longest) |
|---|--:|--:|--:|--:|--:|"""
SCROLL = """
seconds => new Promise((scrolled) => {
    const scroller = document.querySelector('.scroller');
    const until = performance.now() + 1000 * seconds;
    const step = () => {
        scroller.scrollTop -= 60;
        performance.now() < until ? requestAnimationFrame(step) : scrolled();
    };
    requestAnimationFrame(step);
})
"""


def thread(turns: int) -> dict[str, Any]:
    messages: list[dict[str, Any]] = []
    for number in range(turns):
        parent = f"a{number - 1}" if number else None
        asked = {"id": f"q{number}", "parent_id": parent, "role": "user", "content": f"Question {number}?"}
        said = {"id": f"a{number}", "parent_id": f"q{number}", "role": "assistant"}
        messages += [asked, {**said, "content": ANSWER.format(number=number)}]
    about = {"title": "Long", "settings": {}, "created_at": 1, "updated_at": 1, "pinned": False}
    whole = {**about, "head": f"a{turns - 1}", "messages": [{**one, "state": "complete"} for one in messages]}
    return {"format": "llmproxy-threads", "version": 1, "threads": [whole]}


class Phases:
    """Prints a row for each phase: its time by the clock, the main thread's CPU time, and how frames and tasks were."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self._session = page.context.new_cdp_session(page)
        self._session.send("Performance.enable", {"timeDomain": "threadTicks"})
        self._begin()

    def row(self, name: str, took: str = "") -> None:
        cpu, seen = self._cpu() - self._before, self.page.evaluate("window.seen")
        wall, frames = time.monotonic() - self._began, sorted(seen["frames"])
        rate = f"{1000 * len(frames) / sum(frames):.0f}" if frames else ""
        each = f"{1000 * cpu / len(frames):.1f} ms" if frames else ""
        long = [task for task in seen["long"] if task > LONG_MS]
        longest = f"{len(long)} ({max(long):.0f} ms)" if long else "none"
        print(f"| {name} | {took or f'{wall:.1f} s'} | {cpu:.2f} s | {each} | {rate} | {longest} |", flush=True)
        self._begin()

    def _begin(self) -> None:
        self.page.evaluate("window.seen.long = []; window.seen.frames = []")
        self._began, self._before = time.monotonic(), self._cpu()

    def _cpu(self) -> float:
        told = self._session.send("Performance.getMetrics")["metrics"]
        return float(next(one["value"] for one in told if one["name"] == "TaskDuration"))


def measure(page: Page, url: str, turns: int) -> None:
    made = page.request.post(f"{url}/threads/import", data=thread(turns)).json()["threads"][0]
    page.add_init_script(OBSERVE)
    site = Site(page, url)
    site.open()
    expect(site.chats).to_have_count(1)
    phases = Phases(page)
    opened = page.evaluate(OPEN, made)
    phases.row("opening it, until its end is shown", f"{opened / 1000:.1f} s")
    site.until(lambda: page.evaluate(BUILT) == 2 * turns, BUILDS_MS)
    phases.row("building the rest while nothing else is done")
    page.evaluate(SCROLL, 5)
    phases.row("scrolling up through it")
    page.evaluate(KEYS)
    page.evaluate("document.querySelector('#composer').focus()")
    for letter in "a question that is typed into it":
        page.keyboard.type(letter)
    phases.row("typing 32 letters, each at once after the one before")
    keys = sorted(page.evaluate("window.keys"))
    page.keyboard.press("Enter")
    site.until(lambda: page.evaluate(BUILT) == 2 * turns + 2)
    page.evaluate(ANSWERED)
    phases.row(f"{STREAMED.tokens:,} tokens at {STREAMED.rate}/s streamed into it")
    print(f"From a key to the frame with its letter: median {keys[len(keys) // 2]:.0f} ms, longest {keys[-1]:.0f} ms.")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.ui.measure_thread")
    parser.add_argument("--turns", type=int, default=1000, help="questions, each with an answer")
    turns = parser.parse_args().turns
    print(HEAD.format(2 * turns))
    Paced.case = STREAMED
    with (
        serving(Paced) as address,
        running_gateway(CONFIG.format(address=address)) as gateway,
        sync_playwright() as playwright,
    ):
        browser = launched(playwright)
        measure(visitor(browser).new_page(), gateway.url, turns)
        browser.close()


if __name__ == "__main__":
    main()
