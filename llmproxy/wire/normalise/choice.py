"""One choice of an answer as it goes by: opened once, ended once, with what came along with the end."""

from __future__ import annotations

from typing import Any

from llmproxy.core.chat import Json
from llmproxy.wire.finish_reasons import FINISHES

LISTS = frozenset(("annotations", "images", "content_parts", "native_annotations"))


class Choice:
    """One choice of the answer: whether it was opened, how it ended, what came with the end."""

    def __init__(self) -> None:
        self.opened = False
        self.finish: str | None = None
        self.extras: Json = {}
        self._tools = False
        self._function = False
        self._listed: dict[str, int] = {}  # how many members of each list have come

    def numbered(self, delta: Json) -> Json:
        """The delta with an `index` on each member of a list that goes on: OpenAI's own accumulator refuses them without."""
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
        """The choice without what is held until the end; logprobs stay with their text."""
        said = self.finish = str(choice["finish_reason"])
        held = self.keep({k: v for k, v in choice.items() if not (speaks and k == "logprobs")})
        if said not in FINISHES:
            self.extras.setdefault("native_finish_reason", said)
        return {k: v for k, v in choice.items() if k not in held}

    def keep(self, choice: Json) -> Json:
        """Members that come with the end go out with it, whatever the chunk they came in."""
        extras = {
            k: v for k, v in choice.items() if k not in ("index", "delta", "message", "finish_reason") and v is not None
        }
        self.extras = {**self.extras, **extras}
        return extras

    def reason(self) -> str:
        """Why it ended, derived from what was seen: Gemini, OpenRouter and Ollama say `stop` for tool calls (recorded)."""
        said = self.finish or "stop"
        if said in FINISHES and said not in ("stop", "tool_calls", "function_call"):
            return said
        return "tool_calls" if self._tools else "function_call" if self._function else "stop"
