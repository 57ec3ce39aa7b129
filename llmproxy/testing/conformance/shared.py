"""The checks that Messages, Responses and Gemini have in common, by name and in order."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from . import shared_answers, shared_disconnects, shared_failures, shared_requests
from .client_apis import ClientApi
from .harness import Check, Harness
from .shared_cases import CASES

_NAMED: list[tuple[str, Callable[[ClientApi, Harness], Awaitable[str]]]] = [
    ("a streamed answer: every event and member", shared_answers.streamed),
    ("a whole answer: every member", shared_answers.whole),
    ("nothing is held back", shared_answers.not_held_back),
    ("the provider's usage", shared_answers.counted),
    ("the provider's usage of a whole answer", shared_answers.counted_whole),
    ("usage where the provider says none", shared_answers.uncounted),
    ("sources", shared_answers.sources),
    ("calls and results find each other", shared_answers.call_ids),
    ("reasoning goes to the client and back", shared_answers.reasoning_goes_round),
    ("a system prompt reaches the provider", shared_requests.system),
    ("an image reaches the provider", shared_requests.picture),
    ("a document reaches the provider", shared_requests.document),
    ("tools reach the provider", shared_requests.offered_tools),
    ("a forced tool", shared_requests.must_call),
    ("any tool, but one", shared_requests.must_call_any),
    ("results of tools reach the provider", shared_requests.results),
    ("an image as a result", shared_requests.picture_results),
    ("limits and sampling reach the provider", shared_requests.limits),
    ("a schema for the answer reaches the provider", shared_requests.schema),
    ("effort reaches the provider", shared_requests.effort),
    ("nothing private of the client's reaches the provider", shared_requests.private),
    ("a 400 keeps what it says", shared_failures.bad_request),
    ("a 429 keeps Retry-After", shared_failures.rate_limit),
    ("an overload", shared_failures.overloaded),
    ("a web page with a 502", shared_failures.web_page),
    ("an error object with status 200", shared_failures.disguised),
    ("an empty stream", shared_failures.empty_stream),
    ("an error for a first event has a status", shared_failures.first_event_fails),
    ("a stream that ends without its end", shared_failures.truncated),
    ("its error event", shared_failures.truncated_event),
    ("a stream that ends inside an event", shared_failures.cut_event),
    ("a stream that ends inside a call", shared_failures.cut_in_a_call),
    ("a connection that is reset", shared_failures.reset),
    ("an error in mid-stream", shared_failures.breaks),
    ("the provider is not asked again in mid-stream", shared_failures.asked_once),
    ("half an answer that was not streamed", shared_failures.half_an_answer),
    ("the client leaves in mid-stream", shared_disconnects.leaves_in_mid_stream),
    ("the client leaves a silent stream", shared_disconnects.leaves_in_silence),
    ("the client leaves before the first event", shared_disconnects.leaves_before_the_first_event),
    ("the client leaves before the headers", shared_disconnects.leaves_before_the_headers),
    ("the client leaves what is not streamed", shared_disconnects.leaves_unstreamed),
]
_OWN: list[tuple[str, Callable[[ClientApi, Harness], Awaitable[str]]]] = [
    ("bad JSON", shared_failures.bad_json),
    ("nothing asked", shared_failures.nothing_asked),
    ("an unknown model", shared_failures.unknown_model),
]


def checks(api: ClientApi) -> list[Check]:
    return [
        *(Check(api.name, case.name, case.run(api)) for case in CASES),
        *(Check(api.name, name, partial(run, api)) for name, run in _NAMED),
        *(Check(api.name, name, partial(run, api), asks=False) for name, run in _OWN),
    ]
