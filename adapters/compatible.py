"""Any OpenAI-compatible service, by its base URL; with AI Refinery as a preset."""

from __future__ import annotations

from llmproxy.adapter_kit import Account, Environment, OpenAICompatible


class Compatible(OpenAICompatible):
    environment = Environment(
        keys=("COMPATIBLE_API_KEY",),
        base_urls=("COMPATIBLE_BASE_URL",),
        needs_key=False,
    )

    def __init__(self, account: Account) -> None:
        super().__init__(account)
        self.asks_usage = account.options.get("stream_options") is not False
        self.always_stream = account.options.get("always_stream") is True
        self.streams_metered = self.asks_usage  # without it a stream has no usage


class AIRefinery(OpenAICompatible):
    """Accenture AI Refinery."""

    environment = Environment(
        keys=("AIR_API_KEY", "AIREFINERY_API_KEY"),
        base_urls=("AIR_BASE_URL", "AIREFINERY_BASE_URL"),
        base_url="https://api.airefinery.accenture.com",
    )

    def __init__(self, account: Account) -> None:
        super().__init__(account)
        if not self.base_url.endswith("/v1"):
            self.base_url += "/v1"
