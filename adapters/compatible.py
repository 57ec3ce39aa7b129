"""Anyone who speaks OpenAI's dialect at some address: vLLM, Ollama, LM Studio, SGLang; with Azure and AI Refinery as presets."""

from __future__ import annotations

from collections.abc import Mapping

from llmproxy.adapter import Account, Environment
from llmproxy.chat import Chat
from llmproxy.compatible import OpenAICompatible


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


class Azure(OpenAICompatible):
    """Azure OpenAI: the deployment in the path, the version in the query, the key in its own header."""

    environment = Environment(
        keys=("AZURE_OPENAI_API_KEY",),
        base_urls=("AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_BASE_URL"),
    )
    _faces: Mapping[str, str] = {"chat": "chat/completions", "completions": "completions", "embeddings": "embeddings"}

    def __init__(self, account: Account) -> None:
        super().__init__(account)
        self._version = str(account.options.get("api_version") or "2024-10-21")

    def headers(self) -> Mapping[str, str]:
        return {"api-key": self.account.api_key} if self.account.api_key else {}

    def url(self, chat: Chat) -> str:
        face = self._faces[chat.face]
        if self.base_url.endswith("/v1"):  # the newer, version-free endpoint
            return f"{self.base_url}/{face}"
        root = self.base_url.removesuffix("/openai")
        return f"{root}/openai/deployments/{chat.model}/{face}?api-version={self._version}"


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
