"""`llmproxy chat`: a conversation in the terminal, through the running gateway and the openai SDK."""

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

from llmproxy.config import Reach, reach
from llmproxy.config.addresses import is_loopback
from llmproxy.config.colour import is_coloured

from . import gateway_calls

if TYPE_CHECKING:
    from openai import OpenAI
    from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam

_GREY, _PLAIN = "\x1b[2m", "\x1b[0m"
FAILED, STOPPED = 1, 130  # exit codes


def main(given: argparse.Namespace) -> int:
    try:
        import openai  # noqa: F401
    except ImportError:
        print("llmproxy: chat needs the openai SDK: pip install 'llmproxy-gateway[chat]'", file=sys.stderr)
        return 1
    place = reach(given.base_url)
    try:
        client = _client(place.base_url, place.key or "none")
    except ImportError as error:  # httpx needs an extra for SOCKS
        print(f"llmproxy: the way to {place.base_url} leads through a SOCKS proxy: {error}", file=sys.stderr)
        return 1
    except ValueError as error:  # a proxy that httpx does not know
        print(f"llmproxy: the proxy in the environment cannot be used: {str(error).partition(' ')[0]}", file=sys.stderr)
        return 1
    try:
        model = given.model or _default(place)
    except gateway_calls.FAILURES as error:
        print(f"llmproxy: {gateway_calls.explained(place, error)}", file=sys.stderr)
        return 1
    with client:
        talk = Talk(client, model, _beginning(given.system))
        return talk.ask(given.once) if given.once is not None else _converse(talk)


def _default(place: Reach) -> str:
    """The gateway's `default_model`, else the first model in its list; empty if it has none."""
    if configured := str(gateway_calls.get(place, "/../api/info").get("default_model") or ""):
        return configured
    return next((str(entry.get("id")) for entry in gateway_calls.models(place)), "")


def _client(base_url: str, key: str) -> OpenAI:
    """No proxy is used for this machine itself, whatever the environment says."""
    from openai import DefaultHttpxClient, OpenAI

    trusting = not is_loopback(urlsplit(base_url).hostname or "")
    http = DefaultHttpxClient(trust_env=trusting, base_url=base_url)
    return OpenAI(base_url=base_url, api_key=key, max_retries=0, http_client=http)


def _beginning(system: str) -> list[ChatCompletionMessageParam]:
    return [{"role": "system", "content": system}] if system else []


def _converse(talk: Talk) -> int:
    """Sends each line of the input. The exit code is 1 if an answer failed, but not if it was stopped with Ctrl-C."""
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  # gives input() its history and its editing
    prompt = "> " if sys.stdin.isatty() else ""
    if prompt:
        print(f"{talk.model}; Ctrl-C cancels an answer, Ctrl-D quits, /help lists the commands", file=sys.stderr)
    failed = 0
    while True:
        try:
            line = input(prompt).strip()
        except (EOFError, KeyboardInterrupt):
            if prompt:
                print()
            return failed
        if line in ("/exit", "/quit"):
            return failed
        if prompt and line.startswith("/"):
            _command(talk, line)
        elif line:
            failed = FAILED if talk.ask(line) == FAILED else failed


_HELP = "/model NAME changes the model, /clear deletes the conversation, /exit quits"


def _command(talk: Talk, line: str) -> None:
    """A line that begins with a slash is a command on a terminal; in a pipe it is a question."""
    name, _, argument = line.partition(" ")
    if name == "/model" and argument.strip():
        talk.model = argument.strip()
    elif name == "/clear":
        talk.messages[:] = [one for one in talk.messages if one["role"] == "system"]
    else:
        print(_HELP, file=sys.stderr)
        return
    print(f"{talk.model}, {len(talk.messages)} messages so far", file=sys.stderr)


@contextlib.contextmanager
def _interrupts(handler: Callable[..., None]) -> Iterator[None]:
    """Ctrl-C calls the handler in this block. It raises nothing: an exception would close the stream before the server is told."""
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@dataclass(slots=True)
class Talk:
    """One conversation: earlier turns are sent with every question."""

    client: OpenAI
    model: str
    messages: list[ChatCompletionMessageParam] = field(default_factory=list)

    def ask(self, question: str) -> int:
        """Prints the answer as it arrives. Returns 0, FAILED or STOPPED; a question without an answer is removed again."""
        import openai

        self.messages.append({"role": "user", "content": question})
        # We choose the ID, so that the request can be cancelled in every phase, also before its answer has begun.
        request_id = f"chat-{uuid.uuid4().hex}"
        heard: list[str] = []
        code = FAILED
        try:
            code = self._listen(request_id, heard)
        except openai.APIError as error:
            print(f"\nllmproxy: {self._explained(error)}", file=sys.stderr)
        print(flush=True)
        self._remember("".join(heard))
        return code

    def _listen(self, request_id: str, heard: list[str]) -> int:
        """Prints the answer as it arrives, and adds it to `heard`. Returns 0 or STOPPED."""
        import openai

        stopped: list[str] = []  # the final state, printed after the words that were still arriving

        def stop(*_: object) -> None:
            if not stopped:
                stopped.append(self._cancel(request_id))

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
        if stopped:
            print(f"\n[{stopped[0]}]", file=sys.stderr)
        return STOPPED if stopped else 0

    def _cancel(self, request_id: str) -> str:
        """Cancels the request on the server. This works through any proxy; closing our connection might not."""
        import openai

        # A client of its own: the other one may hold its lock at the moment of the signal.
        own = _client(str(self.client.base_url), self.client.api_key)
        try:
            with own:
                result: Any = own.post(f"/requests/{request_id}/cancel", cast_to=object)
        except openai.APIError:
            return "stopped here"
        state = result.get("state", "cancelled") if isinstance(result, dict) else "cancelled"
        return f"{state} on the server"

    def _explained(self, error: Exception) -> str:
        import openai

        if isinstance(error, openai.APIConnectionError):
            return gateway_calls.not_there(str(self.client.base_url).rstrip("/"), error.__cause__ or error)
        if isinstance(error, openai.AuthenticationError):
            return f"{_error_text(error)} {gateway_calls.KEY_HINT}"
        return _error_text(error)

    def _remember(self, answer: str) -> None:
        if answer:
            self.messages.append({"role": "assistant", "content": answer})
        else:
            self.messages.pop()


def _shown(chunk: ChatCompletionChunk) -> str:
    """Prints the text of the chunk and returns it; reasoning is only shown on a terminal, in grey if colours are allowed."""
    if not chunk.choices:
        return ""
    delta = chunk.choices[0].delta
    thought = getattr(delta, "reasoning_content", None)
    if thought and sys.stderr.isatty():
        grey, plain = (_GREY, _PLAIN) if is_coloured(sys.stderr) else ("", "")
        print(f"{grey}{thought}{plain}", end="", file=sys.stderr, flush=True)
    print(delta.content or "", end="", flush=True)
    return delta.content or ""


def _error_text(error: Exception) -> str:
    """The gateway's own message, if there is one."""
    body = getattr(error, "body", None)
    if isinstance(body, dict) and isinstance(body.get("message"), str):
        return str(body["message"])
    return str(error)
