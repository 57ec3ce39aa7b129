"""`llmproxy chat`: a conversation in the terminal, through the running gateway and the real openai SDK."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from llmproxy.config import reach
from llmproxy.config.addresses import is_loopback

if TYPE_CHECKING:
    from openai import OpenAI
    from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam

_GREY, _PLAIN = "\x1b[2m", "\x1b[0m"


def main(given: argparse.Namespace) -> int:
    try:
        import openai  # noqa: F401
    except ImportError:
        print("llmproxy: chat needs the openai SDK: pip install 'llmproxy[chat]'", file=sys.stderr)
        return 1
    place = reach(given.base_url)
    try:
        client = _client(place.base_url, place.key or "none")
    except ImportError as error:  # httpx has an extra for SOCKS
        print(f"llmproxy: the way to {place.base_url} leads through a SOCKS proxy: {error}", file=sys.stderr)
        return 1
    except ValueError as error:  # a proxy that httpx does not know
        print(f"llmproxy: the proxy in the environment cannot be used: {str(error).partition(' ')[0]}", file=sys.stderr)
        return 1
    with client:
        talk = Talk(client, given.model, _beginning(given.system))
        if given.once is not None:
            return 0 if talk.ask(given.once) else 1
        _converse(talk)
    return 0


def _client(base_url: str, key: str) -> OpenAI:
    """This machine itself is never asked through a proxy, whatever the environment says."""
    from openai import DefaultHttpxClient, OpenAI

    trusting = not is_loopback(urlsplit(base_url).hostname or "")
    http = DefaultHttpxClient(trust_env=trusting, base_url=base_url)
    return OpenAI(base_url=base_url, api_key=key, max_retries=0, http_client=http)


def _beginning(system: str) -> list[ChatCompletionMessageParam]:
    return [{"role": "system", "content": system}] if system else []


def _converse(talk: Talk) -> None:
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  # gives input() its history and its editing
    print(f"{talk.model or 'the default model'}; Ctrl-C stops an answer, Ctrl-D ends", file=sys.stderr)
    while True:
        try:
            question = input("> ")
        except (EOFError, KeyboardInterrupt):
            print()
            return
        if question.strip():
            talk.ask(question)


@contextlib.contextmanager
def _interrupts(handler: Callable[..., None]) -> Iterator[None]:
    """Ctrl-C calls the handler in here. It raises nothing: an exception would tear the stream down before the server is told."""
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@dataclass(slots=True)
class Talk:
    """One conversation: what was said so far goes along with every question."""

    client: OpenAI
    model: str
    messages: list[ChatCompletionMessageParam] = field(default_factory=list)

    def ask(self, question: str) -> bool:
        """Prints the answer as it comes. Whether it came whole; a question without any answer is taken back."""
        import openai

        self.messages.append({"role": "user", "content": question})
        # Named by us, so that it can be cancelled in every phase, before any answer has begun.
        request_id = f"chat-{uuid.uuid4().hex}"
        heard: list[str] = []
        whole = False
        try:
            whole = self._listen(request_id, heard)
        except openai.APIError as error:
            print(f"\nllmproxy: {_said(error)}", file=sys.stderr)
        print(flush=True)
        self._remember("".join(heard))
        return whole

    def _listen(self, request_id: str, heard: list[str]) -> bool:
        """Prints the answer as it comes, and notes it in `heard`. Whether it was left to end by itself."""
        import openai

        stopped: list[bool] = []

        def stop(*_: object) -> None:
            if not stopped:
                stopped.append(True)
                self._cancel(request_id)

        with _interrupts(stop):
            try:
                streaming = self.client.chat.completions.create(
                    model=self.model,
                    messages=self.messages,
                    stream=True,
                    extra_headers={"X-Request-ID": request_id},
                )
                with streaming:
                    heard.extend(map(_shown, streaming))
            except openai.APIError:
                if not stopped:
                    raise
        return not stopped

    def _cancel(self, request_id: str) -> None:
        """On the server, too: closing our connection would do, but saying it is exact and works through any proxy."""
        import openai

        # A client of its own: the other one may be holding its lock just where the signal came in.
        own = _client(str(self.client.base_url), self.client.api_key)
        try:
            with own:
                said: Any = own.post(f"/requests/{request_id}/cancel", cast_to=object)
        except openai.APIError:
            print("\n[stopped here]", file=sys.stderr)
        else:
            state = said.get("state", "cancelled") if isinstance(said, dict) else "cancelled"
            print(f"\n[{state} on the server]", file=sys.stderr)

    def _remember(self, answer: str) -> None:
        if answer:
            self.messages.append({"role": "assistant", "content": answer})
        else:
            self.messages.pop()


def _shown(chunk: ChatCompletionChunk) -> str:
    """Prints what the chunk says and gives it back; what the model thinks is only shown, grey, on a terminal."""
    if not chunk.choices:
        return ""
    delta = chunk.choices[0].delta
    thought = getattr(delta, "reasoning_content", None)
    if thought and sys.stderr.isatty():
        print(f"{_GREY}{thought}{_PLAIN}", end="", file=sys.stderr, flush=True)
    print(delta.content or "", end="", flush=True)
    return delta.content or ""


def _said(error: Exception) -> str:
    """The gateway's own message where there is one."""
    body = getattr(error, "body", None)
    if isinstance(body, dict) and isinstance(body.get("message"), str):
        return str(body["message"])
    cause = error.__cause__
    return f"{error}{f' ({cause})' if cause else ''}"
