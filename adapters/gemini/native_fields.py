"""Members that a client may send under Gemini's own names, in either spelling, and their place in a Gemini request."""

from __future__ import annotations

from llmproxy.adapter_kit import Json

from .field_names import Members, camel

# Of the request, and of its generationConfig.
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


def google_members(members: Members) -> Json:
    """Members of `google: {...}` or `extra_body: {"google": {...}}`, as in Google's compatible endpoint, in camel case."""
    extra = members.see("extra_body")
    found: Json = {}
    for holder in (extra.get("google") if isinstance(extra, dict) else None, members.take("google")):
        if isinstance(holder, dict):
            found.update((camel(key), value) for key, value in holder.items())
    if isinstance(extra, dict) and set(extra) <= {"google"}:
        members.take("extra_body")
    return found


def native_members(members: Members) -> Json:
    known = NATIVE | NATIVE_CONFIG | {"generationConfig"}
    return {camel(name): members.take(name) for name in members.left() if camel(name) in known}


def place(body: Json, config: Json, native: Json) -> None:
    """Puts each member in its place. Unknown ones are sent unchanged, because the client marked them as Google's."""
    for name, value in native.items():
        if name == "generationConfig" and isinstance(value, dict):
            config.update((camel(key), one) for key, one in value.items())
        elif name in NATIVE_CONFIG:
            config[name] = value
        elif name == "toolConfig" and isinstance(value, dict):
            body[name] = {**body.get(name, {}), **value}
        else:
            body[name] = value
