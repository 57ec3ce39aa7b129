"""Fields with enumerated values: OpenAI's typed clients reject an answer with an unknown value."""

from __future__ import annotations

from llmproxy.core.chat import Json

SERVICE_TIERS = (None, "auto", "default", "flex", "scale", "priority", "fast")
_ALSO = {"standard": "default"}


def listed(answer: Json) -> bool:
    """Whether an answer, or a chunk of one, has only values that OpenAI defines."""
    return answer.get("service_tier") in SERVICE_TIERS


def in_openais_words(answer: Json) -> Json:
    """The answer with OpenAI's values; the provider's own value is kept in another member."""
    tier_name = answer["service_tier"]
    rest = {key: value for key, value in answer.items() if key != "service_tier"}
    tier = {"service_tier": _ALSO[tier_name]} if isinstance(tier_name, str) and tier_name in _ALSO else {}
    return {**rest, **tier, "native_service_tier": tier_name}
