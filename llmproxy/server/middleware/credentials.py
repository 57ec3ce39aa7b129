"""Extracts the API key of a request, from all headers and parameters that clients use."""

from __future__ import annotations

from aiohttp import hdrs, web
from multidict import istr

from llmproxy.core.errors import BadRequest

_HEADERS = (istr("X-Api-Key"), istr("Api-Key"), istr("X-Goog-Api-Key"))
_OTHERS = ("basic", "digest", "negotiate", "ntlm")  # passwords for a proxy in front, which are not our keys
_QUERY = "key"  # Google's clients may send the key in this parameter; it is not passed on


def shown_key(request: web.Request) -> str:
    """The client's key; empty if there is none. Raises BadRequest for two different keys."""
    headers = request.headers
    found: set[str] = set()
    if hdrs.AUTHORIZATION in headers:
        kind, _, token = headers[hdrs.AUTHORIZATION].partition(" ")
        kind = kind.lower()
        if kind == "bearer" and (bearer := token.strip()):
            found.add(bearer)
        elif kind and kind not in _OTHERS:
            found.add("")
    for name in _HEADERS:
        if headers.get(name):
            found.add(headers[name])
    if "?" in request.raw_path and (asked := request.query.getall(_QUERY, [])):
        found.update(asked)
    if len(found) > 1:
        raise BadRequest("Two different keys were sent.", code="invalid_api_key")
    return found.pop() if found else ""


def without_key(path_qs: str) -> str:
    """A path and its query, without the key."""
    path, mark, query = path_qs.partition("?")
    rest = "&".join(one for one in query.split("&") if one.partition("=")[0] != _QUERY)
    return f"{path}{mark}{rest}" if rest else path
