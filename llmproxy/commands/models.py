"""`llmproxy models`: what the running gateway offers, as a table."""

from __future__ import annotations

import argparse
import http.client
import json
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from llmproxy.config import Reach, reach
from llmproxy.config.addresses import is_loopback

from .table import table

_PATIENCE = 15.0  # seconds


def main(given: argparse.Namespace) -> int:
    place = reach(given.base_url)
    try:
        models = fetch(place)
    except urllib.error.HTTPError as error:
        print(f"llmproxy: {place.base_url} answers {error.code}: {_reason(error)}", file=sys.stderr)
        return 1
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        print(f"llmproxy: no gateway answers at {place.base_url}: {reason}", file=sys.stderr)
        return 1
    print(table(("model", "context", "takes", "stands for"), [_row(model) for model in models]))
    return 0


def fetch(place: Reach) -> list[Mapping[str, Any]]:
    """The entries of GET /v1/models. Raises OSError, HTTPException, or ValueError for what is no list of models."""
    headers = {"Authorization": f"Bearer {place.key}"} if place.key else {}
    asking = urllib.request.Request(f"{place.base_url}/models", headers=headers)
    with _opener(place.base_url).open(asking, timeout=_PATIENCE) as answer:
        said = json.load(answer)
    if not isinstance(said, dict) or not isinstance(said.get("data"), list):
        raise ValueError("not a list of models")
    return [entry for entry in said["data"] if isinstance(entry, dict)]


def _opener(url: str) -> urllib.request.OpenerDirector:
    """This machine itself is never asked through a proxy, whatever the environment says."""
    straight = is_loopback(urlsplit(url).hostname or "")
    return urllib.request.build_opener(*([urllib.request.ProxyHandler({})] if straight else []))


def _row(model: Mapping[str, Any]) -> tuple[str, ...]:
    known = model.get("llmproxy") or {}
    takes = [*(known.get("input") or []), *(name for name in ("tools", "reasoning") if known.get(name))]
    context = known.get("context_length")
    targets = (known.get("targets") or []) if known.get("kind") in ("alias", "pattern") else []
    return str(model.get("id")), f"{context:,}" if context else "", " ".join(takes), " ".join(map(str, targets))


def _reason(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(error)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return str(error.reason)
