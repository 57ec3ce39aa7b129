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

# Of a long text, only the beginning and the end are examined: the question is at one of them.
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
    """Routing features of one chat, each computed once and only if needed. owner: the name of the key."""

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
        """The last user message; the middle of a long one is left out."""
        text = self._last_user_text()
        return text if len(text) <= 2 * _EDGE else f"{text[:_EDGE]}\n{text[-_EDGE:]}"

    @cached_property
    def words(self) -> Set[str]:
        """All words of `text`, case-folded."""
        return set(_WORD.findall(_folded(self.text)))

    @cached_property
    def conversation(self) -> bytes | None:
        """An identifier that is the same in every turn of a conversation, and differs between conversations."""
        return fingerprint(self._given, self._owner)

    @property
    def is_bound(self) -> bool:
        """Whether its turns may contain reasoning that only the same account can read. Never true for OpenAI's chat completions."""
        return self._given.dialect is not None

    @property
    def wants_affinity(self) -> bool | None:
        return self._given.trace.affinity

    def _last_user_text(self) -> str:
        for message in reversed(_messages(self._chat)):
            if message.get("role") == "user":
                return "\n".join(texts(message.get("content")))
        return "\n".join(texts(self._body.get("prompt") or self._body.get("input")))

    @cached_property
    def chars(self) -> int:
        """Characters of text in the whole conversation."""
        size = sum(len(text) for message in _messages(self._chat) for text in texts(message.get("content")))
        return size + sum(map(len, texts(self._body.get("prompt") or self._body.get("input"))))

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
    """A prepared `When`, with only the configured conditions."""

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
        """Cheap conditions are checked first."""
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
    """The rules of an alias, in order. Rules with keywords are only checked if one of their words is in the request."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = [
            _Rule(Condition.of(rule.when), rule.use, rule.why or f"rule {number}")
            for number, rule in enumerate(rules, 1)
        ]
        self._always: list[int] = []  # numbers of the rules that must always be checked
        self._by_word: dict[str, list[int]] = {}
        for number, rule in enumerate(rules):
            signs = {_sign(keyword) for keyword in rule.when.keywords}
            if not signs or "" in signs:
                self._always.append(number)
            else:
                for sign in signs:
                    self._by_word.setdefault(sign, []).append(number)

    def holding(self, question: Question) -> Iterator[_Rule]:
        """The matching rules, first to last."""
        numbers = self._always
        if self._by_word and (size := question.words & self._by_word.keys()):
            numbers = sorted({*numbers, *(number for word in size for number in self._by_word[word])})
        return (rule for rule in map(self._rules.__getitem__, numbers) if rule.condition.holds(question))


# What re.IGNORECASE treats as an i besides the results of case folding; and a mark that case folding turns into a letter.
_AS_CASES = str.maketrans("\u0130\u0131\u0345", "ii ")
_WORD = re.compile(r"\w+")


def _folded(text: str) -> str:
    """Texts that differ only in case, in the sense of re.IGNORECASE, become equal."""
    return text.translate(_AS_CASES).casefold() if not text.isascii() else text.lower()


def _sign(keyword: str) -> str:
    """The longest word of a keyword: a text with the keyword contains it as a whole word. Empty if there is none (`???`)."""
    return max(_WORD.findall(_folded(keyword)), key=len, default="")


@lru_cache(maxsize=4096)  # compiled when first needed: most of a thousand rules never are
def _any_word(keywords: tuple[str, ...]) -> re.Pattern[str]:
    # Not \b: "c++" and ".net" are words too. A space in a phrase matches any whitespace.
    words = (r"\s+".join(map(re.escape, keyword.split())) for keyword in keywords)
    return re.compile(rf"(?<!\w)(?:{'|'.join(words)})(?!\w)", re.IGNORECASE)


def _messages(chat: Chat) -> list[Json]:
    messages = chat.body.get("messages")
    return [one for one in messages if isinstance(one, dict)] if isinstance(messages, list) else []


def _parts(content: object) -> Iterator[Json]:
    if isinstance(content, list):
        yield from (part for part in content if isinstance(part, dict))
