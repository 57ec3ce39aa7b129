"""A chat completion request as the body of Gemini's `generateContent`."""

from __future__ import annotations

from collections.abc import Mapping

from llmproxy.adapter_kit import BadRequest, Chat, Json

from .field_names import Members, camel
from .messages import Conversation
from .models import BUDGETS, Abilities
from .names import Names, declared
from .parts import as_list
from .schema import inlined
from .signatures import Signatures
from .tools import Tools

MOST_STOPS = 5
EFFORTS = frozenset(("none", *BUDGETS, "xhigh", "max"))
TIERS = {"default": "standard", "standard": "standard", "flex": "flex", "priority": "priority"}
SAMPLING = {"temperature": "temperature", "top_p": "topP", "topP": "topP", "top_k": "topK", "topK": "topK"}
PENALTIES = {"presence_penalty": "presencePenalty", "frequency_penalty": "frequencyPenalty"}
# Members of the request, and of its generationConfig, that a client may send by Gemini's own name in either spelling.
NATIVE = frozenset(("safetySettings", "cachedContent", "labels", "modelArmorConfig"))
NATIVE_CONFIG = frozenset(
    (
        "audioTimestamp",
        "candidateCount",
        "enableEnhancedCivicAnswers",
        "imageConfig",
        "maxOutputTokens",
        "mediaResolution",
        "responseJsonSchema",
        "responseLogprobs",
        "responseMimeType",
        "responseModalities",
        "responseSchema",
        "speechConfig",
        "stopSequences",
        "thinkingConfig",
    )
)


def render(
    chat: Chat,
    can: Abilities,
    signatures: Signatures,
    options: Mapping[str, object],
    server_side: bool = True,
) -> Json:
    """The body. Members of the chat that Gemini cannot be given are noted in its trace as dropped.

    options: the account's. server_side: see Tools.
    """
    members = Members(chat.body)
    members.take("model", "stream", "stream_options")
    google = _google(members)
    names = Names(declared(chat.body))
    talk = Conversation(can, signatures, names)
    talk.add_all(members.take("messages"))
    if talk.shaped:
        members.lost.append("messages")
    tools = _tools(members, can, google, names, server_side)
    config = {
        **_numbers(members, can),
        **_logprobs(members, can.logprobs if server_side else can.logprobs_on_vertex),
        **_length(members),
        **_format(members, can, tools),
        **_thinking(members, can, google, options),
        **_voice(members),
        **_pictures(members, talk),
    }
    body: Json = {
        "contents": talk.contents,
        **({"systemInstruction": {"parts": talk.system}} if talk.system else {}),
        **tools.render(),
        **_tier(members),
    }
    if isinstance(options.get("safety_settings"), (list, tuple)):
        body["safetySettings"] = options["safety_settings"]
    _place_native(body, config, _native(members))
    _place_native(body, config, google)
    if config:
        body["generationConfig"] = config
    _note(chat, members)
    return body


def _note(chat: Chat, members: Members) -> None:
    chat.drop(*members.left())
    chat.trace.dropped.extend(name for name in members.lost if name not in chat.trace.dropped)


def _google(members: Members) -> Json:
    """`google: {...}` or `extra_body: {"google": {...}}`, as Google's compatible endpoint has it; camel case keys."""
    extra = members.see("extra_body")
    found: Json = {}
    for holder in (extra.get("google") if isinstance(extra, dict) else None, members.take("google")):
        if isinstance(holder, dict):
            found.update((camel(key), value) for key, value in holder.items())
    if isinstance(extra, dict) and set(extra) <= {"google"}:
        members.take("extra_body")
    return found


def _native(members: Members) -> Json:
    known = NATIVE | NATIVE_CONFIG | {"generationConfig"}
    return {camel(name): members.take(name) for name in members.left() if camel(name) in known}


def _place_native(body: Json, config: Json, native: Json) -> None:
    """Puts each member where Gemini has it. What we do not know goes as it is: the client said it is for Google."""
    for name, value in native.items():
        if name == "generationConfig" and isinstance(value, dict):
            config.update((camel(key), one) for key, one in value.items())
        elif name in NATIVE_CONFIG:
            config[name] = value
        elif name == "toolConfig" and isinstance(value, dict):
            body[name] = {**body.get(name, {}), **value}
        else:
            body[name] = value


def _tools(members: Members, can: Abilities, google: Json, names: Names, server_side: bool) -> Tools:
    tools = Tools(can, names, server_side)
    _refuse_functions(members)
    if members.see("tools"):
        tools.add_all(members.take("tools"))
    tools.add_all(as_list(google.pop("tools", None)))
    members.lost.extend(refused := tools.refuse())
    if can.tools and isinstance(search := members.see("web_search_options"), dict):
        members.take("web_search_options")
        tools.built_in.setdefault("googleSearch", {})
        members.lost.extend(f"web_search_options.{name}" for name in search)
    if tools.functions and tools.built_in and not can.mixed:  # functions are what the client waits for
        members.lost.extend(f"tools.{name}" for name in tools.built_in)
        tools.built_in.clear()
    if "tools" not in refused and (choice := members.take("tool_choice")) is not None:
        tools.choose(choice)
    if members.see("parallel_tool_calls") is True:  # they are parallel anyway; it cannot be forbidden
        members.take("parallel_tool_calls")
    return tools


def _refuse_functions(members: Members) -> None:
    for old in ("functions", "function_call"):
        if members.see(old):
            raise BadRequest(f"Gemini cannot be given {old!r}; use 'tools'.", param=old)


def _numbers(members: Members, can: Abilities) -> Json:
    names = {**(SAMPLING if can.sampling else {}), **(PENALTIES if can.penalties else {})}
    found = {theirs: members.take(ours) for ours, theirs in names.items() if members.see(ours) is not None}
    for ours in PENALTIES:
        if members.see(ours) == 0:  # is no penalty
            members.take(ours)
    if isinstance(members.see("seed"), int):
        found["seed"] = _int32(members.take("seed"))
    if isinstance(count := members.take("n"), int) and count > 1:
        found["candidateCount"] = count
    return found


def _int32(seed: int) -> int:
    """Gemini's seed has 32 bits; a longer one is folded, always in the same way, so that it still repeats."""
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
    if not can.json or (tools.functions and not can.mixed):  # such a model refuses JSON mode beside functions
        return {}
    if not can.mixed:  # and beside search: who asks for JSON cannot read anything else
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
    """How much the model thinks, and that its thoughts are shown (they are summaries and cost nothing)."""
    if "thinkingConfig" in google or not can.thinks:
        if members.see("reasoning_effort") == "none" and not can.thinks:
            members.take("reasoning_effort")
        return {}
    asked = members.take("reasoning")
    reasoning: Json = asked if isinstance(asked, dict) else {}
    effort = members.take("reasoning_effort") or reasoning.get("effort")
    if reasoning.get("enabled") is False:
        effort = "none"
    if effort is not None and str(effort) not in EFFORTS:
        raise BadRequest(f"'reasoning_effort' cannot be {effort!r}.", param="reasoning_effort")
    hidden = reasoning.get("exclude") is True or False in (members.take("include_reasoning"), options.get("thoughts"))
    config = can.thinking(effort) if effort else {}
    if isinstance(tokens := reasoning.get("max_tokens"), int):
        if can.budget is None:
            members.lost.append("reasoning.max_tokens")
        else:
            config["thinkingBudget"] = can.tokens(tokens)
    silent = config.get("thinkingBudget") == 0 or (can.quiet and "thinkingBudget" not in config)
    if not hidden and not silent and effort != "none":
        config["includeThoughts"] = True
    return {"thinkingConfig": config} if config else {}


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
        if audio.get("format") not in (None, "pcm16"):  # what comes is PCM, always
            members.lost.append("audio.format")
    return found


def _pictures(members: Members, talk: Conversation) -> Json:
    if talk.media.mixed:
        members.lost.append("image_url.detail")
    return {"mediaResolution": talk.media.resolution} if talk.media.resolution else {}


def _tier(members: Members) -> Json:
    if members.see("service_tier") == "auto":
        members.take("service_tier")
    tier = TIERS.get(str(members.see("service_tier")))
    return {"serviceTier": tier} if tier and members.take("service_tier") else {}
