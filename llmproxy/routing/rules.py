"""Extracts routing features from a request (size, attachments, tools, keywords), and matches them against rules."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache

from llmproxy.config import Rule, When
from llmproxy.core.chat import Chat, Json

from .beginning import fingerprint
from .texts import as_openai, texts

# As much of a long text as is looked at: what is asked stands at its beginning or at its end.
_EDGE = 2_000

_PARTS = {
    "image_url": "images",
    "input_image": "images",
    "input_audio": "audio",
    "file": "files",
    "input_file": "files",
}

_CODE = re.compile(
    r"```"
    r"|^[ \t]*(?:def|class|func|fn|impl|struct|interface|enum|public|private|static|async def) \w"
    r"|^[ \t]*(?:import|from|using|package|require|use) [\w.\"'{*]+(?: import|;|$)"
    r"|^[ \t]*#include\b|^#!/"
    r"|\bfunction\b ?\w*\(|=> ?\{|\bconsole\.log\(|\bSELECT\b.{1,200}\bFROM\b"
    r"|[;{}]$\n.*[;{}]$|^Traceback \(most recent call last\)",
    re.MULTILINE,
)


class Question:
    """What routing asks about one chat, each worked out once and only if asked for. owner: the name of the key that asks."""

    def __init__(self, chat: Chat, owner: str = "") -> None:
        self._given = chat
        self._owner = owner

    @cached_property
    def _chat(self) -> Chat:
        return as_openai(self._given)

    @property
    def _body(self) -> Json:
        return self._chat.body

    @cached_property
    def text(self) -> str:
        """The last thing the user said, its middle left out if it is long."""
        text = self._last_said()
        return text if len(text) <= 2 * _EDGE else f"{text[:_EDGE]}\n{text[-_EDGE:]}"

    @cached_property
    def words(self) -> Set[str]:
        """All words of `text`, without their case."""
        return set(_WORD.findall(_folded(self.text)))

    @cached_property
    def conversation(self) -> bytes | None:
        """The same in every turn of a conversation, and of no other."""
        return fingerprint(self._given, self._owner)

    @property
    def is_bound(self) -> bool:
        """Whether its turns may carry reasoning that only the account understands which made it: those of OpenAI's chats
        do not."""
        return self._given.dialect is not None

    @property
    def wishes_affinity(self) -> bool | None:
        return self._given.trace.affinity

    def _last_said(self) -> str:
        for message in reversed(_messages(self._chat)):
            if message.get("role") == "user":
                return "\n".join(texts(message.get("content")))
        return "\n".join(texts(self._body.get("prompt") or self._body.get("input")))

    @cached_property
    def chars(self) -> int:
        """Characters of text in the whole conversation."""
        said = sum(len(text) for message in _messages(self._chat) for text in texts(message.get("content")))
        return said + sum(map(len, texts(self._body.get("prompt") or self._body.get("input"))))

    @cached_property
    def attached(self) -> frozenset[str]:
        """Which of images, audio and files are anywhere in the conversation."""
        parts = (part for message in _messages(self._chat) for part in _parts(message.get("content")))
        return frozenset(_PARTS[kind] for part in parts if isinstance(kind := part.get("type"), str) and kind in _PARTS)

    @cached_property
    def code(self) -> bool:
        return _CODE.search(self.text) is not None

    @property
    def tools(self) -> bool:
        return bool(self._body.get("tools") or self._body.get("functions"))

    @property
    def json(self) -> bool:
        wanted = self._body.get("response_format")
        return isinstance(wanted, dict) and wanted.get("type") not in (None, "text")

    @property
    def reasoning(self) -> bool:
        return self._body.get("reasoning_effort") not in (None, "none") or bool(self._body.get("reasoning"))


_ASKED: dict[str, Callable[[Question], bool]] = {
    "images": lambda question: "images" in question.attached,
    "audio": lambda question: "audio" in question.attached,
    "files": lambda question: "files" in question.attached,
    "tools": lambda question: question.tools,
    "json": lambda question: question.json,
    "reasoning": lambda question: question.reasoning,
    "code": lambda question: question.code,
}


@dataclass(frozen=True, slots=True)
class Condition:
    """A `When` made ready: only those conditions are kept that were given."""

    flags: tuple[tuple[Callable[[Question], bool], bool], ...]
    least: int | None
    most: int | None
    keywords: tuple[str, ...]

    @classmethod
    def of(cls, when: When) -> Condition:
        given = {field.name: getattr(when, field.name) for field in fields(When) if field.name in _ASKED}
        flags = tuple((_ASKED[name], wanted) for name, wanted in given.items() if wanted is not None)
        return cls(flags, when.min_chars, when.max_chars, when.keywords)

    def holds(self, question: Question) -> bool:
        """The cheap ones are asked first."""
        if any(asked(question) != wanted for asked, wanted in self.flags):
            return False
        if self.least is not None and question.chars < self.least:
            return False
        if self.most is not None and question.chars > self.most:
            return False
        return not self.keywords or _any_word(self.keywords).search(question.text) is not None


@dataclass(frozen=True, slots=True)
class _Rule:
    condition: Condition
    use: tuple[str, ...]
    why: str


class RuleTable:
    """An alias's rules, in their order. Of those with keywords only the ones are looked at whose words are in the question."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = [
            _Rule(Condition.of(rule.when), rule.use, rule.why or f"rule {number}")
            for number, rule in enumerate(rules, 1)
        ]
        self._always: list[int] = []  # by their numbers: those that no word of the question rules out
        self._by_word: dict[str, list[int]] = {}
        for number, rule in enumerate(rules):
            signs = {_sign(keyword) for keyword in rule.when.keywords}
            if not signs or "" in signs:
                self._always.append(number)
            else:
                for sign in signs:
                    self._by_word.setdefault(sign, []).append(number)

    def holding(self, question: Question) -> Iterator[_Rule]:
        """The rules that hold, first to last."""
        numbers = self._always
        if self._by_word and (said := question.words & self._by_word.keys()):
            numbers = sorted({*numbers, *(number for word in said for number in self._by_word[word])})
        return (rule for rule in map(self._rules.__getitem__, numbers) if rule.condition.holds(question))


# What re.IGNORECASE takes for an i beside those that case folding makes one; and a mark that folding makes a letter.
_AS_CASES = str.maketrans("\u0130\u0131\u0345", "ii ")
_WORD = re.compile(r"\w+")


def _folded(text: str) -> str:
    """Texts that differ in case only, as re.IGNORECASE sees it, are the same then."""
    return text.translate(_AS_CASES).casefold() if not text.isascii() else text.lower()


def _sign(keyword: str) -> str:
    """The longest word of a keyword: what holds the keyword has it, as a whole word. Empty if it has none (`???`)."""
    return max(_WORD.findall(_folded(keyword)), key=len, default="")


@lru_cache(maxsize=4096)  # made for the first question that may have them: most of a thousand rules never meet one
def _any_word(keywords: tuple[str, ...]) -> re.Pattern[str]:
    # Not \b: "c++" and ".net" are words too. Spaces within a phrase match any white space.
    words = (r"\s+".join(map(re.escape, keyword.split())) for keyword in keywords)
    return re.compile(rf"(?<!\w)(?:{'|'.join(words)})(?!\w)", re.IGNORECASE)


def _messages(chat: Chat) -> list[Json]:
    messages = chat.body.get("messages")
    return [one for one in messages if isinstance(one, dict)] if isinstance(messages, list) else []


def _parts(content: object) -> Iterator[Json]:
    if isinstance(content, list):
        yield from (part for part in content if isinstance(part, dict))
