"""Azure OpenAI: the deployment in the path, the version in the query, the key in its own header."""

from __future__ import annotations

from collections.abc import Mapping

from llmproxy.adapter_kit import Account, Chat, Environment, Json, Model, OpenAICompatible, Outgoing


class Azure(OpenAICompatible):
    environment = Environment(
        keys=("AZURE_OPENAI_API_KEY",),
        base_urls=("AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_BASE_URL"),
        options={"api_version": ("OPENAI_API_VERSION", "AZURE_OPENAI_API_VERSION")},
    )
    _faces: Mapping[str, str] = {"chat": "chat/completions", "completions": "completions", "embeddings": "embeddings"}

    def __init__(self, account: Account) -> None:
        super().__init__(account)
        self._version = str(account.options.get("api_version") or "2024-10-21")

    def headers(self) -> Mapping[str, str]:
        return {"api-key": self.account.api_key} if self.account.api_key else {}

    def url(self, chat: Chat) -> str:
        face = self._faces[chat.face]
        return self._at(face if self._is_v1 else f"deployments/{chat.model}/{face}")

    def models_request(self, page: str | None = None) -> Outgoing:
        return Outgoing(self._at("models"), headers=self._headers, method="GET")

    def model(self, entry: Json) -> Model | None:
        """The list is of what the resource could deploy: what cannot be asked at all is left out."""
        able = entry.get("capabilities")
        return None if isinstance(able, dict) and able.get("inference") is False else super().model(entry)

    @property
    def _is_v1(self) -> bool:
        """The newer endpoint: no version in the query, the deployment as `model`."""
        return self.base_url.endswith("/v1")

    def _at(self, path: str) -> str:
        if self._is_v1:
            return f"{self.base_url}/{path}"
        return f"{self.base_url.removesuffix('/openai')}/openai/{path}?api-version={self._version}"
