"""The contract of adapters as tests: inherit the class in your own test module.

    class TestMine(AdapterContract):
        streams = [Sample("text", asks("Hello", stream=True), b"data: ...", text="Hi", usage=(3, 1))]
        answers = [Sample("text", asks("Hello"), b'{"choices": ...}', text="Hi")]
        faults = [Fault(429, b'{"error": ...}', code="rate_limit_exceeded", retry_here=True)]

        def adapter(self) -> Adapter:
            return Mine(Account("mine", "https://api.example.com/v1", SECRET))

pytest collects the subclass (its name must begin with `Test`) and runs each test once for every sample.
"""

from __future__ import annotations

import re
import socket
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar
from unittest import mock

import orjson

from llmproxy.core.adapter import Adapter, ListsModels
from llmproxy.core.chat import whole
from llmproxy.core.errors import UpstreamError

from .answer import Answer
from .cases import SECRET, Fault, Sample, asks, drain, listed, read_as, violations_of, without_invented_ids
from .validate import check_error

__all__ = ["SECRET", "AdapterContract", "Fault", "Sample", "asks"]

_IN_BAND = b'data: {"error": {"message": "it broke", "code": 500}}\n\n'
_PAGES = (b"<html><body>502 Bad Gateway</body></html>", b"", b"\xff\xfe", b"[]", b"null", b'"text"', b'{"error": null}')


class AdapterContract(ABC):
    """Inherit it, and define `adapter` and the samples."""

    streams: ClassVar[Sequence[Sample]] = ()
    answers: ClassVar[Sequence[Sample]] = ()
    faults: ClassVar[Sequence[Fault]] = ()
    models_reply: ClassVar[bytes | None] = None
    model_ids: ClassVar[Sequence[str]] = ()

    @abstractmethod
    def adapter(self) -> Adapter:
        """A new adapter whose API key is SECRET."""

    def pytest_generate_tests(self, metafunc: Any) -> None:
        cases: dict[str, Sequence[Any]] = {
            "sample": [*self.streams, *self.answers],
            "stream": [one for one in (*self.streams, *self.answers) if one.streamed],
            "fault": self.faults,
        }
        for name, values in cases.items():
            if name in metafunc.fixturenames:
                ids = [getattr(one, "name", None) or f"{one.status} {one.code}" for one in values]
                metafunc.parametrize(name, values, ids=ids)

    # Requests

    def test_a_request_is_ready_to_be_sent(self, sample: Sample) -> None:
        outgoing = self.adapter().request(sample.chat)
        assert outgoing.url.startswith(("http://", "https://")), outgoing.url
        assert isinstance(orjson.loads(whole(outgoing.body)), dict)
        assert outgoing.method == "POST"

    def test_a_question_is_not_edited(self, sample: Sample) -> None:
        chat = sample.chat
        self.adapter().request(chat)
        assert chat.body == sample.ask

    def test_the_key_is_in_a_header_and_nowhere_else(self, sample: Sample) -> None:
        adapter = self.adapter()
        outgoing = adapter.request(sample.chat)
        assert SECRET not in outgoing.url, "a key in a URL is kept by logs"
        assert SECRET.encode() not in whole(outgoing.body)
        assert SECRET not in repr(outgoing) + repr(adapter.account)

    def test_an_unknown_field_is_carried_or_told(self, sample: Sample) -> None:
        chat = replace(sample, ask={**sample.ask, "x_unknown": {"of": "tomorrow"}}).chat
        outgoing = self.adapter().request(chat)
        assert b"x_unknown" in whole(outgoing.body) or "x_unknown" in chat.trace.dropped, "dropped without a trace"

    # Answers

    def test_an_answer_says_what_the_provider_said(self, sample: Sample) -> None:
        answer = self._answer(sample, [sample.reply])
        choice = answer.first
        assert (choice.text, choice.reasoning, choice.finish) == (sample.text, sample.reasoning, sample.finish)
        assert [(call.name, orjson.loads(call.arguments or "{}")) for call in choice.tool_calls] == list(sample.tools)
        assert all(call.id for call in choice.tool_calls), "a tool call without an id"
        urls = [one["url_citation"]["url"] for one in choice.annotations]
        assert urls == list(sample.cites)

    def test_an_answer_is_shaped_as_openai_shapes_it(self, sample: Sample) -> None:
        assert listed(violations_of(sample, self._frames(sample, [sample.reply]))) == ""

    def test_usage_is_told_if_asked_for(self, sample: Sample) -> None:
        asking = {"stream_options": {"include_usage": True}} if sample.ask.get("stream") else {}
        asked = replace(sample, ask={**sample.ask, **asking})
        out = self._frames(asked, [sample.reply])
        assert listed(violations_of(asked, out)) == ""
        usage = read_as(asked, out).usage
        counts = (usage["prompt_tokens"], usage["completion_tokens"]) if usage else None
        assert counts == sample.usage

    def test_usage_is_known_to_the_gateway_in_any_case(self, sample: Sample) -> None:
        translator = self.adapter().translator(sample.chat)
        drain(translator, [sample.reply])
        usage = translator.usage
        assert (usage and (usage.prompt, usage.completion)) == sample.usage

    def test_a_real_frame_counts_as_a_start(self, sample: Sample) -> None:
        translator = self.adapter().translator(sample.chat)
        assert not translator.started
        drain(translator, [sample.reply])
        assert translator.started

    # How the bytes are split

    def test_it_does_not_matter_where_bytes_are_cut(self, sample: Sample) -> None:
        whole = self._answer(sample, [sample.reply])
        for cut in range(1, len(sample.reply)):
            assert self._answer(sample, [sample.reply[:cut], sample.reply[cut:]]) == whole, f"cut at {cut}"

    def test_single_bytes_are_enough(self, sample: Sample) -> None:
        pieces = [bytes([byte]) for byte in sample.reply]
        assert self._answer(sample, pieces) == self._answer(sample, [sample.reply])

    def test_no_part_of_an_answer_passes_for_the_whole(self, sample: Sample) -> None:
        whole = self._answer(sample, [sample.reply]).first
        for cut in range(len(sample.reply)):
            try:
                part = self._answer(sample, [sample.reply[:cut]]).first
            except UpstreamError:
                continue
            parts = (part.text, part.reasoning, part.tool_calls, part.finish)
            assert parts == (whole.text, whole.reasoning, whole.tool_calls, whole.finish), f"cut at {cut}"

    def test_comments_are_ignored(self, stream: Sample) -> None:
        commented = b": hello\n\n" + re.sub(rb"(\r?\n\r?\n)", rb"\1: keep-alive\n\n", stream.reply)
        assert self._answer(stream, [commented]) == self._answer(stream, [stream.reply])

    def test_line_ends_may_be_of_any_kind(self, stream: Sample) -> None:
        whole = self._answer(stream, [stream.reply])
        plain = stream.reply.replace(b"\r\n", b"\n")
        for end in (b"\n", b"\r\n", b"\r"):
            assert self._answer(stream, [plain.replace(b"\n", end)]) == whole, f"line ends {end!r}"

    def test_answers_do_not_mix(self, sample: Sample) -> None:
        adapter = self.adapter()
        pair = [adapter.translator(sample.chat) for _ in range(2)]
        outs: list[list[bytes]] = [[], []]
        for byte in sample.reply:
            for translator, out in zip(pair, outs, strict=True):
                out.extend(translator.feed(bytes([byte])))
        for translator, out in zip(pair, outs, strict=True):
            out.extend(translator.finish())
        whole = without_invented_ids(self._answer(sample, [sample.reply]), sample)
        for out in outs:
            assert without_invented_ids(read_as(sample, b"".join(out)), sample) == whole

    # Errors

    def test_an_error_inside_a_success_is_an_error(self, stream: Sample) -> None:
        assert self._failure(stream, [_IN_BAND]) is not None

    def test_an_error_in_mid_stream_is_an_error(self, stream: Sample) -> None:
        first = re.match(rb".*?\n\r?\n", stream.reply, re.DOTALL)
        assert first is not None
        assert self._failure(stream, [first[0], _IN_BAND]) is not None

    def test_a_malformed_event_is_an_error(self, stream: Sample) -> None:
        assert self._failure(stream, [b'data: {"choices": [\n\n', stream.reply]) is not None

    def test_a_web_page_is_an_error(self, sample: Sample) -> None:
        assert self._failure(sample, [b"<html><body>Please log in</body></html>"]) is not None

    def test_nothing_at_all_is_an_error(self, sample: Sample) -> None:
        assert self._failure(sample, []) is not None

    def test_a_fault_is_understood(self, fault: Fault) -> None:
        error = self.adapter().error(fault.status, fault.headers, fault.body)
        assert error.status == (fault.status_seen or fault.status)
        assert error.code == fault.code
        assert fault.message in error.message
        assert error.retry_here is fault.retry_here
        assert fault.try_elsewhere is None or error.try_elsewhere is fault.try_elsewhere
        assert fault.wait is None or error.wait == fault.wait
        assert listed(check_error(error.as_bytes())) == ""

    def test_any_body_can_come_with_a_bad_status(self) -> None:
        for status in (400, 401, 404, 429, 500, 502, 503, 529):
            for body in _PAGES:
                error = self.adapter().error(status, {"content-type": "text/html"}, body)
                assert listed(check_error(error.as_bytes())) == "", (status, body)
                assert "<html>" not in error.message

    def test_a_key_that_comes_back_in_an_error_is_hidden(self) -> None:
        body = orjson.dumps({"error": {"message": f"Incorrect API key: {SECRET}", "code": 400, "status": "X"}})
        assert SECRET not in self.adapter().error(400, {}, body).as_bytes().decode()

    # Other members

    def test_models_areread_as(self) -> None:
        adapter = self.adapter()
        if self.models_reply is None or not isinstance(adapter, ListsModels):
            return
        assert adapter.models_request().method == "GET"
        assert [model.id for model in adapter.models(self.models_reply)[0]] == list(self.model_ids)

    def test_no_socket_is_opened(self, sample: Sample) -> None:
        with _no_network():
            self.adapter().request(sample.chat)
            self._frames(sample, [sample.reply])

    def _frames(self, sample: Sample, pieces: Iterable[bytes]) -> bytes:
        adapter, chat = self.adapter(), sample.chat
        adapter.request(chat)
        return drain(adapter.translator(chat), pieces)

    def _answer(self, sample: Sample, pieces: Iterable[bytes]) -> Answer:
        return without_invented_ids(read_as(sample, self._frames(sample, pieces)), sample)

    def _failure(self, sample: Sample, pieces: Iterable[bytes]) -> UpstreamError | None:
        try:
            self._frames(sample, pieces)
        except UpstreamError as error:
            return error
        return None


@contextmanager
def _no_network() -> Iterator[None]:
    def refuse(*_: object) -> None:
        raise AssertionError("an adapter opened a socket")

    with mock.patch.object(socket, "socket", refuse), mock.patch.object(socket, "create_connection", refuse):
        yield
