"""Translates OpenAI's effort, OpenRouter's `reasoning` or Messages' own `thinking` to what the model accepts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from llmproxy.core.chat import Json
from llmproxy.core.errors import BadRequest

from .tables import BUDGETS, LEAST_BUDGET, MessagesAbilities

_WORDS = frozenset(("none", *BUDGETS))


@dataclass(frozen=True, slots=True)
class Thinking:
    """`thinking` of the request (empty: the model's default), and the effort for `output_config`."""

    thinking: Json = field(default_factory=dict)
    effort: str | None = None

    @property
    def on(self) -> bool:
        return self.thinking.get("type") in ("enabled", "adaptive", "between_tools")


def encode_thinking(body: Json, can: MessagesAbilities, max_tokens: int, *, shows: bool = True) -> Thinking:
    """Raises BadRequest for an unknown effort. shows: the client sees the thoughts."""
    own = body.get("thinking")
    if isinstance(own, dict) and own.get("type") in can.thinking:
        return Thinking(own)
    effort_asked, budget, hidden = _requested(body)
    if effort_asked is None and budget is None:
        return Thinking()
    if effort_asked == "none":
        return _without_thinking(can)
    if not {"adaptive", "enabled"}.intersection(can.thinking):
        return Thinking()
    made = (
        _budgeted(effort_asked, budget, max_tokens)
        if "adaptive" not in can.thinking
        else _adaptive(effort_asked, budget, can)
    )
    if made.thinking and can.shows and shows and not hidden:
        return Thinking({**made.thinking, "display": "summarized"}, made.effort)
    return made


def ignored_reasoning(body: Json) -> str | None:
    """The name of the member that asks for thoughts; None if none does."""
    effort_asked, budget, _ = _requested(body)
    if budget is None and effort_asked in (None, "none"):
        return None
    return next(name for name in ("thinking", "reasoning_effort", "reasoning") if body.get(name))


def _requested(body: Json) -> tuple[str | None, int | None, bool]:
    """Returns the effort, the budget, and whether the thoughts are hidden."""
    own: Any = body.get("thinking")
    if isinstance(own, dict):
        kinds = {"disabled": "none", "adaptive": "high", "enabled": None, "between_tools": "none"}
        budget = own.get("budget_tokens")
        effort = kinds.get(str(own.get("type")))
        return effort, budget if isinstance(budget, int) else None, own.get("display") == "omitted"
    reasoning: Any = body.get("reasoning")
    reasoning = reasoning if isinstance(reasoning, dict) else {}
    effort = body.get("reasoning_effort") or reasoning.get("effort")
    budget = reasoning.get("max_tokens")
    if reasoning.get("enabled") is False:
        effort = "none"
    elif reasoning.get("enabled") is True and effort is None and budget is None:
        effort = "medium"
    if effort is not None and effort not in _WORDS:
        raise BadRequest(f"'reasoning_effort' cannot be {str(effort)[:40]!r}.", param="reasoning_effort")
    return effort, budget if isinstance(budget, int) and budget > 0 else None, reasoning.get("exclude") is True


def _without_thinking(can: MessagesAbilities) -> Thinking:
    for kind in ("disabled", "between_tools"):
        if kind in can.thinking:
            return Thinking({"type": kind})
    return Thinking(effort=can.effort("low")) if can.always_thinks else Thinking()


def _adaptive(effort_asked: str | None, budget: int | None, can: MessagesAbilities) -> Thinking:
    effort = effort_asked or _effort_of(budget or 0)
    return Thinking({"type": "adaptive"}, can.effort(effort))


def _budgeted(effort_asked: str | None, budget: int | None, max_tokens: int) -> Thinking:
    """At most three quarters of `max_tokens` are for thoughts; the rest is for the answer."""
    if max_tokens <= LEAST_BUDGET:
        return Thinking()
    tokens = BUDGETS[effort_asked] if budget is None and effort_asked is not None else budget or LEAST_BUDGET
    most = max_tokens - 1 if budget is not None else max(LEAST_BUDGET, max_tokens * 3 // 4)
    return Thinking({"type": "enabled", "budget_tokens": max(LEAST_BUDGET, min(tokens, most))})


def _effort_of(budget: int) -> str:
    return next((word for word in ("low", "medium", "high", "xhigh") if budget <= BUDGETS[word]), "max")
