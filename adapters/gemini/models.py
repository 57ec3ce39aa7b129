"""What each Gemini model can be asked for: a table, because it changes with every model.

Sources: Google's model pages and guides for 2.5 to 3.8, read October 2026. A row of the config wins over the table:

    [providers.gemini.models."gemini-9-*"]
    levels = ["low", "high"]
    penalties = true
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from fnmatch import fnmatchcase

from llmproxy.core.chat import Json

LEVELS = ("minimal", "low", "medium", "high")
# What Google's own OpenAI-compatible endpoint makes of an effort where the model counts tokens.
BUDGETS = {"minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}


@dataclass(frozen=True, slots=True)
class Abilities:
    """What one family of models takes. The rest is answered with 400, so it is left out or put differently."""

    levels: tuple[str, ...] = ()  # thinkingLevel values
    budget: tuple[int, int] | None = None  # thinkingBudget, least and most tokens
    off: bool = False  # thinking can be switched off (budget 0)
    sampling: bool = True  # temperature, topP, topK
    penalties: bool = True  # presencePenalty, frequencyPenalty
    prefill: bool = True  # the last message may be the model's own
    ids: bool = False  # wants every functionCall and functionResponse with its id
    signatures: bool = False  # refuses tool calls of the past without their thought signature
    mixed: bool = False  # JSON mode and built-in tools beside functions
    media_results: bool = False  # images inside of functionResponse
    system: bool = True  # has a systemInstruction
    tools: bool = True
    input: tuple[str, ...] = ("text", "image", "audio", "video", "file")

    @property
    def thinks(self) -> bool:
        return bool(self.levels) or self.budget is not None

    def thinking(self, effort: str) -> Json:
        """The thinkingConfig for OpenAI's `reasoning_effort`, put to the nearest that the model takes."""
        if self.budget is not None:
            return {"thinkingBudget": self._tokens(effort)}
        if self.levels:
            return {"thinkingLevel": self._level(effort)}
        return {}

    def _tokens(self, effort: str) -> int:
        least, most = self.budget or (0, 0)
        if effort == "none":
            return 0 if self.off else least
        return min(max(BUDGETS.get(effort, most), least), most)

    def _level(self, effort: str) -> str:
        asked = 0 if effort == "none" else LEVELS.index(effort) if effort in LEVELS else len(LEVELS) - 1
        # The nearest one; of two as near the higher: `medium` where there is only low and high.
        return min(self.levels, key=lambda level: (abs(LEVELS.index(level) - asked), -LEVELS.index(level)))


_2_0 = Abilities()
_2_5 = Abilities(budget=(0, 24576), off=True)
_3 = Abilities(levels=LEVELS, signatures=True, mixed=True, media_results=True)
_3_5 = replace(_3, ids=True)
# From here on sampling is ignored, while penalties and a last message of the model's own are refused.
_3_6 = replace(_3_5, sampling=False, penalties=False, prefill=False)
_NEWEST = replace(_3_6, levels=("low", "medium", "high"))

# The first pattern that fits counts.
TABLE: Mapping[str, Abilities] = {
    "gemini-1*": _2_0,
    "gemini-2.0-*": _2_0,
    "gemini-*-tts*": replace(_2_0, tools=False, input=("text",)),
    "gemini-2.5-flash-image*": replace(_2_0, tools=False, input=("text", "image")),
    "gemini-2.5-pro*": replace(_2_5, budget=(128, 32768), off=False),
    "gemini-2.5-flash-lite*": replace(_2_5, budget=(512, 24576)),
    "gemini-2.5-*": _2_5,
    "gemini-3-pro-image*": replace(_3, levels=(), tools=False),
    "gemini-3-pro*": replace(_3, levels=("low", "high")),
    "gemini-3.1-pro*": replace(_3, levels=("low", "medium", "high")),
    "gemini-3.1-flash-image*": replace(_3, levels=("minimal", "high")),
    "gemini-3-*": _3,
    "gemini-3.1-*": _3,
    "gemini-3.5-flash-lite*": _3_6,
    "gemini-3.5-*": _3_5,
    "gemini-3.6-*": _3_6,
    "gemma-*": replace(_2_0, system=False, input=("text", "image")),
    "gemini-*": _NEWEST,  # and the aliases like gemini-flash-latest
    "*": replace(_2_0, input=("text",)),
}


def abilities(model: str, rows: Mapping[str, Abilities]) -> Abilities:
    """The row for a model, whatever stands before its last slash (`models/`, `publishers/google/models/`)."""
    name = model.rpartition("/")[2].lower()
    return next((row for pattern, row in rows.items() if fnmatchcase(name, pattern)), Abilities())


def with_rows(configured: object) -> Mapping[str, Abilities]:
    """The table after the config's rows, each of which says only what differs. Raises ValueError naming a wrong key."""
    if not isinstance(configured, Mapping):
        return TABLE
    rows = {pattern: _row(pattern, changes) for pattern, changes in configured.items()}
    return {**rows, **{pattern: row for pattern, row in TABLE.items() if pattern not in rows}}


def _row(pattern: str, changes: object) -> Abilities:
    if not isinstance(changes, Mapping):
        raise ValueError(f'models."{pattern}" must be a table')
    allowed = [field.name for field in fields(Abilities)]
    for key, value in changes.items():
        if key not in allowed:
            raise ValueError(f'models."{pattern}".{key} is not known; allowed are {", ".join(allowed)}')
        _check(f'models."{pattern}".{key}', key, value)
    known: Json = {key: tuple(value) if isinstance(value, list) else value for key, value in changes.items()}
    return replace(abilities(pattern, TABLE), **known)


def _check(where: str, key: str, value: object) -> None:
    listed = value if isinstance(value, (list, tuple)) else None
    if key == "levels" and (listed is None or not set(listed) <= set(LEVELS)):
        raise ValueError(f"{where} must be a list of {', '.join(LEVELS)}")
    if key == "budget" and (listed is None or len(listed) != 2 or not all(isinstance(one, int) for one in listed)):
        raise ValueError(f"{where} must be the least and the most tokens, as in [0, 24576]")
    if key == "input" and listed is None:
        raise ValueError(f"{where} must be a list of kinds")
    if key not in ("levels", "budget", "input") and not isinstance(value, bool):
        raise ValueError(f"{where} must be true or false")
