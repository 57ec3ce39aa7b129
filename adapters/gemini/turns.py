"""Puts turns into the order that Gemini requires; it answers 400 to any other."""

from __future__ import annotations

from llmproxy.adapter_kit import Json

NOTHING = " "  # text of a required turn without content: Gemini refuses an empty text
UNANSWERED = {"error": "There is no result of this call."}


class Turns:
    """The contents, in order. shaped: something was inserted that the client did not send.

    Gemini's rules: a turn with calls is followed by one with as many results; the first turn has no call; no turn is empty.
    """

    def __init__(self) -> None:
        self.contents: list[Json] = []
        self.shaped = False
        self._was_empty = False  # an empty user turn was left out

    def user(self, parts: list[Json]) -> None:
        if parts:
            self._add("user", parts)
        self._was_empty = self._was_empty or not parts

    def model(self, parts: list[Json]) -> None:
        if parts:
            self._fill_empty_turn()
            self._add("model", parts)

    def results(self, parts: list[Json]) -> None:
        self.contents.append({"role": "user", "parts": parts})

    def end(self) -> None:
        self._fill_empty_turn()
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

    def _fill_empty_turn(self) -> None:
        """Adds a user turn for an empty one that was left out, if there is no other user turn in its place."""
        if self._was_empty and (not self.contents or self.contents[-1]["role"] == "model"):
            self._add("user", [{"text": NOTHING}])
            self.shaped = True
        self._was_empty = False


def holds(content: Json, kind: str) -> bool:
    return any(kind in part for part in content["parts"])
