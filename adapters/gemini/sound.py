"""Converts Gemini's audio to OpenAI's `audio` of a message: one base64 text, in several deltas."""

from __future__ import annotations

import base64
import binascii

from llmproxy.adapter_kit import Json, Malformed


class Sound:
    """The audio of one answer. Base64 can be joined only at multiples of three bytes; the rest is kept for the next piece."""

    def __init__(self, id: str, created: int) -> None:
        self._head: Json = {"id": id}
        self._created = created
        self._rest = b""

    def feed(self, data: str, mime: str) -> Json:
        """The `audio` of a delta; the first one has the ID and the format."""
        try:
            whole = self._rest + base64.b64decode(data + "=" * (-len(data) % 4))
        except (binascii.Error, ValueError) as error:
            raise Malformed("The provider sent sound that is not base64.") from error
        cut = len(whole) - len(whole) % 3
        self._rest = whole[cut:]
        head, self._head = self._head, {}
        return {**head, **({"mime_type": mime} if head else {}), "data": base64.b64encode(whole[:cut]).decode()}

    def finish(self) -> Json:
        """The last delta, with members that OpenAI's clients require. Nothing is stored, so it expires at once."""
        rest, self._rest = self._rest, b""
        data = {"data": base64.b64encode(rest).decode()} if rest else {}
        return {**data, "expires_at": self._created, "transcript": ""}
