"""Calls of adapters' methods: an exception that is no GatewayError becomes an UpstreamError, so that another provider is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from llmproxy.core.errors import GatewayError, Malformed, UpstreamError
from llmproxy.observe.log import log
from llmproxy.observe.periodic import where

T = TypeVar("T")


def called(method: Callable[..., T], *given: Any) -> T:
    """What an adapter's method gives. A mistake of its is an UpstreamError, so that another provider is asked."""
    try:
        return method(*given)
    except GatewayError:
        raise
    except Exception as error:
        raise _broken(error) from error


def collect(into: list[bytes], give: Callable[..., Iterable[bytes]], *data: bytes) -> UpstreamError | None:
    """Takes the frames, and gives the failure behind them: what was given before it is still good, and goes out first."""
    try:
        into.extend(give(*data))
    except UpstreamError as error:
        return error
    except GatewayError:
        raise
    except Exception as error:  # noqa: BLE001  # a mistake of an adapter's is the failure of one attempt
        return _broken(error)
    return None


def _broken(error: Exception) -> UpstreamError:
    """Logged by its type and place: what it was about may be somebody's words."""
    log.error("adapter_failed", failure=type(error).__name__, where=where(error))
    return Malformed("The gateway could not read what the provider sent.")
