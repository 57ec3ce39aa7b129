"""What every client is promised of a stream of chunks, whatever the provider did: four steps to be piped.

A chunk that needs nothing comes out as the very object that went in, so that its bytes can be kept too.
"""

from .entrance import Entrance
from .envelope import Envelope
from .reasoning import Reasoning
from .tool_calls import ToolCalls

__all__ = ["Entrance", "Envelope", "Reasoning", "ToolCalls"]
