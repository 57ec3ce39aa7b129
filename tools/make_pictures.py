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
from tests.ui.browser import launched  # noqa: E402
from tests.ui.parrot import Server, chunk, serving  # noqa: E402
from tests.ui.site import Site  # noqa: E402
from tests.ui.test_keys import close, made  # noqa: E402
from tests.ui.test_languages import chosen  # noqa: E402

QUALITY = 82
ADMIN = "a-key-for-pictures-only"
KEYS = f"""
[[server.keys]]
name = "boss"
secret = "{ADMIN}"
admin = true
"""
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


DIAGRAM = """A request passes these wrappers, from the outside in:

```mermaid
flowchart LR
  C[Client] --> G[Gateway] --> B{Breaker open?}
  B -->|no| P[Provider]
  B -->|yes| F[Next provider]
  P -->|429, 5xx| R[Retry] --> P
```

Only what is asked before the first word may be asked again.
"""


ARABIC = """هناك ثلاث طرق جيدة، واختيار الأنسب يعتمد على القراءة:

- **جدول واحد** مرتب بحسب الوقت، لمعظم الخدمات
- ملف لكل ساعة، للأرشيف
- أعمدة مضغوطة، للوحات المتابعة

| الطريقة | الكتابة | القراءة |
|---|---|---|
| جدول | سريعة | نطاقات |
| ملف | الأسرع | ساعات كاملة |

```sql
SELECT time, value FROM points WHERE series = 'cpu';
```
"""
ARABIC_QUESTION = "كيف أحفظ القياسات بحسب الوقت؟"


class Writer(Server):
    """Answers what the picture of a chat asks."""

    def pieces(self, asked: dict[str, Any]) -> Iterator[bytes]:
        question = str(asked["messages"][-1]["content"])
        text = ARABIC if question == ARABIC_QUESTION else DIAGRAM if "diagram" in question else WORDS
        for start in range(0, len(text), 9):
            yield chunk({"content": text[start : start + 9]})
            time.sleep(0.01)
        yield chunk({}, usage={"prompt_tokens": 21, "completion_tokens": 154, "total_tokens": 175})


class Picture(NamedTuple):
    """One picture: how large the window is, and what is done in it before."""

    name: str
    width: int
    height: int
    prepare: Callable[[Site], object]
    dark: bool = False
    key: str = ""


def chat(site: Site) -> None:
    site.choose("writer/writer")
    site.answered("Compare three ways to store time series, in a table")
    expect(site.page.locator(".code .hljs-keyword").first).to_be_visible()
    site.page.mouse.move(0, 0)
    site.page.locator(".scroller").evaluate("scroller => (scroller.scrollTop = 0)")


def compared(site: Site, *others: str) -> None:
    """`quick/markdown` and the others answer one question."""
    site.choose("quick/markdown")
    for place, model in enumerate(others):
        site.button("One more model" if place else "Ask a second model too").click()
        site.page.locator(".composer .model-button").nth(place).click()
        site.page.get_by_role("combobox", name="Search models").fill(model)
        site.page.keyboard.press("Enter")
    site.ask("Show me what an answer may contain")
    sides = site.page.get_by_role("group", name="Answers to one question").get_by_role("article")
    expect(sides).to_have_count(1 + len(others))
    for index in range(1 + len(others)):
        site.complete(sides.nth(index))
    site.page.locator(".scroller").evaluate("scroller => (scroller.scrollTop = 0)")


def compare(site: Site) -> None:
    compared(site, "quick/reasoning")


def four(site: Site) -> None:
    compared(site, "quick/reasoning", "quick/hello", "writer/writer")


def arabic(site: Site) -> None:
    chosen(site, "ar")
    page = site.page
    page.locator(".model-button").first.click()
    page.get_by_role("combobox").fill("writer/writer")
    page.keyboard.press("Enter")
    page.locator("#composer").fill(ARABIC_QUESTION)
    page.keyboard.press("Enter")
    expect(page.locator("article.answer")).to_have_attribute("aria-busy", "false")
    expect(page.locator(".code .hljs-keyword").first).to_be_visible()
    page.mouse.move(0, 0)
    page.locator(".scroller").evaluate("scroller => (scroller.scrollTop = 0)")


def diagram(site: Site) -> None:
    site.choose("writer/writer")
    answer = site.answered("Draw a diagram of how a request is retried")
    expect(answer.get_by_role("img", name="Diagram")).to_be_visible(timeout=60_000)
    site.page.mouse.move(0, 0)


def waterfall(site: Site) -> None:
    site.choose("quick/flaky")
    site.answered("Hello!")
    site.button("Timing of this request").last.click()
    expect(site.page.get_by_role("region", name="What this request did, and when")).to_be_visible()


def keys(site: Site) -> None:
    site.page.goto(f"{site.url}/#/activity")
    for name, fields in (
        ("laptop", {"Budget": "20/month"}),
        ("ci", {"Budget": "5/day", "Requests_a_minute": "60"}),
        ("docs-bot", {"Models": "fast, quick/*"}),
    ):
        made(site.page, name, **fields)
        close(site.page)
    site.page.get_by_role("region", name="Keys").evaluate("one => one.scrollIntoView({block: 'start'})")


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
    Picture("compare-four", 1760, 900, four),
    Picture("arabic", 1280, 800, arabic),
    Picture("activity", 1280, 900, activity),
    Picture("phone", 390, 800, chat),
    Picture("diagram", 1280, 800, diagram),
    Picture("waterfall", 1280, 800, waterfall, dark=True),
    Picture("keys", 1280, 720, keys, key=ADMIN),
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
        bearer = {"Authorization": f"Bearer {picture.key}"} if picture.key else None
        context.request.delete(f"{url}/threads", headers=bearer)
        if picture.key:
            context.add_init_script(f"sessionStorage.setItem('llmproxy.key', '{picture.key}')")
        site = Site(context.new_page(), url)
        site.open()
        picture.prepare(site)
        taken(site.page, folder / f"{picture.name}.webp")


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images"
    with (
        serving(Writer) as address,
        running_gateway(CONFIG.format(address=address)) as gateway,
        running_gateway(CONFIG.format(address=address) + KEYS) as keyed,
        sync_playwright() as playwright,
    ):
        browser = launched(playwright)
        for picture in PICTURES:
            take(browser, keyed.url if picture.key else gateway.url, picture, folder)
        browser.close()


if __name__ == "__main__":
    main()
