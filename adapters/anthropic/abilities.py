"""Table of what each Claude model supports.

A row in the configuration takes precedence over the table, and has only what differs:

    [providers.anthropic.options.models."claude-nova-*"]
    efforts = ["low", "high"]
    forced = false
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from fnmatch import fnmatchcase

from llmproxy.adapter_kit import MESSAGES_EFFORTS, Json
from llmproxy.adapter_kit import MessagesAbilities as Abilities

_BUDGET = Abilities(
    thinking=("enabled", "disabled"),
    efforts=(),
    samplers=1,
    prefill=True,
    system_inside=False,
    shows=False,
    max_output=64_000,
)
_4_6 = replace(
    _BUDGET,
    thinking=("adaptive", "enabled", "disabled"),
    efforts=("low", "medium", "high", "max"),
    prefill=False,
    max_output=128_000,
)
_4_7 = Abilities(thinking=("adaptive", "disabled"), system_inside=False)
_4_8 = Abilities(thinking=("adaptive", "disabled"))
_ALWAYS = Abilities(always_thinks=True)
_OLD = replace(_BUDGET, thinking=("disabled",), samplers=2, structured=False)

# Sources, all read in November 2026:
#  1 thinking: which types a model takes, and which is its default: platform.claude.com, extended and adaptive thinking,
#    "thinking troubleshooting", and the what's-new page of each model
#  2 effort: platform.claude.com "effort"; recorded: "This model does not support effort level 'xhigh'. Supported levels:
#    high, low, max, medium."; pydantic-ai's model profiles
#  3 sampling refused, prefill refused, forced tools refused: the what's-new pages of 4.6, 4.7 and 5.x
#  4 most output: platform.claude.com, overview of models
#  5 a system message among the others: recorded "role 'system' is not supported on this model"; CLIProxyAPI#5422
#  6 structured output: platform.claude.com "structured outputs"
#  7 temperature and top_p not at once: migration guide of 4.5
TABLE: Mapping[str, Abilities] = {
    "claude-fable-5": replace(_ALWAYS, forced=True),  # 1, 3
    "claude-fable-5-2026*": replace(_ALWAYS, forced=True),  # 1, 3
    "claude-mythos-5*": _ALWAYS,  # 1, 3
    "claude-fable-*": replace(_ALWAYS, forced=False),  # 1, 3: 5.1 and newer
    "claude-opus-5-5*": replace(_ALWAYS, forced=False),  # 1, 3
    "claude-sonnet-5-5*": Abilities(
        ("adaptive", "between_tools"), True, ("low", "medium", "high"), forced=False
    ),  # 1-3
    "claude-haiku-5-5*": Abilities(thinking=("adaptive", "disabled")),  # 1, 3
    "claude-opus-5*": Abilities(thinking=("adaptive", "disabled")),  # 1
    "claude-sonnet-5*": replace(_4_8, system_inside=False),  # 1, 5
    "claude-opus-4-8*": _4_8,  # 1-5
    "claude-opus-4-7*": _4_7,  # 1-4
    "claude-opus-4-6*": _4_6,  # 1-4
    "claude-sonnet-4-6*": _4_6,  # 1-4
    "claude-opus-4-5*": replace(_BUDGET, efforts=("low", "medium", "high")),  # 2, 4, 6
    "claude-sonnet-4-5*": _BUDGET,  # 1, 4, 6, 7
    "claude-haiku-4-5*": _BUDGET,  # 1, 4, 6, 7
    "claude-opus-4-1*": replace(_BUDGET, max_output=32_000, default_output=8192),  # 4, 6, 7
    "claude-opus-4*": replace(_BUDGET, samplers=2, structured=False, max_output=32_000, default_output=8192),  # 4
    "claude-sonnet-4*": replace(_BUDGET, samplers=2, structured=False, default_output=8192),  # 4
    "claude-3-7-*": replace(_BUDGET, samplers=2, structured=False, default_output=8192),  # 4
    "claude-3-5-*": replace(_OLD, max_output=8192),  # 4
    "claude-3-*": replace(_OLD, max_output=4096),  # 4
    "claude-2*": replace(_OLD, max_output=4096),
    "claude-*": replace(_ALWAYS, forced=False),  # unknown models are new
    "*": replace(_ALWAYS, forced=False),
}


def abilities(model: str, rows: Mapping[str, Abilities]) -> Abilities:
    """The row for a model; a path before its name, or a prefix before `claude` as on Bedrock, is ignored."""
    name = model.rpartition("/")[2].lower()
    name = name[name.find("claude-") :] if "claude-" in name else name
    return next((row for pattern, row in rows.items() if fnmatchcase(name, pattern)), TABLE["*"])


def with_rows(configured: object) -> Mapping[str, Abilities]:
    """The configured rows, then the table. Raises ValueError naming a wrong key."""
    if not isinstance(configured, Mapping):
        return TABLE
    rows = {pattern: _row(pattern, changes) for pattern, changes in configured.items()}
    return {**rows, **{pattern: row for pattern, row in TABLE.items() if pattern not in rows}}


def _row(pattern: str, changes: object) -> Abilities:
    if not isinstance(changes, Mapping):
        raise ValueError(f'models."{pattern}" must be a table')
    base = abilities(pattern, TABLE)
    for key, value in changes.items():
        if key not in _KINDS:
            raise ValueError(f'models."{pattern}".{key} is not known; allowed are {", ".join(_KINDS)}')
        if type(value) is not _KINDS[key]:
            raise ValueError(f'models."{pattern}".{key} must be {_KIND_NAMES[_KINDS[key]]}')
        if key == "efforts" and not (isinstance(value, list) and set(value) <= set(MESSAGES_EFFORTS)):
            raise ValueError(f'models."{pattern}".{key} must be a list of {", ".join(MESSAGES_EFFORTS)}')
    known: Json = {key: tuple(value) if isinstance(value, list) else value for key, value in changes.items()}
    return replace(base, **known)


_KINDS: Mapping[str, type] = {
    one.name: list if isinstance(one.default, tuple) else type(one.default) for one in fields(Abilities)
}
_KIND_NAMES = {bool: "true or false", int: "a whole number", list: "a list"}
