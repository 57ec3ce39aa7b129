"""The APIs that a client may use: how each builds requests, and reads and validates replies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from ..check_messages import check_message, check_message_error, check_message_stream
from ..check_responses import check_response, check_response_stream
from ..event_order import Violation
from ..validate import check_error
from .client_view import ClientView, view_of_messages, view_of_responses
from .events import renamed
from .harness import Failed, Harness, Seen, expect
from .scripted_reply import Json

PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SCHEMA: Json = {
    "type": "object",
    "properties": {"at": {"type": "string", "description": "a place or a lighthouse"}},
    "required": ["at"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: its bytes, and how a client understands them."""

    api: ClientApi
    seen: Seen

    @property
    def view(self) -> ClientView:
        try:
            return self.api.read(self.seen.body, stream=self.seen.is_stream)
        except (ValueError, AttributeError, TypeError, KeyError, IndexError) as error:
            raise Failed(f"unreadable ({type(error).__name__}): {self.seen.body[:80]!r}") from error

    @property
    def shows_failure(self) -> bool:
        """Whether a client can know that the answer is not complete."""
        return self.seen.status >= 400 or self.seen.broken or self.view.error is not None

    def violations(self) -> list[Violation]:
        if self.seen.is_stream:
            return self.api.check_stream(renamed(self.seen.body))
        return self.api.check_answer(self.seen.body)


class ReadReply(Protocol):
    def __call__(self, body: bytes, *, stream: bool) -> ClientView: ...


@dataclass(frozen=True, slots=True)
class ClientApi:
    """One API. hello: the members that a minimal request has. build: makes further members."""

    name: str
    path: str
    hello: Mapping[str, Any]
    build: RequestBuilder
    read: ReadReply
    check_stream: Callable[[bytes], list[Violation]]
    check_answer: Callable[[bytes], list[Violation]]
    check_error: Callable[[bytes, int], list[Violation]]
    names_optional: bool  # clients do not need event names
    usage_optional: bool = False

    async def ask(self, harness: Harness, *, stream: bool = True, **members: Any) -> Reply:
        """Sends a request. Raises Failed if the reply is not an answer."""
        reply = await self.try_to_ask(harness, stream=stream, **members)
        seen = reply.seen
        expect(seen.status == 200, f"status {seen.status}: {seen.body[:140]!r}")
        expect(seen.is_stream == stream, f"streamed is {seen.is_stream}: {seen.content_type}")
        expect(reply.view.error is None, f"an error: {reply.view.error}")
        return reply

    async def try_to_ask(self, harness: Harness, *, stream: bool = True, **members: Any) -> Reply:
        streamed = {"stream": True} if stream else {}
        return Reply(self, await harness.ask(path=self.path, **{**self.hello, **members, **streamed}))


class RequestBuilder(Protocol):
    """Makes members of a request that every API has, in its own form."""

    def system(self, text: str) -> Json: ...
    def limits(self, tokens: int, top_p: float) -> Json: ...
    def picture(self) -> Json: ...
    def document(self, data: str) -> Json: ...
    def tools(self, *names: str) -> Json: ...
    def must_call(self, name: str | None) -> Json: ...
    def turn(self, content: Sequence[Json], results: Mapping[str, Any]) -> Json: ...
    def call(self, id: str, name: str, arguments: Json) -> Json: ...
    def picture_result(self) -> Any: ...
    def schema(self) -> Json: ...
    def effort(self, effort: str) -> Json: ...


class _InMessages:
    def system(self, text: str) -> Json:
        return {"system": [{"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}]}

    def limits(self, tokens: int, top_p: float) -> Json:
        return {"max_tokens": tokens, "top_p": top_p}

    def _asked(self, *blocks: Json) -> Json:
        return {"messages": [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, *blocks]}]}

    def _image(self) -> Json:
        return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PICTURE}}

    def picture(self) -> Json:
        return self._asked(self._image())

    def document(self, data: str) -> Json:
        source = {"type": "base64", "media_type": "application/pdf", "data": data}
        return self._asked({"type": "document", "source": source, "title": "a.pdf"})

    def tools(self, *names: str) -> Json:
        return {"tools": [{"name": name, "description": f"To {name}.", "input_schema": SCHEMA} for name in names]}

    def must_call(self, name: str | None) -> Json:
        return {"tool_choice": {"type": "tool", "name": name} if name else {"type": "any"}}

    def turn(self, content: Sequence[Json], results: Mapping[str, Any]) -> Json:
        given = [{"type": "tool_result", "tool_use_id": id, "content": result} for id, result in results.items()]
        more = [{"type": "text", "text": "Go on."}]
        turns = [
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": list(content)},
            {"role": "user", "content": [*given, *more]},
        ]
        return {"messages": turns}

    def call(self, id: str, name: str, arguments: Json) -> Json:
        return {"type": "tool_use", "id": id, "name": name, "input": arguments}

    def picture_result(self) -> Any:
        return [{"type": "text", "text": "a lamp"}, self._image()]

    def schema(self) -> Json:
        return {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}

    def effort(self, effort: str) -> Json:
        return {"thinking": {"type": "adaptive"}, "output_config": {"effort": effort}}


class _InResponses:
    def system(self, text: str) -> Json:
        return {"instructions": text}

    def limits(self, tokens: int, top_p: float) -> Json:
        return {"max_output_tokens": tokens, "top_p": top_p}

    def _asked(self, part: Json) -> Json:
        return {"input": [{"role": "user", "content": [{"type": "input_text", "text": "What is it?"}, part]}]}

    def _image(self) -> Json:
        return {"type": "input_image", "image_url": f"data:image/png;base64,{PICTURE}", "detail": "auto"}

    def picture(self) -> Json:
        return self._asked(self._image())

    def document(self, data: str) -> Json:
        url = f"data:application/pdf;base64,{data}"
        return self._asked({"type": "input_file", "filename": "a.pdf", "file_data": url})

    def tools(self, *names: str) -> Json:
        return {
            "tools": [
                {"type": "function", "name": name, "description": f"To {name}.", "parameters": SCHEMA} for name in names
            ]
        }

    def must_call(self, name: str | None) -> Json:
        return {"tool_choice": {"type": "function", "name": name} if name else "required"}

    def turn(self, content: Sequence[Json], results: Mapping[str, Any]) -> Json:
        given = [{"type": "function_call_output", "call_id": id, "output": result} for id, result in results.items()]
        more = {"role": "user", "content": "Go on."}
        return {"input": [{"role": "user", "content": "Hello"}, *content, *given, more], "store": False}

    def call(self, id: str, name: str, arguments: Json) -> Json:
        text = orjson.dumps(arguments).decode()
        return {"type": "function_call", "call_id": id, "name": name, "arguments": text}

    def picture_result(self) -> Any:
        return [{"type": "input_text", "text": "a lamp"}, self._image()]

    def schema(self) -> Json:
        return {"text": {"format": {"type": "json_schema", "name": "place", "schema": SCHEMA, "strict": True}}}

    def effort(self, effort: str) -> Json:
        return {"reasoning": {"effort": effort, "summary": "auto"}}


def _openai_error(body: bytes, status: int) -> list[Violation]:
    del status
    return check_error(body)


MESSAGES = ClientApi(
    "messages",
    "/v1/messages",
    {"max_tokens": 1000, "messages": [{"role": "user", "content": "Hello"}]},
    _InMessages(),
    view_of_messages,
    check_message_stream,
    check_message,
    check_message_error,
    names_optional=False,
)
RESPONSES = ClientApi(
    "responses",
    "/v1/responses",
    {"input": "Hello"},
    _InResponses(),
    view_of_responses,
    check_response_stream,
    check_response,
    _openai_error,
    names_optional=True,
)
