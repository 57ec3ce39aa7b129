"""Converts OpenAI's generation parameters to Gemini's `generationConfig`."""

from __future__ import annotations

from collections.abc import Mapping

from llmproxy.adapter_kit import BadRequest, Json

from .field_names import Members
from .messages import Conversation
from .models import BUDGETS, Abilities
from .parts import as_list
from .schema import inlined
from .tools import Tools

MOST_STOPS = 5
EFFORTS = frozenset(("none", *BUDGETS, "xhigh", "max"))
SAMPLING = {"temperature": "temperature", "top_p": "topP", "topP": "topP", "top_k": "topK", "topK": "topK"}
PENALTIES = {"presence_penalty": "presencePenalty", "frequency_penalty": "frequencyPenalty"}


def render_config(
    members: Members, can: Abilities, talk: Conversation, tools: Tools, google: Json, options: Mapping[str, object]
) -> Json:
    """`generationConfig`, empty if no parameter is set. options: those of the provider's configuration."""
    return {
        **_numbers(members, can),
        **_logprobs(members, can.logprobs if tools.server_side else can.logprobs_on_vertex),
        **_length(members),
        **_format(members, can, tools),
        **_thinking(members, can, google, options),
        **_voice(members),
        **_pictures(members, talk),
    }


def _numbers(members: Members, can: Abilities) -> Json:
    names = {**(SAMPLING if can.sampling else {}), **(PENALTIES if can.penalties else {})}
    found = {theirs: members.take(ours) for ours, theirs in names.items() if members.see(ours) is not None}
    for ours in PENALTIES:
        if members.see(ours) == 0:  # means no penalty
            members.take(ours)
    if isinstance(members.see("seed"), int):
        found["seed"] = _int32(members.take("seed"))
    if isinstance(count := members.take("n"), int) and count > 1:
        found["candidateCount"] = count
    return found


def _int32(seed: int) -> int:
    """Gemini's seed has 32 bits; a longer one is reduced to 31 bits, always to the same value."""
    return seed if -(2**31) <= seed < 2**31 else seed % 2**31


def _logprobs(members: Members, able: bool) -> Json:
    if not members.see("logprobs"):
        members.take("logprobs")
        return {}
    if not able:
        return {}
    top = members.take("top_logprobs")
    return {"responseLogprobs": bool(members.take("logprobs")), **({"logprobs": top} if top else {})}


def _length(members: Members) -> Json:
    most, stops = members.take("max_completion_tokens", "max_tokens"), as_list(members.take("stop"))
    found: Json = {"maxOutputTokens": most} if most is not None else {}
    if len(stops) > MOST_STOPS:
        raise BadRequest(f"Gemini takes {MOST_STOPS} stop sequences at most.", param="stop")
    if any(stops):
        found["stopSequences"] = [stop for stop in stops if stop]
    return found


def _format(members: Members, can: Abilities, tools: Tools) -> Json:
    form = members.see("response_format")
    if form is None:
        return {}
    kind = form.get("type") if isinstance(form, dict) else None
    if kind not in ("text", "json_object", "json_schema"):
        raise BadRequest("'response_format' must be of type text, json_object or json_schema.", param="response_format")
    if kind == "text":
        members.take("response_format")
        return {}
    if not can.json or (tools.functions and not can.mixed):  # this model refuses JSON mode together with functions
        return {}
    if not can.mixed:  # and together with search: the client can only read JSON
        members.lost.extend(f"tools.{name}" for name in tools.built_in)
        tools.built_in.clear()
    members.take("response_format")
    holder = form.get("json_schema") if kind == "json_schema" else {}
    schema = holder.get("schema") if isinstance(holder, dict) else None
    if kind == "json_schema" and not isinstance(schema, dict):
        raise BadRequest("'response_format.json_schema.schema' is missing.", param="response_format.json_schema.schema")
    schemas = {"responseJsonSchema": inlined(schema)} if schema else {}
    return {"responseMimeType": "application/json", **schemas}


def _thinking(members: Members, can: Abilities, google: Json, options: Mapping[str, object]) -> Json:
    """`thinkingConfig`, with thoughts shown (they are summaries, and cost nothing)."""
    if "thinkingConfig" in google or not can.thinks:
        if members.see("reasoning_effort") == "none" and not can.thinks:
            members.take("reasoning_effort")
        return {}
    given = members.take("reasoning")
    reasoning: Json = given if isinstance(given, dict) else {}
    effort = _effort(members, reasoning)
    hidden = reasoning.get("exclude") is True or False in (members.take("include_reasoning"), options.get("thoughts"))
    config = {**(can.thinking(effort) if effort else {}), **_budget(members, can, reasoning)}
    silent = config.get("thinkingBudget") == 0 or (can.quiet and "thinkingBudget" not in config)
    if not hidden and not silent and effort != "none":
        config["includeThoughts"] = True
    return {"thinkingConfig": config} if config else {}


def _effort(members: Members, reasoning: Json) -> str | None:
    effort = members.take("reasoning_effort") or reasoning.get("effort")
    if reasoning.get("enabled") is False:
        effort = "none"
    if effort is not None and str(effort) not in EFFORTS:
        raise BadRequest(f"'reasoning_effort' cannot be {effort!r}.", param="reasoning_effort")
    return effort


def _budget(members: Members, can: Abilities, reasoning: Json) -> Json:
    tokens = reasoning.get("max_tokens")
    if not isinstance(tokens, int):
        return {}
    if can.budget is None:
        members.lost.append("reasoning.max_tokens")
        return {}
    return {"thinkingBudget": can.tokens(tokens)}


def _voice(members: Members) -> Json:
    kinds = [kind.upper() for kind in as_list(members.take("modalities")) if isinstance(kind, str)]
    audio = members.take("audio") if "AUDIO" in kinds else None
    if not set(kinds) - {"TEXT"}:
        return {}
    found: Json = {"responseModalities": ["AUDIO"] if "AUDIO" in kinds else kinds}
    if isinstance(audio, dict):
        voice = audio.get("voice")
        if isinstance(voice, str):
            found["speechConfig"] = {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": voice}}}
        if audio.get("format") not in (None, "pcm16"):  # the answer is always PCM
            members.lost.append("audio.format")
    return found


def _pictures(members: Members, talk: Conversation) -> Json:
    if talk.media.mixed:
        members.lost.append("image_url.detail")
    return {"mediaResolution": talk.media.resolution} if talk.media.resolution else {}
