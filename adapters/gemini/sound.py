"""Gemini's sound as OpenAI's `audio` of a message: one base64 text, in however many pieces it comes."""

from __future__ import annotations

import base64
import binascii

from llmproxy.adapter_kit import Json, Malformed


class Sound:
    """The sound of one answer. Pieces of base64 join only where they end at a multiple of three bytes: the rest waits."""

    def __init__(self, id: str, created: int) -> None:
        self._head: Json = {"id": id}
        self._created = created
        self._rest = b""

    def feed(self, data: str, mime: str) -> Json:
        """The `audio` of a delta; id and kind come with the first."""
        try:
            whole = self._rest + base64.b64decode(data + "=" * (-len(data) % 4))
        except (binascii.Error, ValueError) as error:
            raise Malformed("The provider sent sound that is not base64.") from error
        cut = len(whole) - len(whole) % 3
        self._rest = whole[cut:]
        head, self._head = self._head, {}
        return {**head, **({"mime_type": mime} if head else {}), "data": base64.b64encode(whole[:cut]).decode()}

    def finish(self) -> Json:
        """What OpenAI's clients need besides. Nothing is stored under the id, so it expires at once."""
        rest, self._rest = self._rest, b""
        data = {"data": base64.b64encode(rest).decode()} if rest else {}
        return {**data, "expires_at": self._created, "transcript": ""}
