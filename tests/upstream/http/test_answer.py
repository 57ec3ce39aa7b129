"""One response out of bytes: however they are cut, and whatever is wrong with them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.core.errors import Dropped, Malformed, Truncated
from llmproxy.upstream.http.response_parser import MAX_HEAD, MAX_INTERIM, Answer

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"

WHOLE = {
    "length": (OK + b"Content-Length: 5\r\nX-A: 1\r\n\r\nhello", b"hello"),
    "chunks": (CHUNKED + b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", b"hello"),
    "extensions": (CHUNKED + b'5;a=b;c="d"\r\nhello\r\n0;last\r\n\r\n', b"hello"),
    "trailers": (CHUNKED + b"5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n", b"hello"),
    "interim": (b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nhi", b"hi"),
    "nothing": (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    "old": (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", b"hi"),
}


def fed(*pieces: bytes, bodiless: bool = False) -> Answer:
    answer = Answer(bodiless=bodiless)
    for piece in pieces:
        answer.feed(piece)
    return answer


@pytest.mark.parametrize("name", WHOLE)
def test_an_answer_is_the_same_wherever_it_is_split(name: str) -> None:
    raw, body = WHOLE[name]
    whole = fed(raw)
    for cut in range(1, len(raw)):
        answer = fed(raw[:cut], raw[cut:])
        assert (answer.status, answer.headers, answer.keep_alive) == (whole.status, whole.headers, whole.keep_alive)
        assert answer.complete
        assert b"".join(answer.pieces) == body


@given(name=st.sampled_from(sorted(WHOLE)), data=st.data())
def test_an_answer_is_the_same_in_any_number_of_parts(name: str, data: st.DataObject) -> None:
    raw, body = WHOLE[name]
    cuts = sorted(data.draw(st.sets(st.integers(1, len(raw) - 1))))
    answer = fed(*(raw[start:end] for start, end in pairwise([0, *cuts, len(raw)])))
    assert answer.complete
    assert b"".join(answer.pieces) == body


def test_no_proper_beginning_of_an_answer_is_complete() -> None:
    for raw, _ in WHOLE.values():
        assert not any(fed(raw[:cut]).complete for cut in range(len(raw)))


def test_names_are_lower_case_and_repeated_fields_are_joined() -> None:
    answer = fed(OK + b"X-A: 1\r\nx-a: 2\r\nEmpty:\r\nContent-Length: 0\r\n\r\n")
    assert answer.headers == {"x-a": "1, 2", "empty": "", "content-length": "0"}


def test_cookies_are_dropped() -> None:
    assert "set-cookie" not in fed(OK + b"Set-Cookie: a=b\r\nContent-Length: 0\r\n\r\n").headers


def test_trailers_are_not_headers() -> None:
    assert list(fed(WHOLE["trailers"][0]).headers) == ["transfer-encoding"]


def test_the_fields_of_an_interim_response_are_not_those_of_the_answer() -> None:
    assert "link" not in fed(WHOLE["interim"][0]).headers


@pytest.mark.parametrize("status", [204, 304])
def test_some_statuses_have_no_body_whatever_their_length_says(status: int) -> None:
    assert fed(b"HTTP/1.1 %d X\r\nContent-Length: 5\r\n\r\n" % status).complete


def test_an_answer_to_head_ends_with_its_head() -> None:
    answer = fed(OK + b"Content-Length: 5\r\n\r\n", bodiless=True)
    assert answer.complete
    assert answer.keep_alive


KEEPING = {
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n": True,
    b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n": False,
    b"HTTP/1.1 200 OK\r\nConnection: foo, Close\r\nContent-Length: 0\r\n\r\n": False,
    b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n": False,
    b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n": True,
    b"HTTP/1.1 200 OK\r\n\r\n": False,
}


@pytest.mark.parametrize("raw", KEEPING)
def test_whether_the_connection_may_be_kept(raw: bytes) -> None:
    assert fed(raw).keep_alive is KEEPING[raw]


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("more", [b"x", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"])
def test_what_follows_a_complete_answer_is_not_read_and_ends_the_connection(more: bytes, together: bool) -> None:
    raw = OK + b"Content-Length: 2\r\n\r\nhi"
    answer = fed(raw + more) if together else fed(raw, more)
    assert answer.complete
    assert answer.pieces == [b"hi"]
    assert not answer.keep_alive


WRONG = {
    "not HTTP": b"SSH-2.0-OpenSSH_9.2\r\n",
    "no status": b"HTTP/1.1 abc\r\n\r\n",
    "status of four digits": b"HTTP/1.1 2000 OK\r\n\r\n",
    "space before the colon": OK + b"A : b\r\n\r\n",
    "folded line": OK + b"A: b\r\n c\r\n\r\n",
    "bare LF": b"HTTP/1.1 200 OK\nContent-Length: 1\n\na",
    "NUL": OK + b"A: \0\r\n\r\n",
    "length and chunks": OK + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    "chunks and length": OK + b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
    "two lengths": OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "negative length": OK + b"Content-Length: -1\r\n\r\n",
    "endless length": OK + b"Content-Length: 99999999999999999999999\r\n\r\n",
    "chunk size not a number": CHUNKED + b"xyz\r\n",
    "chunk size without end": CHUNKED + b"fffffffffffffffff\r\n",
    "chunk longer than said": CHUNKED + b"2\r\nhello\r\n",
    "compressed transfer": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
    "brotli": OK + b"Content-Encoding: br\r\nContent-Length: 1\r\n\r\n",
    "zstd": OK + b"Content-Encoding: zstd\r\nContent-Length: 1\r\n\r\n",
    "two codings": OK + b"Content-Encoding: gzip, gzip\r\nContent-Length: 1\r\n\r\n",
    "upgrade": b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
    "upgrade without a name": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_not_allowed_is_malformed(name: str) -> None:
    with pytest.raises(Malformed):
        fed(WRONG[name])


def test_a_body_where_there_is_none_is_malformed_or_ends_the_connection() -> None:
    assert not fed(OK + b"Content-Length: 5\r\n\r\nhello", bodiless=True).keep_alive


def test_good_pieces_before_the_fault_are_kept() -> None:
    answer = Answer()
    with pytest.raises(Malformed):
        answer.feed(CHUNKED + b"2\r\nhe\r\nnonsense")
    assert answer.pieces == [b"he"]


INTERIM = b"HTTP/1.1 103 Early Hints\r\n\r\n"


def test_interim_responses_are_skipped_up_to_a_bound() -> None:
    assert fed(INTERIM * MAX_INTERIM + OK + b"Content-Length: 0\r\n\r\n").complete
    with pytest.raises(Malformed):
        fed(INTERIM * (MAX_INTERIM + 1))


ENDLESS = {
    "one header": (OK + b"A: ", b"a"),
    "many headers": (OK, b"A: b\r\n"),
    "the reason": (b"HTTP/1.1 200 ", b"a"),
    "chunk extension": (CHUNKED + b"5;", b"a"),
    "one trailer": (CHUNKED + b"0\r\nA: ", b"a"),
    "many trailers": (CHUNKED + b"0\r\n", b"A: b\r\n"),
}


@pytest.mark.parametrize("name", ENDLESS)
@pytest.mark.parametrize("size", [512, 4 * MAX_HEAD])
def test_nothing_but_the_body_may_grow_without_end(name: str, size: int) -> None:
    start, more = ENDLESS[name]
    pieces = [more * (size // len(more))] * (2 * MAX_HEAD // size + 1)
    with pytest.raises(Malformed):
        fed(start, *pieces)


def test_a_whole_head_that_is_too_long_is_malformed() -> None:
    with pytest.raises(Malformed):
        fed(OK + b"A: " + b"a" * MAX_HEAD + b"\r\nContent-Length: 2\r\n\r\nhi")


def test_a_long_body_at_once_is_no_long_head() -> None:
    assert fed(OK + b"Content-Length: 200000\r\n\r\n" + b"a" * 200_000).complete


def test_a_head_of_twenty_kilobytes_passes() -> None:
    value = "a" * 20_000
    answer = fed(OK + f"X-Long: {value}\r\nContent-Length: 0\r\n\r\n".encode())
    assert answer.headers["x-long"] == value


def test_a_body_longer_than_any_head_passes() -> None:
    answer = fed(OK + b"\r\n", *[b"a" * 1000] * 200)
    assert len(b"".join(answer.pieces)) == 200_000


RESET = ConnectionResetError()


def test_a_connection_lost_before_the_head_is_dropped() -> None:
    for raw in (b"", b"HTTP/1.1 20", OK + b"A: b\r\n", INTERIM):
        assert isinstance(fed(raw).lost(None), Dropped)


def test_a_body_cut_short_is_truncated() -> None:
    for raw in (OK + b"Content-Length: 5\r\n\r\nhell", CHUNKED + b"5\r\nhello\r\n", CHUNKED + b"5\r\nhello\r\n0\r\n"):
        assert isinstance(fed(raw).lost(None), Truncated)


def test_a_body_may_end_with_the_connection_if_nothing_else_says_its_end() -> None:
    for head in (OK + b"\r\n", b"HTTP/1.0 200 OK\r\n\r\n", OK + b"Transfer-Encoding: identity\r\n\r\n"):
        answer = fed(head + b"hello")
        assert answer.lost(None) is None
        assert answer.complete
        assert not answer.keep_alive


def test_a_reset_is_no_end_of_a_body() -> None:
    assert isinstance(fed(OK + b"\r\nhello").lost(RESET), Truncated)


def test_a_complete_answer_cannot_be_lost() -> None:
    assert fed(OK + b"Content-Length: 2\r\n\r\nhi").lost(RESET) is None
