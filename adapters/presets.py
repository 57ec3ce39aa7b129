"""OpenAI-compatible services as a table: base URL, variables of the key, and differences from OpenAI.

Most addresses and variables are from the files providers/*/provider.toml of anomalyco/models.dev, others from the source in
the row's comment. No service was called; the rows of xAI, Mistral, MiniMax, Cohere and Databricks are not confirmed.
Databricks and Cloudflare have an address per account, so `base_url` must be set.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

from llmproxy.adapter_kit import Chat, Environment, Hint

from .compatible import Compatible


class Preset(NamedTuple):
    base_url: str
    keys: tuple[str, ...]
    differs: Mapping[str, Any] = {}  # class attributes that differ from Hosted's


class Hosted(Compatible):
    """renames: parameters for which the service has another name."""

    renames: ClassVar[Mapping[str, str]] = {}

    def adapt(self, chat: Chat) -> Chat:
        there = {old: new for old, new in self.renames.items() if chat.body.get(old) is not None}
        if not there:
            return chat
        return chat.with_fields(**{new: chat.body[old] for old, new in there.items()}, **dict.fromkeys(there))


PRESETS: Mapping[str, Preset] = {
    # BerriAI/litellm, get_llm_provider_logic.py
    "ai21": Preset("https://api.ai21.com/studio/v1", ("AI21_API_KEY",)),
    "cerebras": Preset("https://api.cerebras.ai/v1", ("CEREBRAS_API_KEY",)),
    "cloudflare": Preset("", ("CLOUDFLARE_API_KEY",)),
    # docs.cohere.com/docs/compatibility-api
    "cohere": Preset("https://api.cohere.ai/compatibility/v1", ("COHERE_API_KEY", "CO_API_KEY")),
    "databricks": Preset("", ("DATABRICKS_TOKEN",)),
    # vercel/ai, packages/deepinfra/src/deepinfra-provider.ts
    "deepinfra": Preset("https://api.deepinfra.com/v1/openai", ("DEEPINFRA_API_KEY",)),
    "deepseek": Preset("https://api.deepseek.com", ("DEEPSEEK_API_KEY",)),
    # `prompt_cache_key` or `user` also name the conversation: reference.langchain.com/python/langchain-fireworks/middleware
    "fireworks": Preset(
        "https://api.fireworks.ai/inference/v1",
        ("FIREWORKS_API_KEY",),
        {"hint": Hint(header="x-session-affinity", own=("prompt_cache_key", "user"))},
    ),
    # GITHUB_TOKEN has many other uses, so it does not enable the provider; GITHUB_API_KEY is LiteLLM's name.
    "github": Preset("https://models.github.ai/inference", ("GITHUB_API_KEY",)),
    # `n` may only be 1: console.groq.com/docs/api-reference
    "groq": Preset("https://api.groq.com/openai/v1", ("GROQ_API_KEY",), {"many": False}),
    # HF_TOKEN is set to download models, so it does not enable the provider; HUGGINGFACE_API_KEY is LiteLLM's name.
    "huggingface": Preset("https://router.huggingface.co/v1", ("HUGGINGFACE_API_KEY",)),
    # platform.minimax.io/docs/api-reference/text-openai-api
    "minimax": Preset("https://api.minimax.io/v1", ("MINIMAX_API_KEY",)),
    # `max_completion_tokens` is refused with 422: editor-code-assistant/eca#231
    # docs.mistral.ai/studio-api/conversations/advanced/prompt-caching
    "mistral": Preset(
        "https://api.mistral.ai/v1",
        ("MISTRAL_API_KEY",),
        {"renames": {"max_completion_tokens": "max_tokens"}, "hint": Hint("prompt_cache_key")},
    ),
    "moonshot": Preset("https://api.moonshot.ai/v1", ("MOONSHOT_API_KEY",)),
    "nebius": Preset("https://api.tokenfactory.nebius.com/v1", ("NEBIUS_API_KEY",)),
    # The address is that of novita.ai/docs/api-reference/model-apis-llm-create-chat-completion
    "novita": Preset("https://api.novita.ai/openai/v1", ("NOVITA_API_KEY",)),
    # The second name is LiteLLM's.
    "nvidia": Preset("https://integrate.api.nvidia.com/v1", ("NVIDIA_API_KEY", "NVIDIA_NIM_API_KEY")),
    "ovhcloud": Preset("https://oai.endpoints.kepler.ai.cloud.ovh.net/v1", ("OVHCLOUD_API_KEY",)),
    "sambanova": Preset("https://api.sambanova.ai/v1", ("SAMBANOVA_API_KEY",)),
    "scaleway": Preset("https://api.scaleway.ai/v1", ("SCALEWAY_API_KEY",)),
    # BerriAI/litellm, get_llm_provider_logic.py
    "together": Preset("https://api.together.xyz/v1", ("TOGETHER_API_KEY", "TOGETHER_AI_API_KEY")),
    # vercel.com/docs/ai-gateway/openai-compat
    "vercel": Preset("https://ai-gateway.vercel.sh/v1", ("AI_GATEWAY_API_KEY",)),
    # docs.x.ai/developers/advanced-api-usage/prompt-caching/maximizing-cache-hits
    "xai": Preset("https://api.x.ai/v1", ("XAI_API_KEY",), {"hint": Hint(header="x-grok-conv-id")}),
    "zai": Preset("https://api.z.ai/api/paas/v4", ("ZAI_API_KEY", "ZHIPU_API_KEY")),
}


def _made(name: str, preset: Preset) -> type[Hosted]:
    environment = Environment(preset.keys, (f"{name.upper()}_BASE_URL",), preset.base_url)
    return type(name, (Hosted,), {"__module__": __name__, "environment": environment, **preset.differs})


globals().update({name: _made(name, preset) for name, preset in PRESETS.items()})
