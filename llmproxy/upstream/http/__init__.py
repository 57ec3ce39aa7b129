"""A lean HTTP/1.1 client: pooled connections, streamed responses, immediate close on cancel."""

from .client import Client
from .dial import tls_context
from .response import Incoming

__all__ = ["Client", "Incoming", "tls_context"]
