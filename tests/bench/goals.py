"""The goals of llmproxy as ratios within one run, and whether a run met them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .aborts import PHASES
from .results import Results
from .scenarios import BODY_MB

OURS = "llmproxy"


@dataclass(frozen=True, slots=True)
class Goal:
    """A metric of ours: at most `bound`, or at most `bound` times (`plus`: more than) what `beside` has."""

    scenario: str
    level: str
    metric: str
    bound: float
    beside: str | None = None
    plus: bool = False

    def __str__(self) -> str:
        what = f"{self.scenario} {self.level}: {self.metric}"
        if self.beside is None:
            return f"{what} <= {self.bound:g}"
        return f"{what} <= {self.beside} + {self.bound:g}" if self.plus else f"{what} <= {self.bound:g} x {self.beside}"

    def found(self, results: Results) -> float | None:
        """What the bound is held against, or None if one of the two was not measured."""
        ours = results.value(self.scenario, self.level, OURS, self.metric)
        if ours is None or self.beside is None:
            return ours
        theirs = results.value(self.scenario, self.level, self.beside, self.metric)
        if theirs is None:
            return None
        return ours - theirs if self.plus else ours / theirs if theirs > 0 else None


GOALS = (
    Goal("S1", "c=32", "cpu_us", 8, "nginx"),
    Goal("S1", "c=32", "cpu_us", 1.25, "lean relay"),
    Goal("S1", "c=32", "cpu_us", 1, "caddy"),
    Goal("S1", "c=32", "cpu_us", 1, "tensorzero"),
    Goal("S1", "c=32", "cpu_us", 1 / 50, "litellm"),
    Goal("S2", "4 MB image", "peak_mb", BODY_MB + 20),
    Goal("S3", "100 x 50/s", "cpu_us", 4, "nginx"),
    Goal("S3", "100 x 50/s", "cpu_us", 1.3, "lean relay"),
    Goal("S3", "100 x 50/s", "cpu_us", 1, "caddy"),
    Goal("S3", "100 x 50/s", "cpu_us", 1, "tensorzero"),
    Goal("S3", "100 x 50/s", "cpu_us", 1 / 100, "litellm"),
    Goal("S3", "100 x 50/s", "added_p99_ms", 1.5, "lean relay"),
    Goal("S3", "1,000 x 5/s", "errors", 0),
    Goal("S3", "1,000 x 5/s", "kb_per_stream", 12),
    Goal("S4", "OpenAI", "cpu_us", 2, "nginx"),
    Goal("S4", "OpenAI", "cpu_us", 1.3, "lean relay"),
    *(Goal("S5", phase.name, "p99_ms", 3, "nginx") for phase in PHASES),
    *(Goal("S5", phase.name, "never", 0) for phase in PHASES),
    Goal("S5", "left behind", "never", 0),
    Goal("S5", "left behind", "sockets", 0),
    Goal("S5", "left behind", "grown_mb", 5),
    Goal("S6", "start", "start_cpu_s", 1.6, "bare aiohttp"),
    Goal("S6", "start", "idle_mb", 10, "bare aiohttp", plus=True),
    Goal("S6", "installed", "mb", 60),
    Goal("S7", "8 readers", "mb_per_reader", 2),
)


def judged(results: Results) -> Iterator[tuple[str, float, bool]]:
    """Each goal that the run can judge: what it says, what was found, and whether it is met."""
    for goal in GOALS:
        found = goal.found(results)
        if found is not None:
            yield str(goal), found, found <= goal.bound
    relay, gemini = (results.value("T", name, OURS, "cpu_us") for name in ("OpenAI event", "Gemini event"))
    if relay and gemini:
        yield "T: Gemini event <= 10 x OpenAI event", gemini / relay, gemini <= 10 * relay
