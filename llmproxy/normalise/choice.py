"""One choice of an answer as it goes by: opened once, ended once, with what came along with the end."""

from __future__ import annotations

from ..chat import Json

FINISHES = frozenset(("stop", "length", "tool_calls", "content_filter", "function_call"))


class Choice:
    """One choice of the answer: whether it was opened, how it ended, what came with the end."""

    def __init__(self) -> None:
        self.opened = False
        self.finish: str | None = None
        self.extras: Json = {}
        self._tools = False
        self._function = False

    def tidy_delta(self, delta: Json) -> Json:
        """The delta with a role in the first one and in no other."""
        if delta.get("tool_calls"):
            self._tools = True
        if delta.get("function_call"):
            self._function = True
        role = delta.get("role")
        if not self.opened:
            if not delta:
                return delta
            self.opened = True
            return (
                delta
                if role == "assistant"
                else {"role": "assistant", **{k: v for k, v in delta.items() if k != "role"}}
            )
        return delta if "role" not in delta else {k: v for k, v in delta.items() if k != "role"}

    def take_finish(self, choice: Json) -> None:
        self.finish = str(choice["finish_reason"])
        self.keep(choice)

    def keep(self, choice: Json) -> None:
        """Members that come with the end go out with it, whatever the chunk they came in."""
        extras = {
            k: v for k, v in choice.items() if k not in ("index", "delta", "message", "finish_reason") and v is not None
        }
        self.extras = {**self.extras, **extras}

    def reason(self) -> str:
        """Why it ended, derived from what was seen: Gemini, OpenRouter and Ollama say `stop` for tool calls (recorded)."""
        said = self.finish or "stop"
        if said not in FINISHES:
            self.extras.setdefault("native_finish_reason", said)
            said = "stop"
        if said in ("stop", "function_call") and self._tools:
            return "tool_calls"
        return "function_call" if said == "stop" and self._function else said
