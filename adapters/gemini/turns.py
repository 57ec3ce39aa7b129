"""The turns of a conversation as Gemini takes them: it has rules about which may follow which, and answers 400 to others."""

from __future__ import annotations

from llmproxy.adapter_kit import Json

NOTHING = " "  # the text of a turn that must be there and says nothing: Gemini refuses an empty one
UNANSWERED = {"error": "There is no result of this call."}


class Turns:
    """The contents, in order. `shaped`: something had to be put in that the client did not send.

    A turn of calls is followed by one of as many results; a call does not open the history; no turn is empty.
    """

    def __init__(self) -> None:
        self.contents: list[Json] = []
        self.shaped = False
        self._silent = False  # the user has sent a turn without content

    def user(self, parts: list[Json]) -> None:
        if parts:
            self._add("user", parts)
        self._silent = self._silent or not parts

    def model(self, parts: list[Json]) -> None:
        if parts:
            self._speak_up()
            self._add("model", parts)

    def results(self, parts: list[Json]) -> None:
        self.contents.append({"role": "user", "parts": parts})

    def end(self) -> None:
        self._speak_up()
        first = self.contents[0] if self.contents else None
        if first is not None and first["role"] == "model" and holds(first, "functionCall"):
            self.contents.insert(0, {"role": "user", "parts": [{"text": NOTHING}]})
            self.shaped = True

    def _add(self, role: str, parts: list[Json]) -> None:
        last = self.contents[-1] if self.contents else None
        if last is not None and last["role"] == role and not holds(last, "functionResponse"):
            last["parts"].extend(parts)
        else:
            self.contents.append({"role": role, "parts": parts})

    def _speak_up(self) -> None:
        """A user's turn without content is kept where there would be none otherwise."""
        if self._silent and (not self.contents or self.contents[-1]["role"] == "model"):
            self._add("user", [{"text": NOTHING}])
            self.shaped = True
        self._silent = False


def holds(content: Json, kind: str) -> bool:
    return any(kind in part for part in content["parts"])
