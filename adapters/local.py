"""OpenAI-compatible model servers on your own machine: Ollama, vLLM and LM Studio, with their usual environment variables."""

from __future__ import annotations

from llmproxy.adapter_kit import Account, Environment

from .compatible import Compatible


class _Local(Compatible):
    """base_url may be the server's address without `/v1`. All of them have the Responses API, without stored responses."""

    speaks = Compatible.speaks | {"responses"}

    def __init__(self, account: Account) -> None:
        super().__init__(account)
        if not self.base_url.endswith("/v1"):
            self.base_url += "/v1"


class Ollama(_Local):
    speaks = _Local.speaks | {"messages"}
    many = False  # `n` is ignored (ollama#13111)
    environment = Environment(
        keys=("OLLAMA_API_KEY",),
        base_urls=("OLLAMA_BASE_URL", "OLLAMA_HOST"),
        base_url="http://127.0.0.1:11434/v1",
        needs_key=False,
    )


class VLLM(_Local):
    speaks = _Local.speaks | {"messages"}
    environment = Environment(
        keys=("VLLM_API_KEY",),
        base_urls=("VLLM_BASE_URL",),
        base_url="http://127.0.0.1:8000/v1",
        needs_key=False,
    )


class LMStudio(_Local):
    many = False  # it ignores `n`
    environment = Environment(
        keys=("LMSTUDIO_API_KEY", "LM_API_TOKEN"),
        base_urls=("LMSTUDIO_BASE_URL",),
        base_url="http://127.0.0.1:1234/v1",
        needs_key=False,
    )
