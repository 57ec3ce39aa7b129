"""Looking only at the rules whose words a question has finds the same rules as trying each."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.config import Rule, When
from llmproxy.core.chat import Chat
from llmproxy.routing.rules import Condition, Question, RuleTable

# Letters with more than one form in lower case, and marks that are letters in one of them.
_FORMS = [
    "\u0130",
    "\u0131",
    "i",
    "\u212a",
    "k",
    "\u017f",
    "s",
    "Stra\u00dfe",
    "STRASSE",
    "\u0390",
    "E\u0301",
    "\u00e9",
]
_PIECES = ["c", "C++", ".net", "net", "???", "_x", *_FORMS]
TEXTS = st.lists(st.sampled_from([*_PIECES, " ", "  ", "\n", "-", "a"]), max_size=8).map("".join)
KEYWORDS = st.lists(st.sampled_from(_PIECES), min_size=1, max_size=3).map(" ".join)


def asked(text: str) -> Question:
    return Question(Chat({"messages": [{"role": "user", "content": text}]}, "m"))


@given(st.lists(st.lists(KEYWORDS, max_size=3), max_size=5), TEXTS)
def test_the_same_rules_hold_as_if_each_was_tried(keywords: list[list[str]], text: str) -> None:
    rules = [Rule((str(number),), When(keywords=tuple(words))) for number, words in enumerate(keywords)]
    tried = [rule.use for rule in rules if Condition.of(rule.when).holds(asked(text))]
    assert [rule.use for rule in RuleTable(rules).holding(asked(text))] == tried


@pytest.mark.parametrize(
    ("keyword", "text", "holds"),
    [
        ("c++", "Is C++ fast?", True),
        ("c++", "Is C fast?", False),
        (".net", "a .NET program", True),
        ("two  words", "TWO\nwords", True),
        ("word", "words", False),
        ("???", "what ???", True),
    ],
)
def test_a_keyword_is_a_whole_word_without_regard_to_case(keyword: str, text: str, holds: bool) -> None:
    table = RuleTable([Rule(("a",), When(keywords=(keyword,)))])
    assert bool(list(table.holding(asked(text)))) is holds
