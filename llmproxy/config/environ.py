"""Reads environment variables: providers with their keys, and the gateway's own settings."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from urllib.parse import urlsplit

from llmproxy.core import adapter_registry
from llmproxy.core.adapter import Environment

from .addresses import completed, is_private, problem_with
from .cleaned import cleaned, unsendable
from .errors import ConfigError
from .key_names import OPERATOR, derived
from .values import Key, Provider

Environ = Mapping[str, str]

# Variable: the table and key of llmproxy.toml that it sets.
SETTINGS = {
    "LLMPROXY_HOST": ("server", "host"),
    "LLMPROXY_PORT": ("server", "port"),
    "LLMPROXY_WORKERS": ("server", "workers"),
    "LLMPROXY_DISCOVER": ("server", "discover"),
    "LLMPROXY_LOOP": ("server", "loop"),
    "LLMPROXY_LOG_LEVEL": ("logs", "level"),
    "LLMPROXY_LOG_FORMAT": ("logs", "format"),
    "LLMPROXY_DATA_DIR": ("storage", "dir"),
    "LLMPROXY_STORAGE_URL": ("storage", "url"),
    "LLMPROXY_CLUSTER_PEERS": ("cluster", "peers"),
    "LLMPROXY_CLUSTER_DNS": ("cluster", "dns"),
    "LLMPROXY_CLUSTER_ADVERTISE": ("cluster", "advertise"),
    "LLMPROXY_CLUSTER_SECRET": ("cluster", "secret"),
    "LLMPROXY_CLUSTER_REDIS": ("cluster", "redis"),
    "LLMPROXY_CLUSTER_NAME": ("cluster", "name"),
    "LLMPROXY_CLUSTER_LISTEN": ("cluster", "listen"),
    "LLMPROXY_CLUSTER_CA_FILE": ("cluster", "ca_file"),
    "LLMPROXY_CLUSTER_CERT_FILE": ("cluster", "cert_file"),
    "LLMPROXY_CLUSTER_KEY_FILE": ("cluster", "key_file"),
    "LLMPROXY_TRACES": ("telemetry", "traces"),
    "LLMPROXY_OTLP_METRICS": ("telemetry", "metrics"),
    "OTEL_EXPORTER_OTLP_ENDPOINT": ("telemetry", "endpoint"),
    "OTEL_EXPORTER_OTLP_HEADERS": ("telemetry", "headers"),
    "OTEL_SERVICE_NAME": ("telemetry", "service"),
}


def settings(environ: Environ) -> dict[str, dict[str, str]]:
    """The gateway's own settings as tables of text, with the structure of the file."""
    tables: dict[str, dict[str, str]] = {}
    for variable, (table, key) in SETTINGS.items():
        if (value := environ.get(variable)) and not _is_link(variable, value):
            tables.setdefault(table, {})[key] = value
    return tables


def _is_link(variable: str, value: str) -> bool:
    """Whether the value is like `tcp://10.0.0.1:8811`, which Kubernetes sets in pods if a service is named llmproxy."""
    return variable == "LLMPROXY_PORT" and "://" in value


def notes(environ: Environ) -> Iterator[str]:
    """Sentences about variables that are set but not used, and about systems on which the gateway was not tested."""
    if sys.platform == "win32":
        yield "llmproxy is not tested on Windows: use WSL or a container (docs/deployment.md)"
    if _is_link("LLMPROXY_PORT", environ.get("LLMPROXY_PORT", "")):
        yield "LLMPROXY_PORT is an address that Kubernetes or Docker set for a service of this name: it does not count"


# Keys of model services that people often have and that no adapter here reads.
_UNREAD = (
    "AWS_BEARER_TOKEN_BEDROCK",
    "BASETEN_API_KEY",
    "CODESTRAL_API_KEY",
    "DASHSCOPE_API_KEY",
    "FRIENDLI_TOKEN",
    "HYPERBOLIC_API_KEY",
    "REPLICATE_API_TOKEN",
    "SILICONFLOW_API_KEY",
    "TOGETHERAI_API_KEY",
    "UPSTAGE_API_KEY",
    "VOLCENGINE_API_KEY",
    "VOYAGE_API_KEY",
    "WATSONX_API_KEY",
)


def idle_keys(environ: Environ, configured: Collection[Provider], settled: Iterable[str]) -> Iterator[str]:
    """Sentences about keys that are set but enable no provider. A key that is used in the file is not listed."""
    used = {provider.api_key for provider in configured}
    for name in sorted(set(adapter_registry.names()) - {one.name for one in configured} - set(settled)):
        declared = environment_of(name)
        variable = next((one for one in declared.keys if environ.get(one)), "")
        if variable and declared.needs_key and declared.base_urls and environ[variable] not in used:
            yield f"{variable} is set, but the address is missing: set {declared.base_urls[0]} to use {name}"
    for variable in _UNREAD:
        if (key := environ.get(variable)) and key not in used:
            yield (
                f"{variable} is set, but no adapter reads it: if the service speaks OpenAI's dialect, set "
                "COMPATIBLE_API_KEY and COMPATIBLE_BASE_URL, or give it a table [providers.NAME] in llmproxy.toml"
            )


def client_keys(environ: Environ) -> tuple[Key, ...]:
    """LLMPROXY_KEY is one key, the operator's, which may contain commas; LLMPROXY_KEYS is a list of clients' keys, separated
    by commas or lines.
    """
    secret = _sendable("LLMPROXY_KEY", environ.get("LLMPROXY_KEY", ""))
    own = [Key(OPERATOR, secret, admin=True)] if secret else []
    others = [
        Key(derived(one), _sendable("LLMPROXY_KEYS", one), formerly=f"environment-{number}")
        for number, one in enumerate(_words(environ.get("LLMPROXY_KEYS", "")), start=1)
    ]
    return (*own, *others)


def _words(text: str) -> Iterator[str]:
    return (word for line in text.splitlines() for part in line.split(",") if (word := cleaned(part)))


def _sendable(variable: str, secret: str) -> str:
    """The key, unchanged. Raises ConfigError for a key that no client can send."""
    if secret and not secret.isprintable():
        raise ConfigError(f"environment variable {variable}: {unsendable(secret)}")
    return secret


def providers(environ: Environ, settled: Iterable[str]) -> Iterator[Provider]:
    """A provider for every adapter whose variables are set, except those in `settled`, which the file configures."""
    for name in sorted(set(adapter_registry.names()) - set(settled), key=_order):
        found = _provider(name, environment_of(name), environ)
        if found:
            yield found


def _order(name: str) -> tuple[bool, str]:
    """Adapters that need nothing (the demo) come last: a real provider with a model of the same name comes first."""
    return _needs_nothing(environment_of(name)), name


def _provider(name: str, declared: Environment, environ: Environ) -> Provider | None:
    key = first(environ, declared.keys)
    base_url = base_url_from(declared, environ)
    if not is_usable(declared, key, base_url):
        return None
    source = next((one for one in (*declared.keys, *declared.base_urls) if environ.get(one)), "")
    if problem := unsendable(key):
        raise ConfigError(f"environment variable {source}: {problem}")
    options = options_from(declared, environ)
    return Provider(name, name, base_url or declared.base_url, key, options=options, source=source)


def is_usable(declared: Environment, key: str, base_url: str) -> bool:
    """Whether there is a key, or an address that needs no key."""
    if _needs_nothing(declared):
        return True
    if not base_url:
        return bool(key and declared.needs_key and declared.base_url)
    return bool(key) or not declared.needs_key or is_local(base_url)


def is_local(base_url: str) -> bool:
    """Whether it is on this machine or a private network, where servers often need no key."""
    return is_private(urlsplit(base_url).hostname or "")


def _needs_nothing(declared: Environment) -> bool:
    return not (declared.needs_key or declared.keys or declared.base_urls or declared.base_url)


def environment_of(adapter: str) -> Environment:
    """The variables that the adapter declares. An adapter that cannot be imported is an error that the operator should see."""
    try:
        return adapter_registry.load(adapter).environment
    except adapter_registry.UnfitAdapter as error:
        raise ConfigError(f"the adapter {adapter} that is installed does not keep the contract: {error}") from error
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise ConfigError(f"the adapter {adapter} that is installed cannot be loaded: {reason}") from error


def base_url_from(declared: Environment, environ: Environ) -> str:
    for name in declared.base_urls:
        if value := environ.get(name):
            url = completed(value, declared.base_url)
            if problem := problem_with(url):
                raise ConfigError(f"environment variable {name}: {problem}")
            return url
    return ""


def options_from(declared: Environment, environ: Environ) -> dict[str, str]:
    return {option: value for option, names in declared.options.items() if (value := first(environ, names))}


def first(environ: Environ, names: Iterable[str]) -> str:
    """The first of the variables that is set."""
    return next((value for name in names if (value := environ.get(name))), "")
