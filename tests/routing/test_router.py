"""Which providers answer which name, in which order, and why."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from llmproxy.config import Alias, Config, Key, Provider, Routing, Rule, When
from llmproxy.core.adapter import Model
from llmproxy.core.chat import Chat
from llmproxy.core.errors import ModelNotFound
from llmproxy.core.trace import Trace
from llmproxy.dialects.messages.dialect import DIALECT as MESSAGES
from llmproxy.routing.offer import Offer
from llmproxy.routing.permits import permits
from llmproxy.routing.router import Load, Route, Router, Target, allowed, unloaded

OFFERED = [
    ("openai", "gpt-mini"),
    ("openai", "shared"),
    ("openrouter", "shared"),
    ("openrouter", "anthropic/claude"),
    ("perplexity", "sonar"),
]


class Offered:
    """A catalog that knows OFFERED."""

    offer = Offer((provider, Model(name)) for provider, name in OFFERED)

    def serves(self, model: str) -> Sequence[str]:
        return self.offer.serves(model)


def router(*aliases: Alias, seed: int = 0, affinity: bool = True, load: Callable[[Target], Load] = unloaded) -> Router:
    providers = tuple(Provider(name, name) for name in ("openai", "openrouter", "perplexity"))
    aliased = {alias.name: alias for alias in aliases}
    config = Config(providers=providers, aliases=aliased, routing=Routing(affinity=affinity))
    return Router(config, Offered(), random.Random(seed), load)


def chat(model: str = "", text: str = "hello", **members: Any) -> Chat:
    return Chat({"messages": [{"role": "user", "content": text}], **members}, model)


def names(route: Route) -> list[str]:
    return [str(target) for target in route.targets]


def test_a_model_is_found_at_the_provider_before_the_first_slash() -> None:
    assert router().route(chat("openrouter/anthropic/claude")).targets == (Target("openrouter", "anthropic/claude"),)


def test_a_provider_may_be_asked_for_a_model_it_does_not_list() -> None:
    assert names(router().route(chat("openai/brand-new"))) == ["openai/brand-new"]


def test_a_bare_name_finds_the_one_provider_that_serves_it() -> None:
    assert names(router().route(chat("gpt-mini"))) == ["openai/gpt-mini"]


def test_a_bare_name_with_a_slash_of_its_own_is_found_too() -> None:
    assert names(router().route(chat("anthropic/claude"))) == ["openrouter/anthropic/claude"]


def test_of_two_providers_of_a_bare_name_the_first_answers_and_the_other_is_told() -> None:
    route = router().route(chat("shared"))
    assert (names(route), route.why) == (["openai/shared"], "openai/shared (also at openrouter)")


def test_an_unknown_model_is_told_with_its_nearest_names_and_the_form_they_have() -> None:
    with pytest.raises(ModelNotFound, match="gpt-mini") as caught:
        router().route(chat("gpt-mimi"))
    assert (caught.value.status, caught.value.param) == (404, "model")
    assert "provider/model" in caught.value.message


def test_an_alias_stands_for_its_model_and_says_so() -> None:
    route = router(Alias("fast", chain=("openai/gpt-mini",))).route(chat("fast"))
    assert (names(route), route.why) == (["openai/gpt-mini"], "fast -> openai/gpt-mini")


def test_aliases_lead_through_aliases_and_each_target_is_asked_once() -> None:
    route = router(
        Alias("gpt-4", chain=("deep", "fast")),
        Alias("deep", chain=("perplexity/sonar", "fast")),
        Alias("fast", chain=("gpt-mini",)),
    ).route(chat("gpt-4"))
    assert names(route) == ["perplexity/sonar", "openai/gpt-mini"]


def test_an_agents_conversation_always_draws_the_same_and_conversations_draw_by_weight() -> None:
    ways = router(Alias("mix", weights={"openai/gpt-mini": 3, "perplexity/sonar": 1}))

    def drawn(first: str, *later: str) -> str:
        turns = [{"role": "user", "content": first}]
        for one in later:
            turns += [{"role": "assistant", "content": "Yes"}, {"role": "user", "content": one}]
        body = {"model": "mix", "max_tokens": 9, "messages": turns}
        return names(ways.route(Chat(body, "mix", "messages", dialect=MESSAGES)))[0]

    assert all(drawn("Hi", *["more"] * turn) == drawn("Hi") for turn in range(20))
    draws = Counter(drawn(f"Question {number}") for number in range(1000))
    assert 650 < draws["openai/gpt-mini"] < 850


def test_a_pattern_stands_for_every_name_that_fits_and_says_so() -> None:
    route = router(Alias("claude-*", chain=("gpt-mini",))).route(chat("claude-opus-5-5"))
    assert (names(route), route.why) == (["openai/gpt-mini"], "claude-* -> openai/gpt-mini")


def test_the_longest_pattern_counts_and_an_alias_of_the_very_name_before_all() -> None:
    aliases = (
        Alias("claude-*", chain=("openai/gpt-mini",)),
        Alias("claude-haiku-*", chain=("perplexity/sonar",)),
        Alias("claude-haiku-1", chain=("openai/shared",)),
    )
    asked = ("claude-opus-1", "claude-haiku-2", "claude-haiku-1")
    assert [names(router(*aliases).route(chat(name)))[0] for name in asked] == [
        "openai/gpt-mini",
        "perplexity/sonar",
        "openai/shared",
    ]


def test_a_pattern_comes_after_the_provider_that_a_name_says() -> None:
    assert names(router(Alias("*", chain=("perplexity/sonar",))).route(chat("openai/gpt-mini"))) == ["openai/gpt-mini"]


@pytest.mark.parametrize("target", ["gpt-mini", "gpt-other"])
def test_a_pattern_is_not_met_again_on_the_way_that_it_begins(target: str) -> None:
    ways = router(Alias("gpt-*", chain=(target, "fast")), Alias("fast", chain=("gpt-shared", "shared")))
    found = ["openai/gpt-mini", "openai/shared"] if target == "gpt-mini" else ["openai/shared"]
    assert names(ways.route(chat("gpt-1"))) == found
    assert [str(one) for one in ways.targets_behind("gpt-1")] == found


def test_only_the_star_is_special_in_a_pattern() -> None:
    ways = router(Alias("[x]?-*", chain=("gpt-mini",)))
    assert names(ways.route(chat("[x]?-1"))) == ["openai/gpt-mini"]
    with pytest.raises(ModelNotFound):
        ways.route(chat("xy-1"))


def test_a_name_that_nothing_fits_is_told_with_the_alias_it_needs() -> None:
    with pytest.raises(ModelNotFound, match=r"\[aliases\] 'claude-opus-5-5' = 'provider/model'"):
        router().route(chat("claude-opus-5-5"))


def test_a_link_of_a_chain_that_nobody_serves_is_left_out() -> None:
    assert names(router(Alias("deep", chain=("azure/gone", "gpt-mini"))).route(chat("deep"))) == ["openai/gpt-mini"]


def test_an_alias_that_leads_nowhere_is_a_model_not_found() -> None:
    with pytest.raises(ModelNotFound, match="deep"):
        router(Alias("deep", chain=("azure/gone",))).route(chat("deep"))


def test_weights_share_conversations_and_the_others_follow() -> None:
    ways = router(Alias("mix", weights={"openai/a": 1, "openai/b": 6, "openai/c": 3}))
    routes = [names(ways.route(chat("mix", f"Question {number}"))) for number in range(2000)]
    first = Counter(route[0] for route in routes)
    assert first["openai/b"] > first["openai/c"] > first["openai/a"] > 100
    assert all(sorted(route) == ["openai/a", "openai/b", "openai/c"] for route in routes)


@pytest.mark.parametrize("affinity", [True, False])
def test_turns_stay_together_as_it_is_configured_or_as_the_client_wishes(affinity: bool) -> None:
    ways = router(Alias("mix", weights={"openai/a": 1, "openai/b": 1}), affinity=affinity)

    def drawn(wish: bool | None) -> set[str]:
        asked = Chat({"messages": [{"role": "user", "content": "Hi"}]}, "mix", trace=Trace(affinity=wish))
        return {names(ways.route(asked))[0] for _ in range(40)}

    assert len(drawn(None)) == (1 if affinity else 2)
    assert len(drawn(True)) == 1
    assert len(drawn(False)) == 2


@pytest.mark.parametrize(
    ("routing", "wish", "told"),
    [
        (Routing(), None, False),
        (Routing(hints=True), None, True),
        (Routing(affinity=False, hints=True), None, False),
        (Routing(), True, True),
        (Routing(hints=True), False, False),
    ],
)
def test_a_provider_is_told_of_conversations_only_where_somebody_wants_it(
    routing: Routing, wish: bool | None, told: bool
) -> None:
    ways = Router(Config(routing=routing), Offered())
    assert ways.sends_hint(wish) is told


def test_an_agents_conversation_stays_with_the_account_that_it_is_bound_to_even_without_affinity() -> None:
    ways = router(Alias("mix", weights={"openai/a": 1, "openai/b": 1}), affinity=False)
    body = {"model": "mix", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
    assert len({names(ways.route(Chat(body, "mix", "messages", dialect=MESSAGES)))[0] for _ in range(40)}) == 1


def test_conversations_of_two_keys_are_two() -> None:
    ways = router(Alias("mix", weights={f"openai/{name}": 1 for name in "abcdefgh"}))
    assert len({names(ways.route(chat("mix"), Key(f"key-{number}", "")))[0] for number in range(40)}) > 1


def test_the_route_says_that_a_conversation_is_where_it_was() -> None:
    route = router(Alias("mix", weights={"openai/a": 1})).route(chat("mix"))
    assert route.why == "mix -> openai/a (conversation)"


@pytest.mark.parametrize(("load", "why"), [(Load(1000), "is busy"), (Load(0, down=True), "failed")])
def test_the_route_says_why_a_conversation_is_not_where_it_was(load: Load, why: str) -> None:
    alias = Alias("mix", weights={"openai/a": 1, "openai/b": 1})
    home, other = names(router(alias).route(chat("mix")))
    moved = router(alias, load=lambda target: load if str(target) == home else Load()).route(chat("mix"))
    assert names(moved) == [other, home]
    assert moved.why == f"mix -> {other} (conversation; {home} {why})"


def test_an_agents_conversation_is_not_moved_by_load() -> None:
    alias = Alias("mix", weights={"openai/a": 1, "openai/b": 1})
    body = {"model": "mix", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
    asked = Chat(body, "mix", "messages", dialect=MESSAGES)
    home = names(router(alias).route(asked))[0]
    busy = router(alias, load=lambda target: Load(1000) if str(target) == home else Load())
    assert names(busy.route(asked))[0] == home


def test_a_draw_says_nothing_of_a_conversation() -> None:
    route = router(Alias("mix", weights={"openai/a": 1}), affinity=False).route(chat("mix"))
    assert route.why == "mix -> openai/a"


def ruled(*rules: Rule) -> Router:
    return router(Alias("auto", rules=rules, default=("openai/default",)))


def met(when: When, asked: Chat) -> bool:
    return names(ruled(Rule(("openai/special",), when)).route(asked)) == ["openai/special"]


def part(kind: str) -> Chat:
    content = [{"type": "text", "text": "look"}, {"type": kind, kind: {}}]
    return Chat({"messages": [{"role": "user", "content": content}]}, "auto")


@pytest.mark.parametrize(
    ("when", "asked"),
    [
        (When(keywords=("news", "right now")), chat("auto", "What is going on RIGHT  NOW?")),
        (When(keywords=("c++",)), chat("auto", "is C++ hard")),
        (When(images=True), part("image_url")),
        (When(images=False), chat("auto")),
        (When(audio=True), part("input_audio")),
        (When(files=True), part("file")),
        (When(tools=True), chat("auto", tools=[{"type": "function"}])),
        (When(json=True), chat("auto", response_format={"type": "json_object"})),
        (When(reasoning=True), chat("auto", reasoning_effort="high")),
        (When(code=True), chat("auto", "why?\n```python\n1/0\n```")),
        (When(code=True), chat("auto", "fix\ndef f(x):\n    return x")),
        (When(min_chars=100), chat("auto", "x" * 100)),
        (When(max_chars=5), chat("auto", "hello")),
        (When(), chat("auto")),
    ],
)
def test_a_rule_holds_for_what_it_describes(when: When, asked: Chat) -> None:
    assert met(when, asked)


@pytest.mark.parametrize(
    ("when", "asked"),
    [
        (When(keywords=("news",)), chat("auto", "a newsletter")),
        (When(keywords=("c++",)), chat("auto", "cats")),
        (When(images=True), chat("auto")),
        (When(images=False), part("image_url")),
        (When(json=True), chat("auto", response_format={"type": "text"})),
        (When(code=True), chat("auto", "I import wine from France; it is good")),
        (When(min_chars=100), chat("auto", "x" * 99)),
        (When(tools=True, keywords=("news",)), chat("auto", "news")),
    ],
)
def test_a_rule_does_not_hold_for_less(when: When, asked: Chat) -> None:
    assert not met(when, asked)


def test_keywords_are_looked_for_in_the_users_last_words_only() -> None:
    earlier = [{"role": "user", "content": "news?"}, {"role": "assistant", "content": "No news."}]
    asked = Chat({"messages": [*earlier, {"role": "user", "content": "thanks"}]}, "auto")
    assert not met(When(keywords=("news",)), asked)


def test_keywords_are_found_at_the_end_of_a_long_text() -> None:
    assert met(When(keywords=("summary",)), chat("auto", "word " * 50_000 + "\nGive me a summary."))


def test_the_first_rule_that_holds_decides_and_its_reason_is_told() -> None:
    auto = ruled(
        Rule(("perplexity/sonar",), When(keywords=("news",)), "live data"),
        Rule(("openai/b",), When(), "anything"),
    )
    route = auto.route(chat("auto", "any news?"))
    assert (names(route), route.why) == (["perplexity/sonar"], "auto: live data -> perplexity/sonar")


def test_a_rule_whose_model_nobody_serves_gives_way_to_the_next() -> None:
    auto = ruled(Rule(("azure/gone",), When(), "first"), Rule(("gpt-mini",), When(), "second"))
    assert names(auto.route(chat("auto"))) == ["openai/gpt-mini"]


def test_without_a_rule_that_holds_the_default_answers() -> None:
    assert names(ruled(Rule(("openai/a",), When(tools=True))).route(chat("auto"))) == ["openai/default"]


def test_the_reason_is_fit_for_a_header() -> None:
    route = ruled(Rule(("openai/a",), When(), "Grüße\r\nX-Evil: 1")).route(chat("auto"))
    assert route.why == "auto: Gr?e?X-Evil: 1 -> openai/a"


@pytest.mark.parametrize(
    "body", [{"messages": 7}, {"messages": [None, {"role": "user", "content": 3}]}, {"prompt": ["a"]}]
)
def test_a_malformed_question_is_routed_all_the_same(body: dict[str, Any]) -> None:
    auto = ruled(Rule(("openai/a",), When(images=True, keywords=("x",), min_chars=5, code=True)))
    assert names(auto.route(Chat(body, "auto"))) == ["openai/default"]


TARGETS = (Target("openai", "gpt-mini"), Target("openrouter", "anthropic/claude"))


def test_a_key_may_use_all_that_an_alias_it_may_name_stands_for() -> None:
    assert allowed(Key("a", "s", models=("fast",)), "fast", TARGETS) == TARGETS


def test_a_key_limited_to_a_provider_uses_that_part_of_a_chain() -> None:
    assert allowed(Key("a", "s", models=("openai/*",)), "fast", TARGETS) == TARGETS[:1]


def test_a_model_that_a_key_may_not_use_looks_like_one_that_does_not_exist() -> None:
    with pytest.raises(ModelNotFound) as caught:
        allowed(Key("a", "s", models=("perplexity/*",)), "fast", TARGETS)
    assert (caught.value.status, caught.value.param) == (404, "model")


def test_a_key_without_patterns_of_its_own_may_use_everything() -> None:
    assert permits(Key("a", "s"), "openrouter/anthropic/claude")
