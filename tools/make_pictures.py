"""Takes the pictures of the page for README and docs: `python tools/make_pictures.py [FOLDER]`, by default docs/images.

Needs Chromium, Playwright and the built page (`make page`). All answers are the demo model's and the test provider's.
"""

from __future__ import annotations

import base64
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from playwright.sync_api import Browser, Page, expect, sync_playwright

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.gateway import running_gateway  # noqa: E402
from tests.ui.conftest import CHROMIUM  # noqa: E402
from tests.ui.parrot import Server, chunk, serving  # noqa: E402
from tests.ui.site import Site  # noqa: E402

QUALITY = 82
CONFIG = """
default_model = "quick/hello"

[providers.demo]
tokens_per_second = 60

[providers.quick]
adapter = "demo"
tokens_per_second = 400

[providers.writer]
adapter = "compatible"
base_url = "{address}/v1"
api_key = "unused"
models = ["writer"]
list_models = false
"""
WORDS = """There are three sound ways, and which one is right depends on how you read.

| store | writes | reads | good for |
|---|---|---|---|
| one table, by time | fast | ranges | most services |
| one file an hour | fastest | whole hours | archives |
| columns, compressed | in batches | sums over weeks | dashboards |

Begin with the table: an index over `(series, time)` answers nearly every question, and `EXPLAIN` shows it.

```sql
SELECT time, value FROM points
WHERE series = 'cpu' AND time > now() - interval '1 hour';
```
"""


class Writer(Server):
    """Answers what the picture of a chat asks."""

    def pieces(self, asked: dict[str, Any]) -> Iterator[bytes]:
        for start in range(0, len(WORDS), 9):
            yield chunk({"content": WORDS[start : start + 9]})
            time.sleep(0.01)
        yield chunk({}, usage={"prompt_tokens": 21, "completion_tokens": 154, "total_tokens": 175})


class Picture(NamedTuple):
    """One picture: how large the window is, and what is done in it before."""

    name: str
    width: int
    height: int
    prepare: Callable[[Site], object]
    dark: bool = False


def chat(site: Site) -> None:
    site.choose("writer/writer")
    site.answered("Compare three ways to store time series, in a table")
    expect(site.page.locator(".code .hljs-keyword").first).to_be_visible()
    site.page.mouse.move(0, 0)
    site.page.locator(".scroller").evaluate("scroller => (scroller.scrollTop = 0)")


def compare(site: Site) -> None:
    site.choose("quick/markdown")
    site.button("Ask a second model too").click()
    site.page.locator(".composer .model-button").click()
    site.page.get_by_role("combobox", name="Search models").fill("quick/reasoning")
    site.page.keyboard.press("Enter")
    site.ask("Show me what an answer may contain")
    sides = site.page.get_by_role("group", name="Answers to one question").get_by_role("article")
    expect(sides).to_have_count(2)
    for index in range(2):
        site.complete(sides.nth(index))
    site.page.locator(".scroller").evaluate("scroller => (scroller.scrollTop = 0)")


def activity(site: Site) -> None:
    for model in ("quick/hello", "quick/markdown", "quick/reasoning"):
        site.choose(model)
        site.answered("Hello!")
    site.choose("demo/slow")
    site.ask("Take your time")
    site.begun()
    site.page.goto(f"{site.url}/#/activity")
    expect(site.page.get_by_role("heading", name="Running now")).to_be_visible()
    expect(site.page.locator("canvas").first).to_be_visible()


PICTURES = (
    Picture("chat", 1280, 800, chat),
    Picture("compare", 1280, 800, compare, dark=True),
    Picture("activity", 1280, 900, activity),
    Picture("phone", 390, 800, chat),
)


def taken(page: Page, file: Path) -> None:
    page.wait_for_timeout(1000)  # what fades in has done so
    session = page.context.new_cdp_session(page)
    shot = session.send("Page.captureScreenshot", {"format": "webp", "quality": QUALITY})
    file.write_bytes(base64.b64decode(shot["data"]))
    print(f"{file}: {file.stat().st_size // 1024} kB")


def take(browser: Browser, url: str, picture: Picture, folder: Path) -> None:
    size = {"width": picture.width, "height": picture.height}
    scheme = "dark" if picture.dark else "light"
    with browser.new_context(viewport=size, color_scheme=scheme, device_scale_factor=1) as context:  # type: ignore[arg-type]
        context.request.delete(f"{url}/threads")
        site = Site(context.new_page(), url)
        site.open()
        picture.prepare(site)
        taken(site.page, folder / f"{picture.name}.webp")


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images"
    with (
        serving(Writer) as address,
        running_gateway(CONFIG.format(address=address)) as gateway,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for picture in PICTURES:
            take(browser, gateway.url, picture, folder)
        browser.close()


if __name__ == "__main__":
    main()
