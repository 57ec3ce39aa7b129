"""An answer in a thread: question and answer are kept as they come, and the thread gets a title."""

from __future__ import annotations

from aiohttp import web

from llmproxy.asking import chat_body, question
from llmproxy.chat import Json
from llmproxy.errors import BadRequest
from llmproxy.store import messages, threads
from llmproxy.store.messages import Ask

from . import native
from .keys import CURRENT, REQUEST_ID, STORE, caller, owner

TITLE_MODEL = "title"  # the alias that thinks of titles, where the config has one
TITLE_SECONDS = 30.0
TITLE_CHARACTERS = 2000  # of the question, as far as a title needs it
TITLE_PROMPT = (
    "Give this conversation a title of two to six words in the language of the question. "
    "Answer with the title only: no quotes, no full stop."
)


async def ask(request: web.Request, thread_id: str, given: Json) -> web.StreamResponse:
    """Asks in a thread, and streams the answer. What is wrong with the question is said by status."""
    current, store = request.app[CURRENT], request.app[STORE]()
    thread = await store.read(threads.thread, owner(request), thread_id)
    what = _what(given, request[REQUEST_ID], store.process)
    said = [{"role": "user", "content": what.content or "-"}]
    chat = native.checked_chat(request, chat_body(given, said, current.config, thread))
    gateway, key = current.gateway, caller(request)
    record = ThreadRecord(store, owner(request), thread_id, what, chat, Titles(request, gateway, key))
    return await native.answer(
        request, chat, record, lambda chat: gateway.open(chat, gateway.route(chat, key)), "detach"
    )


def _what(given: Json, request_id: str, process: str) -> Ask:
    """One of three: a question, another answer to one, the rest of an answer."""
    fixed = {"request_id": request_id, "answer_id": messages.new_id(), "process": process}
    for name, member in (("answer_to", "answer_to"), ("continue", "going_on")):
        if (id := given.get(name)) is not None:
            if not isinstance(id, str) or given.get("content") is not None:
                raise BadRequest(f"{name} is a message's id, in place of content.", param=name)
            return Ask(**fixed, **{member: id})
    parent_id = given.get("parent_id")
    if not isinstance(parent_id, (str, type(None))):
        raise BadRequest("parent_id is a message's id or null.", param="parent_id")
    return Ask(**fixed, content=question(given), follows_head="parent_id" not in given, parent_id=parent_id)
