"""Calls methods of adapters: an exception that is not a GatewayError becomes an UpstreamError, so that another provider is
asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from llmproxy.core.errors import GatewayError, Malformed, UpstreamError
from llmproxy.observe.log import log
from llmproxy.observe.periodic import where

T = TypeVar("T")


def called(method: Callable[..., T], *given: Any) -> T:
    """The result of an adapter's method. An unexpected exception becomes an UpstreamError, so that another provider is asked."""
    try:
        return method(*given)
    except GatewayError:
        raise
    except Exception as error:
        raise _broken(error) from error


def collect(into: list[bytes], give: Callable[..., Iterable[bytes]], *data: bytes) -> UpstreamError | None:
    """Collects the frames, and returns the failure after them: frames before a failure are valid, and are sent first."""
    try:
        into.extend(give(*data))
    except UpstreamError as error:
        return error
    except GatewayError:
        raise
    except Exception as error:  # noqa: BLE001  # a bug in an adapter fails one attempt only
        return _broken(error)
    return None


def _broken(error: Exception) -> UpstreamError:
    """Logs only type and place, because the exception's text may contain data of the request."""
    log.error("adapter_failed", failure=type(error).__name__, where=where(error))
    return Malformed("The gateway could not read what the provider sent.")
