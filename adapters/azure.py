"""Azure OpenAI: the deployment in the path, the version in the query, the key in its own header."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, quote, unquote, urlencode

from llmproxy.adapter_kit import Account, Chat, Environment, Json, Model, ModelNotFound, OpenAICompatible, Outgoing

_TARGET = re.compile(r"(?P<root>.*)/openai/deployments/(?P<deployment>[^/]+)(?:/.*)?")


class Azure(OpenAICompatible):
    speaks = OpenAICompatible.speaks | {"responses", "compact"}
    keeps_responses = True
    hides = ("reasoning_details", "reasoning_content", "extra_content")
    inputs_at_once = 2048  # texts of one embeddings request
    environment = Environment(
        keys=("AZURE_OPENAI_API_KEY",),
        base_urls=("AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_BASE_URL"),
        options={"api_version": ("OPENAI_API_VERSION", "AZURE_OPENAI_API_VERSION")},
    )
    _faces: Mapping[str, str] = {
        "chat": "chat/completions",
        "completions": "completions",
        "embeddings": "embeddings",
        "responses": "responses",
        "compact": "responses/compact",
    }

    def adapt(self, chat: Chat) -> Chat:
        """As for OpenAI: removes what clients of other dialects always send and OpenAI refuses."""
        return chat.drop("top_k") if chat.encoder is not None else chat

    def __init__(self, account: Account) -> None:
        """base_url may be the target URI from Azure's portal: then its deployment and its API version are used."""
        super().__init__(account)
        query = dict(parse_qsl(self.query.removeprefix("?")))
        version = query.pop("api-version", None) or account.options.get("api_version") or "2024-10-21"
        target = _TARGET.fullmatch(self.base_url)
        self._deployment = unquote(target["deployment"]) if target else ""
        self.base_url = target["root"] if target else self.base_url
        self.known_models = (Model(self._deployment),) if target else ()
        self.query = "?" + urlencode({**query, **({} if self._is_v1 else {"api-version": str(version)})})

    def headers(self) -> Mapping[str, str]:
        return {"api-key": self.account.api_key} if self.account.api_key else {}

    def url(self, chat: Chat) -> str:
        face = self._faces[chat.face]
        if self._is_v1 or chat.face in ("responses", "compact"):  # the deployment is in the body's `model`
            return self._at(face)
        return self._at(f"deployments/{_segment(self._deployment or chat.model)}/{face}")

    def models_request(self, page: str | None = None) -> Outgoing:
        return Outgoing(self._at("models"), headers=self._headers, method="GET")

    def model(self, entry: Json) -> Model | None:
        """The list has all models that the resource could deploy. Those with no supported endpoint are left out."""
        able = entry.get("capabilities")
        return None if isinstance(able, dict) and able.get("inference") is False else super().model(entry)

    @property
    def _is_v1(self) -> bool:
        """Whether this is the newer endpoint: no version in the query, the deployment as `model`."""
        return self.base_url.endswith("/v1")

    def _at(self, path: str) -> str:
        root = self.base_url if self._is_v1 else f"{self.base_url.removesuffix('/openai')}/openai"
        return f"{root}/{path}{self.query.removesuffix('?')}"


def _segment(deployment: str) -> str:
    """A name as one path segment. Raises ModelNotFound for `.` and `..`."""
    if deployment in ("", ".", ".."):
        raise ModelNotFound(f"Azure has no deployment {deployment!r}.", param="model")
    return quote(deployment, safe="")
