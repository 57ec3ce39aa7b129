"""Measures how smoothly the page shows long answers: `python -m tests.ui.measure` prints the table of docs/performance-ui.md.

A provider streams at an exact pace through a real gateway into the built page in Chromium, which notes its long tasks and frames.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from playwright.sync_api import Browser, expect, sync_playwright

from tests.gateway import running_gateway
from tests.ui.browser import launched, visitor
from tests.ui.parrot import Server, chunk, serving
from tests.ui.site import Site

CONFIG = """
default_model = "paced/paced"
[limits]
tape_bytes = 67108864
[providers.paced]
adapter = "compatible"
base_url = "{address}/v1"
api_key = "unused"
models = ["paced"]
list_models = false
"""
FRAME_MS = 1000 / 60
LONG_MS = 50
TRACED = ["disabled-by-default-devtools.timeline"]  # where the main thread's tasks are, each once
OBSERVE = """
window.seen = { long: [], frames: [] };
new PerformanceObserver((list) => window.seen.long.push(...list.getEntries().map((one) => one.duration)))
    .observe({ type: 'longtask', buffered: true });
let last = 0;
requestAnimationFrame(function frame(now) {
    if (last) window.seen.frames.push(now - last);
    last = now;
    requestAnimationFrame(frame);
});
"""
# Playwright's own waiting would look through the whole page several times a second, 100 ms each time.
# The element may be another one as soon as the gateway has given the question its ID.
ANSWERED = """
() => new Promise((answered) => {
    const timer = setInterval(() => {
        if ([...document.querySelectorAll('.answer')].at(-1).ariaBusy !== 'false') return;
        clearInterval(timer);
        answered();
    }, 100);
})
"""
MIXED = """\
## Section {n}

A paragraph with **strong words**, *emphasis*, `code` and a [link](https://example.org/{n}) that is long enough to be broken into
several lines, as paragraphs of answers are, with a thought that goes on for a while before it ends.

- first point of {n}
- second point with `code`
- third point, **strong**

```python
def section_{n}(value: int) -> int:
    \"\"\"What section {n} computes.\"\"\"
    total = sum(index * value for index in range({n}))
    return total if total > 0 else -1
```

| name | value |
|---|--:|
| alpha | {n} |
| beta | 2 |

The area is $\\pi r_{{{n}}}^2$, which is all that is needed here.

"""


@dataclass(frozen=True)
class Case:
    name: str
    text: str
    tokens: int
    rate: int  # tokens a second
    slowdown: int = 1  # of the processor


def _tokens(text: str, most: int) -> list[str]:
    return list(itertools.islice(re.findall(r"\s*\w{1,6}|\s*[^\w\s]|\s+", text), most))


def mixed() -> str:
    return "".join(MIXED.format(n=n) for n in range(400))


def _table() -> str:
    rows = "".join(f"| row {n} | {n * 7} | some words in a cell | {n % 5} |\n" for n in range(4000))
    return f"| name | value | words | rest |\n|---|--:|---|---|\n{rows}"


def _list() -> str:
    return "".join(f"- point {n} of a **long** list, with `code` in it\n" for n in range(4000))


def _code() -> str:
    lines = "".join(f"    value_{n} = compute({n}, 'text {n}')  # step {n}\n" for n in range(4000))
    return f"```python\ndef long() -> None:\n{lines}```\n"


def _paragraph() -> str:
    return " ".join(
        f"Sentence {n} is **long**, has `code` and a [link](https://example.org/{n}) in it." for n in range(4000)
    )


IDLE = "no answer: the load of the machine itself"
# A trace of a minute is too large for the browser to hand out: only the end is traced, where the answer is longest.
TRACE_MS = 10_000

CASES = [
    Case(IDLE, "", 0, 0),
    Case("mixed Markdown", mixed(), 20_000, 200),
    Case("mixed Markdown, CPU 4 times slower", mixed(), 5_000, 200, 4),
    Case("one paragraph", _paragraph(), 10_000, 400),
    Case("one table", _table(), 10_000, 400),
    Case("one list", _list(), 10_000, 400),
    Case("one block of code", _code(), 10_000, 400),
]


class Paced(Server):
    """Streams the case at hand at its pace, whatever is asked."""

    case = CASES[0]

    def pieces(self, asked: dict[str, Any]) -> Iterator[bytes]:
        began = time.monotonic()
        for index, token in enumerate(_tokens(self.case.text, self.case.tokens)):
            time.sleep(max(0.0, began + index / self.case.rate - time.monotonic()))
            yield chunk({"content": token})


@dataclass(frozen=True)
class Seen:
    """All in milliseconds. `cpu` is what the page's main thread computed in the last `traced` of them, task by task, without
    its waiting for a processor."""

    frames: list[float]
    long: list[float]
    cpu: list[float]
    traced: float


def measured(browser: Browser, url: str, case: Case) -> Seen:
    page = visitor(browser).new_page()
    page.add_init_script(OBSERVE)
    site = Site(page, url)
    site.open()
    if case.slowdown > 1:
        page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": case.slowdown})
    if case.tokens:
        site.ask("Go")
        expect(site.answers.last.locator(".prose")).to_be_visible()
    page.evaluate("window.seen.long = []; window.seen.frames = []")
    if case.tokens:
        page.wait_for_timeout(max(0, 1000 * case.tokens / case.rate - TRACE_MS))
    browser.start_tracing(page=page, categories=TRACED)
    began = page.evaluate("performance.now()")
    if case.tokens:
        page.evaluate(ANSWERED)
    else:
        page.wait_for_timeout(TRACE_MS)
    seen = page.evaluate("({...window.seen, now: performance.now()})")
    cpu = main_thread(json.loads(browser.stop_tracing())["traceEvents"])
    page.context.close()
    return Seen(seen["frames"], seen["long"], cpu, seen["now"] - began)


def main_thread(events: list[dict[str, Any]]) -> list[float]:
    """Processor time of each task of the busiest page's main thread."""
    mains = {(one["pid"], one["tid"]) for one in events if one.get("args", {}).get("name") == "CrRendererMain"}
    tasks: dict[tuple[int, int], list[float]] = {main: [] for main in mains}
    for one in events:
        if one["name"] == "RunTask" and (one["pid"], one["tid"]) in tasks:
            tasks[one["pid"], one["tid"]].append(one.get("tdur", 0) / 1000)
    return max(tasks.values(), key=sum)


def row(case: Case, seen: Seen) -> str:
    frames = sorted(seen.frames)
    total = sum(frames)
    dropped = sum(round(frame / FRAME_MS) - 1 for frame in frames) / (total / FRAME_MS)
    pace = f"{case.tokens:,} at {case.rate}/s" if case.tokens else ""
    long = [task for task in seen.long if task > LONG_MS]
    cells = [
        case.name,
        pace,
        f"{1000 * len(frames) / total:.0f}",
        f"{dropped:.1%}",
        f"{frames[int(len(frames) * 0.99)]:.0f} ms",
        f"{len(long)} ({max(long):.0f} ms)" if long else "none",
        f"{max(seen.cpu):.0f} ms",
        f"{sum(seen.cpu) / seen.traced:.0%}",
    ]
    return f"| {' | '.join(cells)} |"


HEAD = """\
| answer | tokens | frames/s | dropped | frame P99 | tasks over 50 ms (longest) | longest task, CPU time | main thread busy |
|---|---|--:|--:|--:|--:|--:|--:|"""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.ui.measure")
    parser.add_argument("case", nargs="?", choices=[case.name for case in CASES], help="one case by its whole name")
    parser.add_argument("--rate", type=int, help="tokens a second, instead of the case's own")
    return parser.parse_args()


def main() -> None:
    given = _arguments()
    print(HEAD, flush=True)
    chosen = [case for case in CASES if given.case in (None, case.name)]
    chosen = [replace(case, rate=given.rate) if given.rate and case.tokens else case for case in chosen]
    with (
        serving(Paced) as address,
        running_gateway(CONFIG.format(address=address)) as gateway,
        sync_playwright() as playwright,
    ):
        browser = launched(playwright)
        for case in chosen:
            Paced.case = case
            print(row(case, measured(browser, gateway.url, case)), flush=True)
        browser.close()


if __name__ == "__main__":
    main()
