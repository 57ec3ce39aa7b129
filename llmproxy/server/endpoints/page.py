"""Serves the built chat page: files are read once, and only from their folder."""

from __future__ import annotations

import hashlib
import mimetypes
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from aiohttp import web

from llmproxy.core.errors import GatewayError

FOLDER = Path(__file__).parents[2] / "static"
_CSP = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "font-src 'self'",
        "connect-src 'self'",
        "worker-src 'self'",
        "manifest-src 'self'",
        "media-src 'self' data: blob:",
        "frame-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'none'",
    )
)
_HEADERS = {
    "Content-Security-Policy": _CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
# For code from a model that the user runs in a preview: no origin and no network. The page's own frame-src prevents navigation
# to other sites.
_FRAME = {
    "Content-Security-Policy": "; ".join(
        (
            "sandbox allow-scripts",
            "default-src 'none'",
            "script-src 'unsafe-inline'",
            "style-src 'unsafe-inline'",
            "img-src data: blob:",
            "media-src data: blob:",
            "font-src data:",
            "connect-src 'none'",
            "form-action 'none'",
            "base-uri 'none'",
            "frame-ancestors 'self'",
        )
    ),
    "X-DNS-Prefetch-Control": "off",
}
_NOT_BUILT = "The page is not built. `make run` builds it where Node is installed. The API is at /v1.\n"
_FOREVER = "public, max-age=31536000, immutable"
_ENCODINGS = (("br", ".br"), ("gzip", ".gz"))


@dataclass(frozen=True, slots=True)
class File:
    body: bytes
    kind: str
    tag: str
    cache: str
    packed: dict[str, bytes]  # by content encoding
    framed: bool = False  # shown in a frame, with a policy of its own


async def index(request: web.Request) -> web.Response:
    found = _files().get("index.html")
    return _sent(request, found) if found else web.Response(text=_NOT_BUILT, headers=_HEADERS)


async def file(request: web.Request) -> web.Response:
    found = _files().get(request.match_info["path"])
    if found is None:
        raise GatewayError("There is nothing here. The API begins at /v1.", status=404, code="unknown_url")
    return _sent(request, found)


def _sent(request: web.Request, found: File) -> web.Response:
    headers = {
        **_HEADERS,
        **(_FRAME if found.framed else {}),
        "ETag": found.tag,
        "Cache-Control": found.cache,
        "Vary": "Accept-Encoding",
        "Content-Type": found.kind,
    }
    if request.headers.get("If-None-Match") == found.tag:
        return web.Response(status=304, headers=headers)
    accepted = request.headers.get("Accept-Encoding", "")
    encoding = next((name for name in found.packed if name in accepted), None)
    if encoding is None:
        return web.Response(body=found.body, headers=headers)
    return web.Response(body=found.packed[encoding], headers={**headers, "Content-Encoding": encoding})


@cache
def _files() -> dict[str, File]:
    there = {str(path.relative_to(FOLDER)): path for path in FOLDER.rglob("*") if path.is_file()}
    return {name: _read(name, path) for name, path in there.items() if path.suffix not in (".br", ".gz")}


def _read(name: str, path: Path) -> File:
    body = path.read_bytes()
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    if name.endswith(".webmanifest"):
        kind = "application/manifest+json"
    if kind.startswith("text/") or kind in ("application/javascript", "application/json"):
        kind += "; charset=utf-8"
    tag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    hashed = name.startswith("assets/")  # the build puts a hash into these names
    packed = {
        encoding: other.read_bytes()
        for encoding, end in _ENCODINGS
        if (other := path.with_name(path.name + end)).is_file()
    }
    return File(body, kind, tag, _FOREVER if hashed else "no-cache", packed, name == "preview.html")
