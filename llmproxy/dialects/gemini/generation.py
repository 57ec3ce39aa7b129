"""Translates Gemini's `generationConfig` and tools to members of a chat request."""

from __future__ import annotations

from typing import Any

from llmproxy.core.chat import Json
from llmproxy.core.errors import BadRequest
from llmproxy.core.places import Places
from llmproxy.wire.tool_names import ChatToolNames

from .fields import Fields, an_object, listed, number, spelled, words

_SAME = {
    "temperature": "temperature",
    "topP": "top_p",
    "topK": "top_k",
    "seed": "seed",
    "presencePenalty": "presence_penalty",
    "frequencyPenalty": "frequency_penalty",
    "maxOutputTokens": "max_completion_tokens",
}
NAMES = {  # of a chat's members, in errors
    **{ours: f"generationConfig.{theirs}" for theirs, ours in _SAME.items()},
    "messages": "contents",
    "stop": "generationConfig.stopSequences",
    "reasoning_effort": "generationConfig.thinkingConfig",
    "response_format": "generationConfig.responseSchema",
    "logprobs": "generationConfig.responseLogprobs",
    "top_logprobs": "generationConfig.logprobs",
    "modalities": "generationConfig.responseModalities",
    "audio": "generationConfig.speechConfig",
    "tool_choice": "toolConfig.functionCallingConfig",
}
_CHOICES = {"AUTO": "auto", "VALIDATED": "auto", "NONE": "none", "ANY": "required"}
_EFFORTS = {"MINIMAL": "minimal", "LOW": "low", "MEDIUM": "medium", "HIGH": "high", "XHIGH": "xhigh"}
_BUDGETS = ((1024, "low"), (8192, "medium"))  # budget up to this number of tokens, and its effort; above them: high
_NAMED = frozenset(("properties", "patternProperties", "$defs", "defs", "definitions"))  # members whose keys are names
_DATA = frozenset(("enum", "const", "default", "example", "examples", "required", "propertyOrdering"))
_NOT_JSON_SCHEMA = frozenset(("propertyOrdering", "property_ordering", "nullable"))


def settings(given: Any, lost: list[str]) -> Json:
    """The generation settings. Names of settings that a chat does not have are added to `lost`."""
    config = Fields(given)
    found: Json = {ours: value for theirs, ours in _SAME.items() if (value := number(config.take(theirs))) is not None}
    if stops := config.take("stopSequences"):
        found["stop"] = stops
    if (many := number(config.take("candidateCount"))) not in (None, 1):
        lost.append(f"generationConfig.candidateCount={many}")
    found |= _format(config) | _logprobs(config) | _voice(config) | _effort(spelled(config.take("thinkingConfig")))
    lost += [f"generationConfig.{name}" for name in config.left()]
    return found


def shows_thoughts(given: Any) -> bool:
    return spelled(spelled(given).get("thinkingConfig")).get("includeThoughts") is True


def _format(config: Fields) -> Json:
    kind = words(config.take("responseMimeType"))
    plain, own = config.take("responseJsonSchema"), config.take("responseSchema")
    schema = plain if plain is not None else own
    if kind not in ("", "text/plain", "application/json", "text/x.enum"):
        raise BadRequest(f"responseMimeType cannot be {kind!r}.", param="generationConfig.responseMimeType")
    if isinstance(schema, dict):
        named = {"name": "answer", "schema": schema if plain is not None else json_schema(schema)}
        return {"response_format": {"type": "json_schema", "json_schema": named}}
    return {"response_format": {"type": "json_object"}} if kind == "application/json" else {}


def _logprobs(config: Fields) -> Json:
    wanted, top = config.take("responseLogprobs"), number(config.take("logprobs"))
    return {"logprobs": True, **({"top_logprobs": top} if isinstance(top, int) else {})} if wanted is True else {}


def _voice(config: Fields) -> Json:
    kinds, speech = config.take("responseModalities"), spelled(config.take("speechConfig"))
    wanted = [str(one).lower() for one in kinds] if isinstance(kinds, list) else []
    if not set(wanted) - {"text"}:
        return {}
    if "audio" not in wanted:
        return {"modalities": wanted}
    prebuilt = spelled(spelled(speech.get("voiceConfig")).get("prebuiltVoiceConfig"))
    return {
        "modalities": ["text", "audio"],
        "audio": {"voice": words(prebuilt.get("voiceName")) or "alloy", "format": "pcm16"},
    }


def _effort(thinking: Json) -> Json:
    level, budget = words(thinking.get("thinkingLevel")).upper(), number(thinking.get("thinkingBudget"))
    if level in _EFFORTS:
        return {"reasoning_effort": _EFFORTS[level]}
    if budget is None or budget < 0:  # -1: the model decides
        return {}
    if budget == 0:
        return {"reasoning_effort": "none"}
    return {"reasoning_effort": next((effort for most, effort in _BUDGETS if budget <= most), "high")}


def declared_names(given: Any) -> list[str]:
    """The names of the functions that a request declares."""
    declared = (one for tool in listed(given, "tools") for one in _declarations(tool))
    return [name for one in declared if (name := words(one.get("name")))]


def _declarations(tool: Json) -> list[Json]:
    return listed(tool.get("functionDeclarations"), "tools.functionDeclarations")


def tools(given: Any, choice: Any, lost: list[str], names: ChatToolNames, places: Places) -> Json:
    """`tools` and `tool_choice`. Tools that Google runs are added to `lost`."""
    functions: list[Json] = []
    for at_tool, tool in enumerate(listed(given, "tools")):
        for name, value in tool.items():
            if name == "functionDeclarations":
                where = f"tools[{at_tool}].functionDeclarations"
                declared = enumerate(_declarations(tool))
                functions += [places.keep(_declared(one, names), f"{where}[{at}]") for at, one in declared]
            elif value is not None:
                lost.append(f"tools.{name}")
    config = spelled(choice)
    calling = spelled(config.pop("functionCallingConfig", None))
    lost += [f"toolConfig.{name}" for name in config]
    return {"tools": functions, **_choice(calling, names)} if functions else {}


def _declared(one: Json, names: ChatToolNames) -> Json:
    name = words(one.get("name"))
    if not name:
        raise BadRequest("A function declaration has no name.", param="tools", code="invalid_value")
    function: Json = {"name": names.theirs(name)}
    if one.get("description"):
        function["description"] = one["description"]
    plain = one.get("parametersJsonSchema")
    schema = plain if isinstance(plain, dict) else json_schema(an_object(one.get("parameters")))
    function["parameters"] = schema or {"type": "object", "properties": {}}
    return {"type": "function", "function": function}


def _choice(calling: Json, tool_names: ChatToolNames) -> Json:
    mode, only = words(calling.get("mode")).upper(), calling.get("allowedFunctionNames")
    names = [tool_names.theirs(one) for one in only if isinstance(one, str)] if isinstance(only, list) else []
    if mode == "ANY" and len(names) == 1:
        return {"tool_choice": {"type": "function", "function": {"name": names[0]}}}
    if mode in ("ANY", "VALIDATED") and names:
        allowed = [{"type": "function", "function": {"name": name}} for name in names]
        choice = {"mode": _CHOICES[mode], "tools": allowed}
        return {"tool_choice": {"type": "allowed_tools", "allowed_tools": choice}}
    return {"tool_choice": _CHOICES[mode]} if mode in _CHOICES and mode != "AUTO" else {}


def json_schema(node: Any) -> Any:
    """Converts Google's schema to JSON schema: lower-case types, `nullable` as a further type, limits as numbers."""
    if isinstance(node, list):
        return [json_schema(one) for one in node]
    if not isinstance(node, dict):
        return node
    found: Json = {}
    for key, value in node.items():
        if key in _NOT_JSON_SCHEMA:
            continue
        name = "anyOf" if key == "any_of" else key
        if name == "type" and isinstance(value, str):
            found[name] = value.lower()
        elif name in _NAMED and isinstance(value, dict):
            found[name] = {inner: json_schema(one) for inner, one in value.items()}
        else:
            found[_camel_limit(name)] = (
                _number(name, value) if name in _DATA or not _nested(value) else json_schema(value)
            )
    if node.get("nullable") is True and isinstance(found.get("type"), str):
        found["type"] = [found["type"], "null"]
    return found


def _nested(value: Any) -> bool:
    return isinstance(value, (dict, list))


_LIMITS = {
    name.lower(): name
    for name in (
        "minItems",
        "maxItems",
        "minLength",
        "maxLength",
        "minProperties",
        "maxProperties",
        "additionalProperties",
    )
}


def _camel_limit(name: str) -> str:
    return _LIMITS.get(name.replace("_", "").lower(), name)


def _number(name: str, value: Any) -> Any:
    """Google sends 64-bit integers as strings."""
    limit = _camel_limit(name) in _LIMITS.values()
    return int(value) if limit and isinstance(value, str) and value.isdigit() else value
