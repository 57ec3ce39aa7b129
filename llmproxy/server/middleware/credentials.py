"""Extracts the API key of a request, from all headers and parameters that clients use."""

from __future__ import annotations

from aiohttp import web

from llmproxy.core.errors import BadRequest

_HEADERS = ("X-Api-Key", "Api-Key", "X-Goog-Api-Key")
_OTHERS = ("basic", "digest", "negotiate", "ntlm")  # a password of a proxy in front, which is none of our keys
_QUERY = "key"  # as Google's clients may send it; it goes no further than here


def shown_key(request: web.Request) -> str:
    """Empty if there is none. Raises BadRequest for two that differ."""
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    bearer = token.strip() if kind.lower() == "bearer" else ""
    found = {bearer} if bearer else set()
    if kind and not bearer and kind.lower() not in _OTHERS:
        found.add("")
    found.update(value for name in _HEADERS if (value := request.headers.get(name)))
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
