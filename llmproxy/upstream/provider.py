"""One provider as an opener: its adapter, its HTTP client, and what was learnt about it."""

from __future__ import annotations

import time

from llmproxy.config import Timeouts
from llmproxy.core.adapter import Adapter, InProcess, KnowsPace, Pace, speaks
from llmproxy.core.chat import Chat, Face
from llmproxy.core.dialect import Adapts
from llmproxy.core.opener import Opening

from .exchange import Exchange
from .http import Client

_USUAL = Pace()
_ASK_ANEW = 600.0  # seconds after which a missing endpoint is tried again: the provider may have been updated


class Upstream:
    """One provider. Leaving the reply's block closes its connection at once, unless the answer was read to its end."""

    def __init__(self, adapter: Adapter, client: Client, timeouts: Timeouts) -> None:
        self.adapter = adapter
        self.client = client
        self.timeouts = timeouts
        self._knows_pace = adapter if isinstance(adapter, KnowsPace) else None
        self.in_process = adapter if isinstance(adapter, InProcess) else None
        self.name = adapter.account.name
        self._speaks = speaks(adapter)
        self.streams_only = getattr(adapter, "always_stream", False) is True
        self.streams_metered = getattr(adapter, "streams_metered", False) is True
        self._unspoken: dict[Face, float] = {}  # missing endpoints, and when that was found

    def passes(self, chat: Chat) -> bool:
        """Whether the provider is asked in the client's own dialect."""
        if chat.face not in self._speaks:
            return False
        if chat.dialect is not None:
            if self.streams_only and not chat.stream:
                return False  # a stop would not reach the model
            if isinstance(chat.dialect, Adapts) and not chat.dialect.suits(chat, self.adapter):
                return False
        since = self._unspoken.get(chat.face) if self._unspoken else None
        return since is None or time.monotonic() - since > _ASK_ANEW

    def learn_unspoken(self, face: Face) -> None:
        self._unspoken[face] = time.monotonic()

    def open(self, chat: Chat) -> Opening:
        return Exchange(self, chat)

    def pace(self, chat: Chat) -> Pace:
        return self._knows_pace.pace(chat) if self._knows_pace is not None else _USUAL

    def first_frame(self, pace: Pace) -> float:
        return self.timeouts.first_frame or pace.first_frame or self.adapter.first_frame
