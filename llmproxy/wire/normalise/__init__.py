"""Four piped steps that make any provider's stream a regular stream of OpenAI chunks.

A chunk that needs no change is returned as the same object, so that its bytes can be kept too.
"""

from .entrance import Entrance
from .envelope import Envelope
from .reasoning import Reasoning
from .tool_calls import ToolCalls

__all__ = ["Entrance", "Envelope", "Reasoning", "ToolCalls"]
