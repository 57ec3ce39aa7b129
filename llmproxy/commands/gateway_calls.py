"""Calls of the running gateway's HTTP API for the commands, with the standard library."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

from llmproxy.config import Reach
from llmproxy.config.addresses import is_loopback

FAILURES = (OSError, ValueError, http.client.HTTPException)
KEY_HINT = "Set LLMPROXY_KEY to a key of this gateway."
_LIMIT = 15.0  # seconds


def get(place: Reach, path: str) -> Mapping[str, Any]:
    """The JSON object at `path` under the base URL. Raises one of FAILURES."""
    headers = {"Authorization": f"Bearer {place.key}"} if place.key else {}
    url = urljoin(f"{place.base_url}/", path.lstrip("/"))
    with _opener(url).open(urllib.request.Request(url, headers=headers), timeout=_LIMIT) as answer:
        answer_body = json.load(answer)
    if not isinstance(answer_body, dict):
        raise ValueError("the answer is not a JSON object")
    return answer_body


def models(place: Reach) -> list[Mapping[str, Any]]:
    """The entries of GET /v1/models. Raises one of FAILURES."""
    entries = get(place, "/models").get("data")
    if not isinstance(entries, list):
        raise ValueError("not a list of models")
    return [entry for entry in entries if isinstance(entry, dict)]


def explained(place: Reach, error: Exception) -> str:
    """One sentence for the terminal, with what to do."""
    if isinstance(error, urllib.error.HTTPError):
        hint = f" {KEY_HINT}" if error.code == 401 else ""
        return f"{place.base_url} answers {error.code}: {_reason(error)}{hint}"
    return not_there(place.base_url, getattr(error, "reason", None) or error)


def not_there(base_url: str, reason: object) -> str:
    return f"no gateway answers at {base_url}: {reason} (start one with `llmproxy serve`, or set LLMPROXY_URL)"


def _opener(url: str) -> urllib.request.OpenerDirector:
    """No proxy is used for this machine itself, whatever the environment says."""
    straight = is_loopback(urlsplit(url).hostname or "")
    return urllib.request.build_opener(*([urllib.request.ProxyHandler({})] if straight else []))


def _reason(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(error)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return str(error.reason)
