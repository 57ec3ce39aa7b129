"""Translates a request of the native interface to the body of a chat request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from llmproxy.config import Config, Mode
from llmproxy.core.chat import Json
from llmproxy.core.errors import BadRequest

OURS = frozenset(
    ("message", "messages", "images", "mode", "system", "thread_id", "content", "parent_id", "answer_to", "continue")
)
SETTINGS = ("temperature", "top_p", "max_tokens", "reasoning_effort")  # settings of a thread that are parameters
GO_ON = "Go on with your last message from exactly where it breaks off. Repeat nothing and do not mention the break."


def chat_body(given: Json, messages: list[Json], config: Config, thread: Mapping[str, Any] | None = None) -> Json:
    """The chat request for `given`. Its own settings override those of its mode, and these override those of its
    thread.

    Raises BadRequest if no model is named, or if the mode is unknown.
    """
    settings = (thread or {}).get("settings") or {}
    mode = _mode(given.get("mode") or settings.get("mode"), config)
    model = given.get("model") or mode.model or (thread or {}).get("model") or config.default_model
    if not isinstance(model, str) or not model:
        raise BadRequest("Name a model.", param="model", code="missing_required_parameter")
    system = _text(given, "system") or mode.system or settings.get("system") or ""
    usual = {name: settings[name] for name in SETTINGS if settings.get(name) is not None}
    parameters = {name: value for name, value in given.items() if name not in OURS}
    first = [{"role": "system", "content": system}] if system and isinstance(system, str) else []
    return {
        **usual,
        **mode.parameters,
        **parameters,
        "model": model,
        "messages": [*first, *messages],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def question(given: Json, usual: str = "message") -> str | list[Json]:
    """The content of `message` or `content`, with `images` as further parts."""
    name = next((name for name in ("content", "message") if name in given), usual)
    content = given.get(name)
    images = [{"type": "image_url", "image_url": {"url": url}} for url in _images(given)]
    if isinstance(content, str) and (content or images):
        return [{"type": "text", "text": content}, *images] if images else content
    if name == "content" and isinstance(content, list) and content and all(isinstance(part, dict) for part in content):
        return [*content, *images]
    raise BadRequest(f"{name} must be the text of a question.", param=name)


def questions(given: Json) -> list[Json]:
    """The messages of a chat without a thread."""
    if "messages" in given:
        messages = given["messages"]
        if "message" in given or not isinstance(messages, list) or not messages:
            raise BadRequest("Give either message, or messages as a list that is not empty.", param="messages")
        return messages
    return [{"role": "user", "content": question(given)}]


def model_messages(conversation: Iterable[Json], before: str = "") -> list[Json]:
    """The messages of a thread for the model. before: the part of an answer that the model is to continue."""
    said = list(_model_messages(conversation))
    if before:
        said += [{"role": "assistant", "content": before}, {"role": "user", "content": GO_ON}]
    return said


def _model_messages(conversation: Iterable[Json]) -> Iterator[Json]:
    for message in conversation:
        content, images = _content(message), _drawn(message)
        if content or images:  # most providers refuse an empty answer
            rendered = {"role": message["role"], "content": content or None}
            yield {**rendered, "images": images} if images else rendered


def _content(message: Json) -> str | list[Json]:
    """The content, with the transcripts of audio. Providers take back no sound, only the id of one that they still have."""
    spoken = " ".join(part["transcript"] for part in _parts(message, "audio") if part.get("transcript"))
    return "\n\n".join(filter(None, [message["content"], spoken])) if spoken else message["content"]


def _drawn(message: Json) -> list[Json]:
    """The images of an answer, with what its provider needs to recognise them. Adapters leave out what theirs does not take."""
    return [
        {"type": "image_url", "image_url": {"url": part["url"]}, **_known(part, "extra_content")}
        for part in _parts(message, "image")
        if part.get("url")
    ]


def _parts(message: Json, kind: str) -> list[Json]:
    return [part for part in message.get("parts") or () if part.get("type") == kind]


def _known(part: Json, name: str) -> Json:
    return {name: part[name]} if name in part else {}


def _mode(name: Any, config: Config) -> Mode:
    if name is None or name == "":
        return Mode("")
    mode = config.modes.get(name) if isinstance(name, str) else None
    if mode is None:
        raise BadRequest("There is no such mode in the config.", param="mode")
    return mode


def _text(given: Json, name: str) -> str:
    value = given.get(name)
    if value is not None and not isinstance(value, str):
        raise BadRequest(f"{name} must be text.", param=name)
    return value or ""


def _images(given: Json) -> list[str]:
    images = given.get("images") or []
    if not isinstance(images, list) or not all(isinstance(url, str) for url in images):
        raise BadRequest("images must be a list of data: or https: addresses.", param="images")
    if not all(url.startswith(("data:image/", "https://")) for url in images):
        raise BadRequest("An image must be a data: or https: address.", param="images")
    return images
