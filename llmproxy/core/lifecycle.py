"""The phases of a request's life."""

from __future__ import annotations

from typing import Literal

Phase = Literal["queued", "connecting", "waiting", "streaming", "backing_off", "finishing"]
