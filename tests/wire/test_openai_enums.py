"""Words that OpenAI lists leave as OpenAI has them, streamed and whole, so that its typed clients read the answer."""

from __future__ import annotations

from typing import Any, get_args

import orjson
import pytest
from openai.types.chat import ChatCompletion

from llmproxy.core.chat import Chat
from llmproxy.testing import chunk, completion, sse
from llmproxy.testing.samples import as_bytes
from llmproxy.wire.openai_enums import SERVICE_TIERS
from llmproxy.wire.relay import Relay
from tests.core.kit import chunks_in, run


def test_the_list_has_all_that_openais_client_knows() -> None:
    known = {
        word for part in get_args(ChatCompletion.model_fields["service_tier"].annotation) for word in get_args(part)
    }
    assert known <= set(SERVICE_TIERS)


@pytest.mark.parametrize(
    ("said", "tier", "native"),
    [
        *[(word, word, None) for word in SERVICE_TIERS],
        ("standard", "default", "standard"),
        ("on_demand", None, "on_demand"),
        (["odd"], None, ["odd"]),
    ],
)
@pytest.mark.parametrize("form", ["stream", "folded", "whole"])
def test_a_service_tier_is_openais_or_kept_beside(said: Any, tier: str | None, native: Any, form: str) -> None:
    relay = Relay(Chat({"model": "m", "messages": [], "stream": form == "stream"}, "m"))
    events = sse(chunk({"content": "Hi"}, service_tier=said), chunk({}, finish="stop", service_tier=said))
    body = as_bytes({**completion("Hi"), "service_tier": said}) if form == "whole" else events
    out, error = run(relay, [body])
    assert error is None
    answers = chunks_in(out) if form == "stream" else [orjson.loads(out)]
    assert [one.get("service_tier") for one in answers] == [tier] * len(answers)
    assert {str(one.get("native_service_tier")) for one in answers} == {str(native)}
