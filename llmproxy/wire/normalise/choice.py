"""State of one choice of a streamed answer: one start, one end, and the members that come with the end."""

from __future__ import annotations

from typing import Any

from llmproxy.core.chat import Json
from llmproxy.wire.finish_reasons import FINISHES

LISTS = frozenset(("annotations", "images", "content_parts", "native_annotations"))


class Choice:
    """One choice of the answer: whether it was opened, how it ended, and what came with the end."""

    __slots__ = (
        "_function", "_listed", "_tools", "extras", "finish", "opened", "speaks",
    )  # fmt: skip

    def __init__(self) -> None:
        self.opened = False
        self.speaks = False  # a text or a call of it has come
        self.finish: str | None = None
        self.extras: Json = {}
        self._tools = False
        self._function = False
        self._listed: dict[str, int] = {}  # number of members of each list so far

    def numbered(self, delta: Json) -> Json:
        """The delta with an `index` on each member of a list that is sent in pieces: OpenAI's own accumulator refuses members
        without one.
        """
        if LISTS.isdisjoint(delta):
            return delta
        lists = {key: members for key, members in delta.items() if key in LISTS and isinstance(members, list)}
        return {**delta, **{key: self._number(key, members) for key, members in lists.items()}}

    def _number(self, key: str, members: list[Any]) -> list[Any]:
        begin = self._listed.get(key, 0)
        self._listed[key] = begin + len(members)
        if not begin:
            return members
        return [{"index": begin + at, **one} if isinstance(one, dict) else one for at, one in enumerate(members)]

    def tidy_delta(self, delta: Json) -> Json:
        """The delta with a role in the first one and in no other."""
        if delta.get("tool_calls"):
            self._tools = True
        if delta.get("function_call"):
            self._function = True
        role = delta.get("role")
        if not self.opened:
            self.opened = True
            if not delta:
                return {"role": "assistant", "content": ""}
            return (
                delta
                if role == "assistant"
                else {"role": "assistant", **{k: v for k, v in delta.items() if k != "role"}}
            )
        return delta if "role" not in delta else {k: v for k, v in delta.items() if k != "role"}

    def take_finish(self, choice: Json, *, speaks: bool) -> Json:
        """The choice without the parts that are held until the end; logprobs stay with their text."""
        finish = self.finish = str(choice["finish_reason"])
        held = self.keep({k: v for k, v in choice.items() if not (speaks and k == "logprobs")})
        if finish not in FINISHES:
            self.extras.setdefault("native_finish_reason", finish)
        return {k: v for k, v in choice.items() if k not in held}

    def keep(self, choice: Json) -> Json:
        """Keeps members that belong to the end, in whatever chunk they were sent."""
        extras = {
            k: v for k, v in choice.items() if k not in ("index", "delta", "message", "finish_reason") and v is not None
        }
        self.extras = {**self.extras, **extras}
        return extras

    def reason(self) -> str:
        """The finish reason, derived from the content: Gemini, OpenRouter and Ollama send `stop` for tool calls (recorded)."""
        finish = self.finish or "stop"
        if finish in FINISHES and finish not in ("stop", "tool_calls", "function_call"):
            return finish
        return "tool_calls" if self._tools else "function_call" if self._function else "stop"
