"""OpenRouter: many providers behind one key. Reasoning has its own field name, usage has the cost, the finish reason comes
twice."""

from __future__ import annotations

import re
from collections.abc import Mapping

from llmproxy.adapter_kit import Environment, Hint, Json, Model, OpenAICompatible, UpstreamError

_NO_ROUTE = re.compile(r"routing requirements|no (?:endpoints|allowed providers|eligible)|data policy", re.IGNORECASE)


class OpenRouter(OpenAICompatible):
    environment = Environment(
        keys=("OPENROUTER_API_KEY",),
        base_urls=("OPENROUTER_BASE_URL",),
        base_url="https://openrouter.ai/api/v1",
    )
    speaks = OpenAICompatible.speaks | {"responses", "messages"}
    hint = Hint("session_id")
    takes_images = True  # sent as `images`, the name in its answers
    many = False  # `n` is ignored (openrouter-runner#99)
    always_stream = True  # a request that is not streamed cannot be cancelled there, and is billed whole

    def headers(self) -> Mapping[str, str]:
        """With the name and URL of the app, which OpenRouter shows in its rankings, from the options `title` and `referer`."""
        named = {"HTTP-Referer": "referer", "X-OpenRouter-Title": "title", "X-OpenRouter-Categories": "categories"}
        options = self.account.options
        return {**super().headers(), **{header: str(options[key]) for header, key in named.items() if options.get(key)}}

    def judge(self, error: UpstreamError) -> UpstreamError:
        if error.status >= 500 and _NO_ROUTE.search(
            error.message
        ):  # the request's routing preferences exclude every provider
            error.retry_here = error.blames = False
        availability = error.extra.get("availability")
        if isinstance(availability, dict) and availability.get("retryable") is False:
            error.retry_here = False
        return error

    def model(self, entry: Json) -> Model | None:
        base = super().model({**entry, "owned_by": entry["id"].partition("/")[0]})
        return base and Model(base.id, base.created, base.owned_by, {**base.extra, **_capabilities(entry)})


def _capabilities(entry: Json) -> Json:
    supported = entry.get("supported_parameters") or ()
    architecture = entry.get("architecture") or {}
    top = entry.get("top_provider") or {}
    return {
        "tools": "tools" in supported,
        "reasoning": "reasoning" in supported,
        "input": architecture.get("input_modalities"),
        "max_output": top.get("max_completion_tokens"),
    }
