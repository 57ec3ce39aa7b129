"""Endpoint and headers of the OpenTelemetry export."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from .errors import Wrong
from .tables import parse
from .values import Telemetry


def parse_telemetry(value: object) -> Telemetry:
    """Raises Wrong."""
    settings = parse(Telemetry, value, ("telemetry",))
    if problem := problem_with(settings.endpoint):
        raise Wrong(("telemetry", "endpoint"), problem)
    if headers_of(settings.headers) is None:
        raise Wrong(("telemetry", "headers"), "must be NAME=VALUE, separated by commas")
    if not 0 <= settings.sample <= 1:
        raise Wrong(("telemetry", "sample"), "must be from 0 to 1")
    if settings.content and settings.traces == "off":
        raise Wrong(("telemetry", "content"), 'needs traces = "join" or "link"')
    return settings


def problem_with(endpoint: str) -> str:
    """Why nothing can be sent there; empty if it can. The address is not shown, because it may contain a password."""
    try:
        parts = urlsplit(endpoint)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    return "" if usable else "must be an http:// or https:// address"


def headers_of(text: str) -> dict[str, str] | None:
    """`api-key=abc,x=y`, the format of OTEL_EXPORTER_OTLP_HEADERS; None if it has another form."""
    found = {}
    for one in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = (part.strip() for part in one.partition("="))
        value = unquote(value)
        if not (equals and name.isascii() and name.replace("-", "").replace("_", "").isalnum() and value.isprintable()):
            return None
        found[name] = value
    return found
