"""All settings as immutable dataclasses: every key of llmproxy.toml with its type and default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

OnDisconnect = Literal["cancel", "drain", "detach"]
Window = Literal["day", "week", "month", "total"]
WINDOWS: tuple[Window, ...] = ("day", "week", "month", "total")


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. `idle` is the longest gap between real frames (comments do not count); None waits for ever."""

    connect: float = 5.0
    first_frame: float | None = None  # from the request sent to the first real frame; None: as the adapter says
    answer: float = 600.0  # for an answer that is not streamed, until it is there
    idle: float = 60.0


@dataclass(frozen=True, slots=True)
class Breaker:
    """Opens after `failures` in a row, or below `success` of at least `samples` calls in `window` seconds."""

    failures: int = 5
    success: float = 0.2
    samples: int = 20
    window: float = 30.0
    cooldown: float = 5.0  # seconds until the first probe, doubled each time up to `max_cooldown`
    max_cooldown: float = 300.0


@dataclass(frozen=True, slots=True)
class Provider:
    """One `[providers.NAME]` table. What the core does not know stands in `options`, for the adapter."""

    name: str
    adapter: str
    base_url: str = ""
    api_key: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    models: tuple[str, ...] = ()  # offered even if the provider does not list them
    list_models: bool = True  # ask the provider for its list
    timeouts: Timeouts = Timeouts()
    breaker: Breaker = Breaker()
    max_concurrent: int | None = None  # further requests queue
    max_queue: int = 100  # further ones are refused with 429
    queue_wait: float = 60.0  # seconds in the queue at most
    retries: int | None = None  # instead of `[limits] retries`
    proxy: str | None = None  # None: as the environment says; empty: none
    verify_tls: bool = True
    ca_file: str | None = None
    options: Mapping[str, object] = field(default_factory=dict)
    source: str = ""  # what made it: a file, or the variable that holds its key or address


@dataclass(frozen=True, slots=True)
class When:
    """The conditions of one rule; all that are given must hold. Of `keywords` (whole words, any case) one is enough."""

    keywords: tuple[str, ...] = ()
    images: bool | None = None
    audio: bool | None = None
    files: bool | None = None
    tools: bool | None = None
    json: bool | None = None  # a response_format was asked for
    reasoning: bool | None = None  # reasoning_effort was asked for
    code: bool | None = None  # a fenced block, or what looks like source
    min_chars: int | None = None  # of the whole conversation
    max_chars: int | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """`use` this model (or alias, or chain) when the conditions hold; `why` is told in X-LLMProxy-Route."""

    use: tuple[str, ...]
    when: When = When()
    why: str = ""


@dataclass(frozen=True, slots=True)
class Alias:
    """A name that stands for others. Exactly one of the three is filled.

    chain: the first that answers. weights: a draw, then the others by weight.
    rules: the first that holds, else `default`.
    """

    name: str
    chain: tuple[str, ...] = ()
    weights: Mapping[str, float] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    default: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Mode:
    """What `mode` on the native interface stands for."""

    name: str
    model: str = ""
    system: str = ""
    parameters: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be spent in a window, in 1e-12 dollars."""

    window: Window
    limit_e12: int


@dataclass(frozen=True, slots=True)
class Key:
    """A client's key. `admin` may see and stop everybody's requests; `models` are patterns (fnmatch) it may use."""

    name: str
    secret: str = field(repr=False)
    admin: bool = False
    models: tuple[str, ...] = ("*",)
    detach: bool = True
    group: str = ""  # whose limits hold too
    rpm: int | None = None  # requests a minute
    tpm: int | None = None  # tokens a minute
    max_parallel: int | None = None  # requests at once
    budget: tuple[Budget, ...] = ()
    expires: float | None = None  # Unix seconds
    formerly: str = ""  # what earlier versions called it: by its position


@dataclass(frozen=True, slots=True)
class Group:
    """Keys that share limits and a budget: a key of it may do what both allow."""

    name: str
    rpm: int | None = None
    tpm: int | None = None
    max_parallel: int | None = None
    budget: tuple[Budget, ...] = ()


@dataclass(frozen=True, slots=True)
class Budgets:
    """How budgets are kept. timezone: in which days, weeks and months begin. slice_tokens: of one hold, at most."""

    timezone: str = "UTC"
    mode: Literal["hard", "soft", "pause"] = "hard"  # refuse; only warn; wait until there is money again
    slice_tokens: int = 256
    webhook: str = ""  # where warnings are posted


@dataclass(frozen=True, slots=True)
class Server:
    host: str = "127.0.0.1"
    port: int = 8811
    keys: tuple[Key, ...] = ()
    allowed_hosts: tuple[str, ...] = ()  # beyond loopback names and the address bound to
    allowed_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()  # addresses and networks whose X-Forwarded-* and Forwarded headers count
    max_body: int = 64 * 1024 * 1024
    max_connections: int = 2000
    max_in_flight: int = 1000
    max_lag: float = 2.0  # seconds by which the event loop may be late, all the time; 0 is any
    max_memory: int = 0  # resident bytes of one process; 0: nine tenths of the container's memory, if it has a limit
    header_timeout: float = 15.0
    body_timeout: float = 30.0
    drain_delay: float = 0.0  # seconds of not-ready while still accepting
    drain_timeout: float = 7.0  # with _LAST_WORDS of drain.py less than the 10 that container engines give
    workers: int = 1
    loop: Literal["auto", "asyncio"] = "auto"  # uvloop if it is installed, or never
    page: bool = True
    discover: bool = True  # look for model servers on this machine at the start


@dataclass(frozen=True, slots=True)
class Limits:
    deadline: float = 1800.0  # seconds a request may take in all
    retries: int = 2  # further tries of one provider
    attempts: int = 6  # over all providers of a chain
    hedge: float = 0.0  # seconds without a first frame until the next of a chain is asked too; 0 is never
    retry_budget: float = 0.2  # retries per request of the last ten seconds or so, beyond ten that are always allowed
    max_retry_after: float = 20.0  # longer waits are passed on to the client
    ping: float = 15.0  # seconds of silence in a stream until a comment is sent; 0 is never
    early_ping: float = 0.0  # seconds without a first frame until the status is committed and pinged; 0 is never
    json_whitespace: float = 0.0  # the same for answers that are not streamed
    slow_reader: float = 30.0  # seconds without a byte taken until a reader is hung up on
    on_disconnect: OnDisconnect = "cancel"
    max_detached: int = 64
    detached_seconds: float = 600.0  # a detached answer without readers is kept this long
    tape_bytes: int = 4 * 1024 * 1024
    remembered: int = 1000  # finished requests still known by id
    trace_content: int = 0  # bytes of question and of answer that a request's flight record keeps; 0 is nothing


@dataclass(frozen=True, slots=True)
class Dialects:
    """The dialects that clients may speak beside OpenAI's chat; the routes of one that is off are not there."""

    messages: bool = True
    responses: bool = True
    gemini: bool = True


@dataclass(frozen=True, slots=True)
class Routing:
    """affinity: the turns of a conversation go to the same one of several equals, whose prompt cache has it.

    hints: providers are told which requests belong together, which adds a field or a header to requests.
    """

    affinity: bool = True
    hints: bool = False


@dataclass(frozen=True, slots=True)
class Cache:
    """Requests that are the same share one answer. models: patterns of names for which that is so at temperature 0."""

    models: tuple[str, ...] = ()
    seconds: float = 300.0  # that a complete answer is kept; 0: only requests at the same time share one
    bytes: int = 64 * 1024 * 1024  # of all kept answers
    store: Literal["memory", "disk"] = "memory"  # of each process, or the store of all of them too
    shared: bool = False  # also between keys


@dataclass(frozen=True, slots=True)
class Logs:
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "text", "json"] = "auto"


@dataclass(frozen=True, slots=True)
class Storage:
    """Where threads and the ledger live: SQLite in `dir`, or what `url` says; with `enabled` off nothing is written to disk."""

    dir: str = ""  # empty: the platform's data directory for llmproxy
    url: str = field(default="", repr=False)  # postgresql://...; one of sqlite:// has become `dir`
    enabled: bool = True
    ledger_days: int = 30
    tape_bytes: int = 64 * 1024 * 1024  # of threads' answers, event by event, for resuming; 0 keeps none
    tape_hours: float = 24.0

    @property
    def where(self) -> Path | str:
        """The folder of the database, or its URL."""
        return self.url or Path(self.dir)


@dataclass(frozen=True, slots=True)
class Cluster:
    """The other replicas, and what all of them share. Empty: this gateway is alone.

    peers: where each of them is found, `http://10.0.0.7:8811`; the own address may be among them. dns: `name:port`, each
    address of which is a peer. secret: by which replicas know each other. redis: where limits are counted together. name: of
    this replica, else the machine's. listen: `host:port` on which peers are served, and nobody else; empty: as clients are.
    ca_file, cert_file, key_file: PEM files for TLS between replicas, in which both sides show a certificate of this authority.
    """

    peers: tuple[str, ...] = ()
    dns: str = ""
    secret: str = field(default="", repr=False)
    redis: str = field(default="", repr=False)
    name: str = ""
    listen: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""

    @property
    def has_peers(self) -> bool:
        return bool(self.peers or self.dns)


@dataclass(frozen=True, slots=True)
class Responses:
    """What is kept of /v1/responses for `previous_response_id` and the like, where the client does not say `store: false`."""

    store: Literal["memory", "disk", "off"] = "memory"
    bytes: int = 64 * 1024 * 1024  # of all of them; the oldest go first
    hours: float = 1.0


@dataclass(frozen=True, slots=True)
class Telemetry:
    """What is sent to an OpenTelemetry collector, as JSON over HTTP. Never what was asked or answered."""

    traces: Literal["off", "join", "link"] = "off"  # in the caller's trace, or in one of its own with a link to that
    metrics: bool = False
    endpoint: str = "http://127.0.0.1:4318"  # `/v1/traces` and `/v1/metrics` are appended
    headers: str = field(default="", repr=False)  # NAME=VALUE, separated by commas; values percent-encoded
    service: str = "llmproxy"
    sample: float = 1.0  # share of the traces that begin here that is recorded
    interval: float = 60.0  # seconds between two reports of metrics
    queue: int = 2048  # requests that wait to be sent; more are dropped, and counted
    flush: float = 5.0  # seconds for what is left at shutdown


@dataclass(frozen=True, slots=True)
class Config:
    server: Server = Server()
    limits: Limits = Limits()
    routing: Routing = Routing()
    cache: Cache = Cache()
    logs: Logs = Logs()
    dialects: Dialects = Dialects()
    storage: Storage = Storage()
    cluster: Cluster = Cluster()
    responses: Responses = Responses()
    providers: tuple[Provider, ...] = ()
    aliases: Mapping[str, Alias] = field(default_factory=dict)
    modes: Mapping[str, Mode] = field(default_factory=dict)
    default_model: str = ""  # asked for where a client names none; empty: it must name one
    groups: Mapping[str, Group] = field(default_factory=dict)
    budgets: Budgets = Budgets()
    prices: Mapping[str, str | Mapping[str, float]] = field(default_factory=dict)  # patterns of provider/model
    telemetry: Telemetry = Telemetry()
    source: str = ""  # the file this was read from
    proxies: Mapping[str, str] = field(default_factory=dict, repr=False)  # of the environment: http, https, all, no
    notes: tuple[str, ...] = ()  # sentences about what was given and does not count, for the operator
    switched_off: frozenset[str] = frozenset()  # providers with `enabled = false`
