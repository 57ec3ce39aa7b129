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
    """Seconds. `idle` is the longest gap between content chunks (comments do not count); None waits without limit."""

    connect: float = 5.0
    first_frame: float | None = None  # from the request sent to the first content chunk; None: as the adapter says
    answer: float = 600.0  # for an answer that is not streamed, in all
    idle: float = 60.0


@dataclass(frozen=True, slots=True)
class Breaker:
    """Opens after `failures` in a row, or if fewer than `success` of at least `samples` calls in `window` seconds succeed."""

    failures: int = 5
    success: float = 0.2
    samples: int = 20
    window: float = 30.0
    cooldown: float = 5.0  # seconds until the first test request, doubled each time up to `max_cooldown`
    max_cooldown: float = 300.0


@dataclass(frozen=True, slots=True)
class Provider:
    """One `[providers.NAME]` table. Keys that the core does not know are in `options`, for the adapter."""

    name: str
    adapter: str
    base_url: str = ""
    api_key: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    models: tuple[str, ...] = ()  # offered even if the provider's list does not have them
    list_models: bool = True  # request the provider's model list
    timeouts: Timeouts = Timeouts()
    breaker: Breaker = Breaker()
    max_concurrent: int | None = None  # further requests wait in the queue
    max_queue: int = 100  # further ones are refused with 429
    queue_wait: float = 60.0  # seconds in the queue at most
    retries: int | None = None  # instead of `[limits] retries`
    proxy: str | None = None  # None: use the environment; empty: none
    verify_tls: bool = True
    ca_file: str | None = None
    options: Mapping[str, object] = field(default_factory=dict)
    source: str = ""  # its origin: a file, or the variable with its key or address


@dataclass(frozen=True, slots=True)
class When:
    """The conditions of one rule; all that are set must be true. Of `keywords` (whole words, any case) one is enough."""

    keywords: tuple[str, ...] = ()
    images: bool | None = None
    audio: bool | None = None
    files: bool | None = None
    tools: bool | None = None
    json: bool | None = None  # the request has a response_format
    reasoning: bool | None = None  # the request has a reasoning_effort
    code: bool | None = None  # a fenced block, or text that looks like source code
    min_chars: int | None = None  # of the whole conversation
    max_chars: int | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """`use` this model (or alias, or chain) if the conditions are true; `why` is sent in X-LLMProxy-Route."""

    use: tuple[str, ...]
    when: When = When()
    why: str = ""


@dataclass(frozen=True, slots=True)
class Alias:
    """An alias for other names. Exactly one of the three is set.

    chain: tried in order. weights: a weighted random choice, then the others by weight. rules: the first match, else `default`.
    """

    name: str
    chain: tuple[str, ...] = ()
    weights: Mapping[str, float] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    default: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Mode:
    """The settings behind a `mode` of the native API."""

    name: str
    model: str = ""
    system: str = ""
    parameters: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Budget:
    """The amount that may be spent in a window, in 1e-12 dollars."""

    window: Window
    limit_e12: int


@dataclass(frozen=True, slots=True)
class Key:
    """A client's key. `admin` may see and stop everybody's requests; `models` are patterns (fnmatch) of models it may use."""

    name: str
    secret: str = field(repr=False)
    admin: bool = False
    models: tuple[str, ...] = ("*",)
    detach: bool = True
    group: str = ""  # whose limits apply too
    rpm: int | None = None  # requests a minute
    tpm: int | None = None  # tokens a minute
    max_parallel: int | None = None  # requests at once
    budget: tuple[Budget, ...] = ()
    expires: float | None = None  # Unix seconds
    formerly: str = ""  # its name in earlier versions: by position


@dataclass(frozen=True, slots=True)
class Group:
    """Keys that share limits and a budget: both the key's and the group's limits apply."""

    name: str
    rpm: int | None = None
    tpm: int | None = None
    max_parallel: int | None = None
    budget: tuple[Budget, ...] = ()


@dataclass(frozen=True, slots=True)
class Budgets:
    """How budgets work. timezone: for the beginning of days, weeks and months. slice_tokens: the most tokens of one hold."""

    timezone: str = "UTC"
    mode: Literal["hard", "soft", "pause"] = "hard"  # refuse; only warn; wait until there is money again
    slice_tokens: int = 256
    webhook: str = ""  # URL to which warnings are posted


@dataclass(frozen=True, slots=True)
class Server:
    host: str = "127.0.0.1"
    port: int = 8811
    keys: tuple[Key, ...] = ()
    allowed_hosts: tuple[str, ...] = ()  # besides loopback names and the listening address
    allowed_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[
        str, ...
    ] = ()  # addresses and networks whose X-Forwarded-* and Forwarded headers are trusted
    max_body: int = 64 * 1024 * 1024
    max_connections: int = 2000
    max_in_flight: int = 1000
    max_lag: float = 2.0  # seconds of event loop delay above which requests are refused; 0: no limit
    max_memory: int = 0  # resident bytes of one process; 0: nine tenths of the container's memory, if it has a limit
    header_timeout: float = 15.0
    body_timeout: float = 30.0
    drain_delay: float = 0.0  # seconds of not being ready while still accepting
    drain_timeout: float = 7.0  # plus _LAST_WORDS of drain.py it is below the 10 s of container engines
    workers: int = 1
    loop: Literal["auto", "asyncio"] = "auto"  # uvloop if it is installed, or never
    page: bool = True
    discover: bool = True  # look for model servers on this machine at the start


@dataclass(frozen=True, slots=True)
class Limits:
    deadline: float = 1800.0  # seconds for a whole request
    retries: int = 2  # further attempts at one provider
    attempts: int = 6  # over all providers of a chain
    hedge: float = 0.0  # seconds without a first content chunk until the next of a chain is asked in parallel; 0: never
    retry_budget: float = 0.2  # retries per request of about the last ten seconds, above ten that are always allowed
    max_retry_after: float = 20.0  # longer waits are passed on to the client
    ping: float = 15.0  # seconds of silence in a stream until a comment is sent; 0: never
    early_ping: float = 0.0  # seconds without a first content chunk until status and keep-alive are sent; 0: never
    json_whitespace: float = 0.0  # the same for answers that are not streamed
    slow_reader: float = 30.0  # seconds without reading after which a client is disconnected
    on_disconnect: OnDisconnect = "cancel"
    max_detached: int = 64
    detached_seconds: float = 600.0  # seconds for which a detached answer without readers is kept
    tape_bytes: int = 4 * 1024 * 1024
    remembered: int = 1000  # finished requests that can still be found by ID
    trace_content: int = 0  # bytes of request and of answer that a flight record stores; 0: none


@dataclass(frozen=True, slots=True)
class Dialects:
    """The APIs that are offered besides OpenAI's chat completions; a disabled one has no routes."""

    messages: bool = True
    responses: bool = True
    gemini: bool = True


@dataclass(frozen=True, slots=True)
class Routing:
    """affinity: all turns of a conversation go to the same one of several equal targets, because its prompt cache has them.

    hints: providers are told which requests belong together, which adds a field or a header to requests.
    """

    affinity: bool = True
    hints: bool = False


@dataclass(frozen=True, slots=True)
class Cache:
    """Identical requests share one answer. models: patterns of names for which this is on at temperature 0."""

    models: tuple[str, ...] = ()
    seconds: float = 300.0  # how long a complete answer is stored; 0: only requests at the same time share one
    bytes: int = 64 * 1024 * 1024  # of all stored answers
    store: Literal["memory", "disk", "redis"] = (
        "memory"  # in each process, or in the database or in Redis for all of them
    )
    shared: bool = False  # also between keys


@dataclass(frozen=True, slots=True)
class Degraded:
    """What happens while Redis or the database is gone.

    rates (Redis): each process takes its share of limits, or there are no limits, or keys with limits are refused. budgets
    (database): requests are paid from what is leased, or not counted against limits until it is back, or refused. threads
    (database): finished answers wait in memory to be written, or are given up.
    """

    rates: Literal["share", "allow", "refuse"] = "share"
    budgets: Literal["leases", "allow", "refuse"] = "leases"
    threads: Literal["memory", "refuse"] = "memory"


@dataclass(frozen=True, slots=True)
class Logs:
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "text", "json"] = "auto"


@dataclass(frozen=True, slots=True)
class Storage:
    """Where threads and usage are stored: SQLite in `dir`, or the database of `url`; with `enabled` off nothing is written to
    disk.
    """

    dir: str = ""  # empty: the platform's data directory for llmproxy
    url: str = field(default="", repr=False)  # postgresql://...; an sqlite:// URL has become `dir`
    enabled: bool = True
    ledger_days: int = 30
    tape_bytes: int = 64 * 1024 * 1024  # events of threads' answers, for resume; 0: none
    tape_hours: float = 24.0

    @property
    def where(self) -> Path | str:
        """The folder of the database, or its URL."""
        return self.url or Path(self.dir)


@dataclass(frozen=True, slots=True)
class Cluster:
    """The other replicas, and what all of them share. Empty: this gateway is alone.

    peers: addresses such as `http://10.0.0.7:8811`; the own address may be among them. dns: `name:port`; each of its
    addresses is a peer. Without both, replicas find each other in the database, if it is a PostgreSQL server. advertise: the
    own address, announced there. secret: with which replicas recognise each other. redis: where limits are counted together.
    name: of this replica; the machine's by default. listen: `host:port` only for peers; empty: they use the clients' port.
    ca_file, cert_file, key_file: PEM files for TLS between replicas; both sides show a certificate of this authority.
    """

    peers: tuple[str, ...] = ()
    dns: str = ""
    advertise: str = ""
    secret: str = field(default="", repr=False)
    redis: str = field(default="", repr=False)
    name: str = ""
    listen: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""

    @property
    def names_peers(self) -> bool:
        return bool(self.peers or self.dns)


@dataclass(frozen=True, slots=True)
class Responses:
    """How responses of /v1/responses are stored, for `previous_response_id` and similar, unless the request has `store: false`."""

    store: Literal["memory", "disk", "off"] = "memory"
    bytes: int = 64 * 1024 * 1024  # of all of them; the oldest are removed first
    hours: float = 1.0


@dataclass(frozen=True, slots=True)
class Telemetry:
    """The export to an OpenTelemetry collector, as JSON over HTTP. It contains prompts and answers only with `content`."""

    traces: Literal["off", "join", "link"] = "off"  # in the caller's trace, or in a new one with a link to it
    metrics: bool = False
    endpoint: str = "http://127.0.0.1:4318"  # `/v1/traces` and `/v1/metrics` are appended
    headers: str = field(default="", repr=False)  # NAME=VALUE, separated by commas; values percent-encoded
    service: str = "llmproxy"
    sample: float = 1.0  # share of new traces that is recorded
    interval: float = 60.0  # seconds between two reports of metrics
    queue: int = 2048  # requests that wait to be sent; more are dropped and counted
    flush: float = 5.0  # seconds to send the rest at shutdown
    content: int = 0  # bytes of each request and of each answer that spans contain; 0: none


@dataclass(frozen=True, slots=True)
class Config:
    server: Server = Server()
    limits: Limits = Limits()
    routing: Routing = Routing()
    cache: Cache = Cache()
    degraded: Degraded = Degraded()
    logs: Logs = Logs()
    dialects: Dialects = Dialects()
    storage: Storage = Storage()
    cluster: Cluster = Cluster()
    responses: Responses = Responses()
    providers: tuple[Provider, ...] = ()
    aliases: Mapping[str, Alias] = field(default_factory=dict)
    modes: Mapping[str, Mode] = field(default_factory=dict)
    default_model: str = ""  # used if a request names no model; empty: it must name one
    groups: Mapping[str, Group] = field(default_factory=dict)
    budgets: Budgets = Budgets()
    prices: Mapping[str, str | Mapping[str, float]] = field(default_factory=dict)  # patterns of provider/model
    telemetry: Telemetry = Telemetry()
    source: str = ""  # the file this was read from
    proxies: Mapping[str, str] = field(default_factory=dict, repr=False)  # from the environment: http, https, all, no
    notes: tuple[str, ...] = ()  # sentences for the operator about values that are not used
    switched_off: frozenset[str] = frozenset()  # providers with `enabled = false`

    @property
    def finds_peers_in_store(self) -> bool:
        """Whether the database is where replicas find each other: a server's, with a secret, and no other way is named."""
        return bool(self.storage.url and self.cluster.secret and not self.cluster.names_peers)

    @property
    def has_peers(self) -> bool:
        return self.cluster.names_peers or self.finds_peers_in_store
