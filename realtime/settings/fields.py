"""All settings: one frozen struct, grouped by subject.

The annotations are the only listing of the settings. `realtime.settings.sources` derives from them the flags, the
`REALTIME_*` variables and the TOML keys, and `realtime.settings.text` the help and the table in docs/operations.md. A
field's name is its name everywhere (`max_connections`, `--max-connections`, `REALTIME_MAX_CONNECTIONS`), so names are
unique across groups. Pure: nothing here reads a file or the environment.
"""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from realtime.engine.options import RemoteOptions, VllmOptions
from realtime.wire.limits import Limits

from .tenants import TenantLimits

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30
DAY = 86_400  # seconds


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The server: address, access, end."""

    host: Annotated[str, Meta(min_length=1, description="address to listen on")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="TCP port; 0 takes a free one")] = 8000
    api_keys_file: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(description="file made by `realtime keys add`; without one nobody needs a key"),
    ] = None
    share_prefix_cache: Annotated[
        bool,
        Meta(description="tenants share the cache of prompts: faster, but each can find out what others have sent"),
    ] = False
    sealing_keys: Annotated[
        tuple[str, ...],
        Meta(
            description="keys of what clients keep sealed, newest first: 32 bytes in base64; no flag",
            extra={"secret": True},
        ),
    ] = ()
    sealing_keys_file: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(description="file with `sealing_keys`, one a line; without any, a key is made and kept beside the store"),
    ] = None
    allowed_origins: Annotated[
        tuple[str, ...],
        Meta(description="web origins whose pages may connect, `*` for any; else this host's own and loopback"),
    ] = ()
    page: Annotated[bool, Meta(description="serve the chat page at `/`; it is for everybody, what it shows is not")] = (
        True
    )
    listing: Annotated[
        Literal["local", "open"],
        Meta(
            description="who may list responses and conversations where nobody needs a key: this machine, or everybody"
        ),
    ] = "local"
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="least severe message that is logged")
    ] = "info"
    log_format: Annotated[
        Literal["text", "json"], Meta(description="form of the log: lines for people, or one JSON object a line")
    ] = "text"
    metrics_host: Annotated[
        str, Meta(min_length=1, description="address of the listener for `/metrics` alone, which asks for no key")
    ] = "127.0.0.1"
    metrics_port: Annotated[
        Annotated[int, Meta(ge=0, le=65535)] | None,
        Meta(description="its TCP port, 0 takes a free one; without one, `/metrics` is on the server's own port only"),
    ] = None
    drain_seconds: Annotated[float, Meta(ge=0, description="time that running answers get to finish at SIGTERM")] = 30

    def __post_init__(self) -> None:
        if self.sealing_keys and self.sealing_keys_file:
            raise ValueError("sealing_keys and sealing_keys_file are both given: use one of them")


class ConnectionSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Connections: liveness, and what one client may ask."""

    max_connections: Annotated[int, Meta(ge=1, description="open sockets and HTTP requests at most")] = 10_000
    connection_lifetime_seconds: Annotated[
        float, Meta(gt=0, description="age at which a connection is closed; clients connect again")
    ] = 3600
    ping_interval_seconds: Annotated[float, Meta(gt=0, description="time between two pings to a client")] = 20
    heartbeat_seconds: Annotated[
        float, Meta(ge=0, le=3600, description="time between two `session.heartbeat`s to a native client; 0: none")
    ] = 15
    ping_timeout_seconds: Annotated[float, Meta(gt=0, description="time that a client has to answer a ping")] = 20
    permessage_deflate: Annotated[
        bool, Meta(description="compress frames for clients that offer it; costs CPU and memory")
    ] = False
    sse_keepalive_seconds: Annotated[
        float, Meta(gt=0, description="silence after which a stream over HTTP gets a comment, so that proxies keep it")
    ] = 15
    request_body_seconds: Annotated[
        float, Meta(gt=0, description="time that a client has to send the body of an HTTP request")
    ] = 120
    max_message_bytes: Annotated[
        int, Meta(ge=KIB, description="size of one client message, and of the body of an HTTP request")
    ] = 16 * MIB
    max_json_depth: Annotated[int, Meta(ge=8, le=512, description="nesting of arrays and objects in a message")] = 64
    max_input_items: Annotated[int, Meta(ge=1, description="items in the `input` of one request")] = 10_000
    max_in_flight_per_connection: Annotated[
        int, Meta(ge=1, description="responses that run at once on one connection; further ones queue")
    ] = 16
    max_queued_per_connection: Annotated[
        int, Meta(ge=0, description="responses that queue on one connection; further ones are refused")
    ] = 256
    max_streams_per_connection: Annotated[
        int, Meta(ge=1, description="distinct `stream_id`s in the life of one connection")
    ] = 32


class ResponseSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Responses: admission, logs, retention."""

    max_running_responses: Annotated[int, Meta(ge=1, description="responses that generate at once, all clients")] = 256
    max_waiting_responses: Annotated[
        int, Meta(ge=0, description="responses that wait for their turn, all clients; further ones are refused")
    ] = 1024
    max_tenant_share: Annotated[
        float,
        Meta(
            gt=0,
            le=1,
            description="share of the running and waiting responses, and of the connections, that one API key may "
            "take; without a second key there is no such limit",
        ),
    ] = 0.5
    preparation_threads: Annotated[
        int,
        Meta(ge=1, description="threads that render and tokenize long prompts and decode images; tenants take turns"),
    ] = 2
    preparation_seconds: Annotated[
        float, Meta(gt=0, description="time that a request may wait for such a thread, and then take in it")
    ] = 30
    look_up_seconds: Annotated[
        float,
        Meta(
            gt=0, description="time to find in the stores what a request refers to, and to write the end of an answer"
        ),
    ] = 10
    engine_wait_seconds: Annotated[
        float, Meta(ge=0, description="time that an answer waits for the next engine when its own has died")
    ] = 600
    linger_seconds: Annotated[
        float, Meta(ge=0, description="time that a native client's response goes on after its socket is lost")
    ] = 30
    max_linger_seconds: Annotated[float, Meta(ge=0, description="longest linger that a client may ask for")] = 3600
    max_log_bytes: Annotated[
        int, Meta(ge=64 * KIB, description="size of one response's event log; the oldest events go first")
    ] = 64 * MIB
    max_log_events: Annotated[int, Meta(ge=16, description="events in one response's log; the oldest go first")] = (
        500_000
    )
    show_reasoning: Annotated[
        Literal["none", "summary", "raw"],
        Meta(description="what clients that do not say so are shown of a model's reasoning"),
    ] = "none"
    retention_seconds: Annotated[float, Meta(ge=0, description="time that a finished response is kept")] = 30 * DAY
    max_store_bytes: Annotated[
        Annotated[int, Meta(ge=MIB)] | None,
        Meta(
            description="size of all kept responses, the oldest finished ones go first; none: 10 GiB in a file, 1 GiB "
            "in memory"
        ),
    ] = None

    max_waiting_per_conversation: Annotated[
        int, Meta(ge=0, description="responses that wait for their turn on one conversation; further ones are refused")
    ] = 64
    max_conversation_items: Annotated[int, Meta(ge=20, description="items in one conversation")] = 10_000
    max_conversation_bytes: Annotated[
        int, Meta(ge=64 * KIB, description="size of one conversation; a larger one takes no more")
    ] = 64 * MIB
    max_conversation_store_bytes: Annotated[
        int, Meta(ge=64 * KIB, description="size of all conversations; those unused for longest go first")
    ] = GIB

    def __post_init__(self) -> None:
        if self.max_conversation_bytes > self.max_conversation_store_bytes:
            raise ValueError("max_conversation_bytes is greater than max_conversation_store_bytes")
        if self.linger_seconds > self.max_linger_seconds:
            raise ValueError("linger_seconds is greater than max_linger_seconds")
        if self.max_store_bytes is not None and self.max_log_bytes > self.max_store_bytes:
            raise ValueError("max_log_bytes is greater than max_store_bytes")


class SchedulingSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Scheduling: who waits for whom, and for how long."""

    tenants: Annotated[
        dict[str, TenantLimits],
        Meta(
            description="name of an API key (`*`: all that are not named, `local`: who needs none) to its weight and "
            "limits (see Fair shares); the keys file goes before it"
        ),
    ] = {}
    max_queue_seconds: Annotated[
        float, Meta(gt=0, description="longest that a response waits for its turn; a request may ask for less")
    ] = 3600
    input_token_price: Annotated[
        float, Meta(ge=0, le=1000, description="what reading a token that is not cached counts in a fair share")
    ] = 1
    output_token_price: Annotated[
        float, Meta(gt=0, le=1000, description="what generating a token counts in a fair share")
    ] = 2
    max_times_put_aside: Annotated[
        int, Meta(ge=0, description="how often a batch answer may be put aside for an interactive one that waits")
    ] = 3
    put_aside_seconds: Annotated[
        float, Meta(gt=0, description="after which an answer that was put aside goes before all that wait")
    ] = 60


class StoreSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Store: where responses and conversations are kept."""

    store: Annotated[
        Annotated[str, Meta(pattern=r"^(memory|sqlite|sqlite:.+)$")] | None,
        Meta(
            description="`sqlite`, `sqlite:PATH`, or `memory`, which ends with the process; none: `sqlite` at "
            "`$XDG_STATE_HOME/realtime/HOST-PORT.db`, and `memory` with port 0"
        ),
    ] = None
    store_synchronous: Annotated[
        Literal["normal", "full"],
        Meta(description="what a power cut may cost: the last moments (`normal`), or nothing (`full`, slower)"),
    ] = "normal"
    store_flush_ms: Annotated[
        float, Meta(ge=0, le=1000, description="time for which events are collected for one write to the file")
    ] = 10
    deliver: Annotated[
        Literal["at_once", "after_commit"],
        Meta(
            description="when events are sent: as they come, but for the end of an answer, or all of them when they "
            "are written (a few milliseconds later), so that nobody has had anything that a crash could lose"
        ),
    ] = "at_once"


class ClusterSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Cluster: several servers as nodes of one, on a store that they share."""

    cluster: Annotated[
        Annotated[str, Meta(pattern=r"^(redis|rediss|unix|postgresql)://.+$")] | None,
        Meta(
            description="store that the nodes share, in place of `store`: `redis://`, `rediss://` (`unix://PATH`: "
            "Redis on a socket) or `postgresql://`; none: this server is alone",
            extra={"url": True},
        ),
    ] = None
    node: Annotated[
        Annotated[str, Meta(pattern=r"^[a-z0-9]{1,12}$")] | None,
        Meta(description="name of this node, 1 to 12 of `a-z0-9`, which no other has; none: from the host's name"),
    ] = None
    advertise: Annotated[
        Annotated[str, Meta(pattern=r"^wss?://[^/?#@\s]+$")] | None,
        Meta(description="`ws://HOST:PORT` at which the other nodes reach this one; none: where it listens"),
    ] = None
    cluster_secret: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(
            description="secret that the nodes share, 32 characters or more; no flag; needed unless all are on one "
            "machine",
            extra={"secret": True},
        ),
    ] = None
    cluster_secret_file: Annotated[
        Annotated[str, Meta(min_length=1)] | None, Meta(description="file with `cluster_secret` on its only line")
    ] = None

    def __post_init__(self) -> None:
        if self.cluster_secret and self.cluster_secret_file:
            raise ValueError("cluster_secret and cluster_secret_file are both given: use one of them")


class ImageSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Images and files: what a request may bring along, and from where."""

    image_urls: Annotated[
        Literal["off", "public"],
        Meta(description="fetch images that requests name by http(s) URL: not at all, or from public addresses"),
    ] = "off"
    images_without_sight: Annotated[
        Literal["refuse", "describe"],
        Meta(description="what a model that reads text only makes of an image: an error, or the word `[image]`"),
    ] = "refuse"
    max_images_per_request: Annotated[int, Meta(ge=1, description="images in the `input` of one request")] = 20
    max_image_bytes: Annotated[int, Meta(ge=KIB, description="size of one image as it is sent or fetched")] = 10 * MIB
    max_image_pixels: Annotated[int, Meta(ge=1, description="width times height of one image")] = 32_000_000
    image_connect_seconds: Annotated[float, Meta(gt=0, description="time to connect to the host of an image")] = 3
    image_download_seconds: Annotated[
        float, Meta(gt=0, description="time to fetch one image, names, redirects and all")
    ] = 15
    max_image_redirects: Annotated[int, Meta(ge=0, description="redirects that are followed to fetch one image")] = 3
    max_file_bytes: Annotated[int, Meta(ge=1, description="size of one text file in a request")] = MIB


class McpServer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An MCP server that requests may use, by its URL or by the name that it has in the table."""

    url: Annotated[str, Meta(min_length=1)]  # of its streamable HTTP endpoint
    prefix: bool = False  # URLs below it may be used as well
    headers: dict[str, str] = {}  # sent with each request to it; nothing secret
    token_env: str | None = None  # the variable with the bearer token for it ...
    token_file: str | None = None  # ... or the file
    require_approval: Literal["always", "never"] = "always"  # where a request does not say

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
            raise ValueError("the `url` of an MCP server must be http(s)://host/path, without credentials")
        if self.token_env is not None and self.token_file is not None:
            raise ValueError("an MCP server has `token_env` or `token_file`, not both")


class McpSettings(msgspec.Struct, frozen=True, kw_only=True):
    """MCP: servers whose tools responses may use."""

    mcp_servers: Annotated[
        dict[str, McpServer],
        Meta(description="name to server; requests may use these and no others, none: MCP is off (see MCP servers)"),
    ] = {}
    mcp_timeout_seconds: Annotated[
        float, Meta(gt=0, description="time that a server has to list its tools, and for each call")
    ] = 60
    max_mcp_calls: Annotated[int, Meta(ge=1, description="calls that one response may make")] = 64
    max_mcp_result_bytes: Annotated[
        int, Meta(ge=KIB, description="text of a call's result, and size of a list of tools; larger ones fail")
    ] = 256 * KIB


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings. `Settings()` is what a newcomer starts with."""

    engine: Annotated[
        Literal["vllm", "remote", "scripted"],
        Meta(
            description="what generates: vLLM in this server, or vLLM elsewhere (`remote`, see docs/engines.md)",
            extra={"unlisted": ("scripted",)},  # for tests and benchmarks only
        ),
    ] = "vllm"
    script: Annotated[
        str | None,
        Meta(description="TOML file of what the scripted engine says and what goes wrong", extra={"hidden": True}),
    ] = None
    server: ServerSettings = ServerSettings()
    connections: ConnectionSettings = ConnectionSettings()
    responses: ResponseSettings = ResponseSettings()
    scheduling: SchedulingSettings = SchedulingSettings()
    store: StoreSettings = StoreSettings()
    cluster: ClusterSettings = ClusterSettings()
    images: ImageSettings = ImageSettings()
    mcp: McpSettings = McpSettings()
    limits: Limits = Limits()
    vllm: VllmOptions = VllmOptions()
    remote: RemoteOptions = RemoteOptions()
