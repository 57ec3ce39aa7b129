"""The store of a test provider with the Responses API: one response, read and deleted by its ID."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..connection import Behaviour, Exchange
from ..provider import JSON_TYPE
from ..samples import as_bytes, failure
from .provider_responses import responses_answer
from .scripted_reply import ScriptedReply


class StoredResponse:
    def __init__(self, reply: ScriptedReply) -> None:
        self._answer = responses_answer(reply)
        self._deleted = False

    def look_up(self, asked: Exchange, before: Sequence[Exchange]) -> Behaviour | None:
        """The answer to a GET or DELETE; None for another path. before: earlier requests of the gateway."""
        path, _, rest = asked.path.partition("?")[0].partition(f"/responses/{self._answer['id']}")
        if "/responses/" not in asked.path:
            return None
        last = before[-1].json if before else {}
        if rest not in ("", "/input_items") or path == asked.path or self._deleted or last.get("store") is False:
            return Behaviour([as_bytes(failure(404))], 404, JSON_TYPE, framing="length")
        return Behaviour(
            [as_bytes(self._body(asked.method, rest, last.get("input")))], headers=JSON_TYPE, framing="length"
        )

    def _body(self, method: str, rest: str, input: Any) -> Any:
        if method == "DELETE":
            self._deleted = True
            return {"id": self._answer["id"], "object": "response.deleted", "deleted": True}
        if not rest:
            return self._answer
        text = [{"type": "input_text", "text": str(input)}]
        item = {"type": "message", "id": "msg_in", "role": "user", "status": "completed", "content": text}
        return {"object": "list", "data": [item], "first_id": "msg_in", "last_id": "msg_in", "has_more": False}
