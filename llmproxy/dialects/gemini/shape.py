"""The types of Gemini's requests, in camel or snake case. Null counts as absent everywhere, as at Google."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from llmproxy.core.chat import Json
from llmproxy.wire.shapes import (
    FLAG,
    OBJECT,
    TEXT,
    Either,
    Fault,
    Listed,
    Members,
    Path,
    Shape,
    check,
    either,
)  # fmt: skip

from .fields import camel, number


@dataclass(frozen=True, slots=True)
class _Number:
    """Google also accepts numbers as strings: the JSON form of protocol buffers sends 64-bit integers so."""

    wanted: str = "a number"

    def fits(self, value: Any) -> bool:
        return number(value) is not None

    def faults(self, value: Any, path: Path) -> Iterator[Fault]:
        return iter(())


def _members(**members: Shape) -> Members:
    return Members(members, camel)


def _one_or_list(shape: Shape) -> Shape:
    """A list, or one element alone, as Google's SDKs may send it."""
    return Either((Listed(shape), shape), "an object or a list of objects")


_NUMBER = _Number()
_ENUM = either(TEXT, _NUMBER)
_BLOB = _members(mimeType=TEXT, data=TEXT, displayName=TEXT)
_FILE = _members(mimeType=TEXT, fileUri=TEXT, displayName=TEXT)
_PART = _members(
    text=TEXT,
    thought=FLAG,
    thoughtSignature=TEXT,
    inlineData=_BLOB,
    fileData=_FILE,
    functionCall=_members(id=TEXT, name=TEXT, args=OBJECT),
    functionResponse=_members(
        id=TEXT,
        name=TEXT,
        response=either(OBJECT, TEXT),
        parts=_one_or_list(_members(inlineData=_BLOB, fileData=_FILE)),
    ),
    executableCode=_members(language=_ENUM, code=TEXT),
    codeExecutionResult=_members(outcome=_ENUM, output=TEXT),
)
_CONTENT = _members(role=TEXT, parts=_one_or_list(_PART))
_CONTENTS = _one_or_list(_CONTENT)
_INSTRUCTION = either(TEXT, _CONTENT)
_DECLARATION = _members(
    name=TEXT, description=TEXT, parameters=OBJECT, parametersJsonSchema=OBJECT, response=OBJECT
)  # fmt: skip
_TOOL = _members(
    functionDeclarations=_one_or_list(_DECLARATION), googleSearch=OBJECT, codeExecution=OBJECT, urlContext=OBJECT
)
_CALLING = _members(mode=_ENUM, allowedFunctionNames=Listed(TEXT))
_VOICE = _members(prebuiltVoiceConfig=_members(voiceName=TEXT))
_CONFIG = _members(
    stopSequences=Listed(TEXT),
    responseMimeType=TEXT,
    responseSchema=OBJECT,
    responseJsonSchema=OBJECT,
    responseModalities=Listed(_ENUM),
    responseLogprobs=FLAG,
    speechConfig=_members(voiceConfig=_VOICE, languageCode=TEXT),
    thinkingConfig=_members(includeThoughts=FLAG, thinkingBudget=_NUMBER, thinkingLevel=_ENUM),
    temperature=_NUMBER,
    topP=_NUMBER,
    topK=_NUMBER,
    seed=_NUMBER,
    presencePenalty=_NUMBER,
    frequencyPenalty=_NUMBER,
    maxOutputTokens=_NUMBER,
    candidateCount=_NUMBER,
    logprobs=_NUMBER,
)
_REQUEST = _members(
    contents=_CONTENTS,
    systemInstruction=_INSTRUCTION,
    generationConfig=_CONFIG,
    tools=_one_or_list(_TOOL),
    toolConfig=_members(functionCallingConfig=_CALLING),
    safetySettings=_one_or_list(_members(category=_ENUM, threshold=_ENUM)),
    cachedContent=TEXT,
    labels=OBJECT,
)
_OUTLINE = _members(contents=_one_or_list(OBJECT))
_EMBED = _members(
    content=_INSTRUCTION, taskType=_ENUM, title=TEXT, outputDimensionality=_NUMBER, embedContentConfig=OBJECT
)
_EMBEDS = _members(requests=_one_or_list(_EMBED))
_COUNT = _members(contents=_CONTENTS, generateContentRequest=_REQUEST, systemInstruction=_INSTRUCTION)


def check_outline(body: Json) -> None:
    """Checks only the outline, for requests that may be passed on: Google checks the rest itself. Raises BadRequest."""
    check(_OUTLINE, body)


def check_generate(body: Json) -> None:
    """Raises BadRequest with the path of the wrong member in `param`."""
    check(_REQUEST, body)


def check_embed(body: Json, *, many: bool) -> None:
    check(_EMBEDS if many else _EMBED, body)


def check_count(body: Json) -> None:
    check(_COUNT, body)
