"""Translates a `generateContent` request to a chat request, for providers that do not speak Gemini."""

from __future__ import annotations

from llmproxy.core.chat import Chat, Json
from llmproxy.core.dialect import Encoder
from llmproxy.core.errors import BadRequest
from llmproxy.core.places import Places
from llmproxy.wire.tool_names import ChatToolNames

from .contents import Messages
from .encode_reply import Reply
from .fields import Fields
from .generation import NAMES, declared_names, settings, shows_thoughts, tools
from .shape import check_generate


def as_chat(chat: Chat, *, as_list: bool = False) -> Chat:
    """Raises BadRequest for requests that no other provider can answer."""
    check_generate(chat.body)
    names = ChatToolNames(declared_names(chat.body.get("tools")))
    places = Places(NAMES)
    body, lost, shown = _translated(chat.body, names, places)
    chat.trace.dropped.extend(name for name in dict.fromkeys(lost) if name not in chat.trace.dropped)
    body["model"] = chat.model
    if chat.stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}

    def encoder() -> Encoder:
        return Reply(
            id=chat.trace.id, model=chat.model, stream=chat.stream, thoughts=shown, as_list=as_list, names=names
        )

    return Chat(
        body, chat.model, "chat", None, chat.trace, chat.headers, streaming=chat.stream, encoder=encoder, places=places
    )


def _translated(given: Json, names: ChatToolNames, places: Places) -> tuple[Json, list[str], bool]:
    """Returns the body, the names of dropped members, and whether thoughts are shown."""
    fields, lost = Fields(given), list[str]()
    fields.take("model")
    if fields.take("cachedContent"):
        text = "`cachedContent` is known to Gemini only, and this model is another provider's."
        raise BadRequest(text, param="cachedContent", code="unsupported_parameter")
    talk = Messages(names, places)
    talk.instruct(fields.take("systemInstruction"))
    talk.add_all(fields.take("contents"))
    if not talk.messages:
        raise BadRequest("`contents` hold nothing that could be answered.", param="contents", code="invalid_value")
    config = fields.take("generationConfig")
    body = {
        "messages": talk.messages,
        **settings(config, lost),
        **tools(fields.take("tools"), fields.take("toolConfig"), lost, names, places),
    }
    lost += [*talk.lost, *fields.left()]
    return body, lost, shows_thoughts(config)
