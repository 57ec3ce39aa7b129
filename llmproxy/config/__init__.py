"""What the operator wants: llmproxy.toml and the environment, read once into values that do not change."""

from .errors import ConfigError
from .load import ELSEWHERE, load
from .reach import Reach, reach
from .values import (
    Alias,
    Breaker,
    Budget,
    Budgets,
    Config,
    Dialects,
    Group,
    Key,
    Limits,
    Logs,
    Mode,
    OnDisconnect,
    Provider,
    Routing,
    Rule,
    Server,
    Storage,
    Timeouts,
    When,
)

__all__ = [
    "ELSEWHERE",
    "Alias",
    "Breaker",
    "Budget",
    "Budgets",
    "Config",
    "ConfigError",
    "Dialects",
    "Group",
    "Key",
    "Limits",
    "Logs",
    "Mode",
    "OnDisconnect",
    "Provider",
    "Reach",
    "Routing",
    "Rule",
    "Server",
    "Storage",
    "Timeouts",
    "When",
    "load",
    "reach",
]
