"""What every client is promised of a stream of chunks, whatever the provider did: three steps to be piped.

A chunk that needs nothing comes out as the very object that went in, so that its bytes can be kept too.
"""

from .envelope import FINISHES, Envelope
from .reasoning import Reasoning
from .tool_calls import ToolCalls

__all__ = ["FINISHES", "Envelope", "Reasoning", "ToolCalls"]
