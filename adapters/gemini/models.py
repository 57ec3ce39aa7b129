"""Table of what each Gemini model supports.

A row in the configuration takes precedence over the table:

    [providers.gemini.options.models."gemini-9-*"]
    levels = ["low", "high"]
    penalties = true
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from fnmatch import fnmatchcase

from llmproxy.adapter_kit import Json

LEVELS = ("minimal", "low", "medium", "high")
# `reasoning_effort` in tokens, as in Google's OpenAI-compatible endpoint.
BUDGETS = {"minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}


@dataclass(frozen=True, slots=True)
class Abilities:
    """What one family of models supports. It answers anything else with 400, so that is removed or converted."""

    levels: tuple[str, ...] = ()  # thinkingLevel values
    budget: tuple[int, int] | None = None  # thinkingBudget, least and most tokens
    off: bool = False  # thinking can be switched off (budget 0)
    quiet: bool = False  # does not think unless a budget is given, and then refuses includeThoughts
    sampling: bool = True  # temperature, topP, topK
    penalties: bool = False  # presencePenalty, frequencyPenalty
    logprobs: bool = False  # on the Gemini API
    logprobs_on_vertex: bool = False
    prefill: bool = True  # the last message may be the model's, to be continued
    ids: bool = True  # requires an ID in every functionCall and functionResponse
    takes_ids: bool = True  # accepts such an ID
    signatures: bool = True  # refuses earlier tool calls without their thought signature
    mixed: bool = True  # JSON mode and built-in tools together with functions, JSON mode together with built-in tools
    media_results: bool = True  # images inside of functionResponse
    system: bool = True  # has a systemInstruction
    json: bool = True  # responseMimeType application/json
    functions: bool = True  # functionDeclarations
    tools: bool = True  # built-in tools: search and the like
    input: tuple[str, ...] = ("text", "image", "audio", "video", "file")

    @property
    def thinks(self) -> bool:
        return bool(self.levels) or self.budget is not None

    def thinking(self, effort: str) -> Json:
        """The thinkingConfig for OpenAI's `reasoning_effort`: the nearest value that the model supports."""
        if self.budget is not None:
            return {"thinkingBudget": self._tokens(effort)}
        if self.levels:
            return {"thinkingLevel": self._level(effort)}
        return {}

    def tokens(self, wanted: int) -> int:
        """The nearest supported budget in tokens. 0: off, if the model supports that. -1: the model decides."""
        least, most = self.budget or (0, 0)
        if wanted == -1 or (wanted == 0 and self.off):
            return wanted
        return min(max(wanted, least), most)

    def _tokens(self, effort: str) -> int:
        _, most = self.budget or (0, 0)
        return self.tokens(0 if effort == "none" else BUDGETS.get(effort, most))

    def _level(self, effort: str) -> str:
        wanted = 0 if effort == "none" else LEVELS.index(effort) if effort in LEVELS else len(LEVELS) - 1
        # The nearest one; of two equally near the higher: `medium` becomes `high` if there is only low and high.
        return min(self.levels, key=lambda level: (abs(LEVELS.index(level) - wanted), -LEVELS.index(level)))


_OLD = Abilities(ids=False, takes_ids=False, signatures=False, mixed=False, media_results=False)
_2_5 = replace(_OLD, budget=(0, 24576), off=True, logprobs_on_vertex=True)
_3 = Abilities(levels=LEVELS, ids=False)
_3_5 = Abilities(levels=LEVELS)
# Newer models ignore sampling, and refuse to continue an answer.
_3_6 = replace(_3_5, sampling=False, prefill=False)
_NEWEST = replace(_3_6, levels=("low", "medium", "high"))
_SPEECH = replace(_OLD, tools=False, functions=False, json=False, system=False, input=("text",))
_PICTURES = replace(_OLD, functions=False, tools=False, json=False, input=("text", "image"))
_PICTURES_3 = replace(_3, levels=(), functions=False, json=False, input=("text", "image"))

# The first matching pattern is used. Sources, by the number after each row (read in October and November 2026):
#  1 ai.google.dev: the models' own pages, "thinking", "whats-new-gemini-3.5", "whats-new-gemini-3.7", "robotics-overview"
#  2 docs.cloud.google.com: the guides of 3.5, 3.6 and 3.8 Flash, the table of thinking levels
#  3 penalties are gemini-2.0-flash's alone: google-gemini/cookbook#1290, Google's forum (94446), PublicAffairs/openai-gemini#63
#  4 logprobs: vercel/ai#5418, mscraftsman/generative-ai#135, Vela-Research/think-reason-learn#34,
#    GoogleCloudPlatform/generative-ai#2947
#  5 no systemInstruction: google/adk-java#110, genkit-ai/genkit#5473; no thinking: lobehub#7985, OpenMinis/OpenMinis#226
#  6 gemma: truefoundry/models#608 (3), earendil-works/pi#2812 and livekit/agents#7080 (4)
#  7 ids of calls: recorded; anomalyco/opencode#50504, pydantic/pydantic-ai#5081, BerriAI/litellm#34603
TABLE: Mapping[str, Abilities] = {
    "gemini-1*": _OLD,  # 3
    "gemini-2.0-*image*": replace(_PICTURES, system=False),  # 5
    "gemini-2.0-*": replace(_OLD, penalties=True, logprobs=True, logprobs_on_vertex=True),  # 3, 4, 7
    "gemini-*-tts*": _SPEECH,  # 1, 5
    "gemini-*native-audio*": replace(_OLD, json=False),  # 1
    "gemini-2.5-flash-image*": _PICTURES,  # 1
    "gemini-2.5-pro*": replace(_2_5, budget=(128, 32768), off=False),  # 1, 4
    "gemini-2.5-flash-lite*": replace(_2_5, budget=(512, 24576), quiet=True),  # 1, 4
    "gemini-2.5-*": _2_5,  # 1, 3, 4, 7
    "gemini-robotics-er-1*": _2_5,  # 1: 1.5 is of 2.5 Flash; a budget is what 2.5 and 3 both take
    "gemini-robotics-*": _3_5,  # 1: of 3.5 Flash
    "gemini-3-pro-image*": _PICTURES_3,  # 1: search, no functions
    "gemini-3.1-flash-image*": replace(_PICTURES_3, levels=("minimal", "high")),  # 1, 2
    "gemini-*-image*": _PICTURES_3,  # as older ones
    "gemini-3-pro*": replace(_3, levels=("low", "high")),  # 2
    "gemini-3.1-pro*": replace(_3, levels=("low", "medium", "high")),  # 2
    "gemini-3-*": _3,  # 2, 7
    "gemini-3.1-*": _3,  # 2
    "gemini-3.5-flash-lite*": _3_6,  # 2
    "gemini-3.5-*": _3_5,  # 2, 4
    "gemini-3.6-*": _3_6,  # 2
    "gemini-3.*": _NEWEST,  # 1, 2: 3.7 and 3.8
    "gemma-[123]*": replace(_OLD, system=False, json=False, tools=False, functions=False, input=("text", "image")),  # 6
    "gemma-*": replace(_OLD, levels=("minimal", "high"), input=("text", "image")),  # 6: 4 and newer
    "*": _NEWEST,  # unknown models are new, as are aliases like gemini-flash-latest
}


def abilities(model: str, rows: Mapping[str, Abilities]) -> Abilities:
    """The row for a model; a path before its name (`models/`, `publishers/google/models/`) is ignored."""
    name = model.rpartition("/")[2].lower()
    return next((row for pattern, row in rows.items() if fnmatchcase(name, pattern)), _NEWEST)


def with_rows(configured: object) -> Mapping[str, Abilities]:
    """The configured rows, then the table. A configured row has only what differs. Raises ValueError naming a wrong key."""
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
