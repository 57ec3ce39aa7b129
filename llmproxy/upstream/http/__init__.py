"""A lean HTTP/1.1 client: pooled connections, answers handed on as they come, closed the moment nobody wants them."""

from .client import Client
from .dial import tls_context
from .response import Incoming

__all__ = ["Client", "Incoming", "tls_context"]
