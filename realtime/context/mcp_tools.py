"""MCP servers in a request: which it may use, which tools the model gets, which calls need approval. Pure.

The operator's table is the only source of addresses: a request names a server by its name there, or by a URL that is in
it. A request's secrets stay in its `ServerUse`, which lives as long as the response runs.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import msgspec

from realtime.settings.fields import McpServer, McpSettings
from realtime.wire.errors import invalid_member
from realtime.wire.items import McpTool

from .tool_definitions import convert
from .tools import McpOrigin, Tool, shown_name

MAX_SERVERS = 32  # in one request: each is connected to
MAX_HEADERS = 64
_LABEL = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]{0,8192}")
# What the connection itself needs to be right.
_NO_HEADERS = frozenset(
    {
        "accept", "accept-encoding", "connection", "content-length", "content-type", "expect", "host", "keep-alive",
        "last-event-id", "te", "trailer", "transfer-encoding", "upgrade",
    }
)  # fmt: skip
_CLIMBS = re.compile(r"\.\.|%2e|\\|@|[\x00-\x20]", re.IGNORECASE)  # might lead out of what a prefix allows


class _Filter(msgspec.Struct):
    tool_names: list[str] | None = None
    read_only: bool | None = None

    def has(self, tool: McpTool) -> bool:
        """Return whether the filter includes a tool. An empty filter includes every tool."""
        if self.tool_names is not None and tool.name not in self.tool_names:
            return False
        return self.read_only is None or self.read_only is _is_read_only(tool)


class _Approval(msgspec.Struct):
    always: _Filter | None = None
    never: _Filter | None = None


class _Mcp(msgspec.Struct):
    """A request's tool of type `mcp`."""

    server_label: str
    server_url: str | None = None
    server_description: str | None = None
    connector_id: Any = None
    tunnel_id: Any = None
    authorization: str | None = None
    headers: dict[str, str] | None = None
    allowed_tools: list[str] | _Filter | None = None
    require_approval: Literal["always", "never"] | _Approval | None = None


class ServerUse(msgspec.Struct, frozen=True, kw_only=True):
    """A request's use of one server. Holds secrets: never to be logged, stored or shown."""

    label: str
    url: str
    server: McpServer  # the operator's entry
    authorization: str | None
    headers: dict[str, str]
    allowed: _Filter
    approval: Literal["always", "never"] | _Approval
    description: str | None = None

    def needs_approval(self, tool: McpTool) -> bool:
        """Return whether the user must approve each call of a tool. Tools in `never` are free; when both apply,
        `always` wins.
        """
        if isinstance(self.approval, str):
            return self.approval == "always"
        always, never = self.approval.always, self.approval.never
        if always is not None and always.has(tool):
            return True
        return never is None or not never.has(tool)

    def offer(self, listed: Sequence[McpTool]) -> Iterator[Tool]:
        """Yield a listing's tools that the model gets."""
        for tool in listed:
            if self.allowed.has(tool):
                yield listed_tool(self.label, tool, needs_approval=self.needs_approval(tool))


def listed_tool(label: str, tool: McpTool, *, needs_approval: bool = False) -> Tool:
    """Return a tool of a server's listing, before names are made unique."""
    schema = tool.input_schema if isinstance(tool.input_schema, dict) else {}
    if not isinstance(schema.get("properties", {}), dict):
        schema = {}
    return Tool(
        name=tool.name,
        shown_as=_NOT_IN_NAMES.sub("_", tool.name)[:128],
        description=tool.description or None,
        parameters={"type": "object", "properties": {}, **schema},
        strict=False,
        mcp=McpOrigin(label, needs_approval),
        path=f"{label}.{tool.name[:64]}.input_schema",
    )


def name_apart(others: Sequence[Tool], mcp: Sequence[Tool]) -> list[Tool]:
    """Make the names of MCP tools unique: the tool's own name if nothing else has it, else with its server's name in
    front.
    """
    names = Counter([*(tool.shown_as for tool in others), *(tool.shown_as for tool in mcp)])
    taken = {tool.shown_as for tool in others}
    marks: Counter[str] = Counter()  # how many each name has got
    named: list[Tool] = []
    for tool in mcp:
        assert tool.mcp is not None
        wanted = tool.shown_as if names[tool.shown_as] == 1 else shown_name(tool.shown_as, tool.mcp.server_label)
        while (name := wanted + "_" * marks[wanted]) in taken:  # a server that lists a name twice, or a name like ours
            marks[wanted] += 1
        taken.add(name)
        named.append(msgspec.structs.replace(tool, shown_as=name))
    return named


def servers_of(tools: Sequence[dict[str, Any]] | None, settings: McpSettings) -> tuple[ServerUse, ...]:
    """Read the MCP servers of a request. Raises WireError with the path of what is wrong."""
    found: dict[str, ServerUse] = {}
    for index, tool in enumerate(tools or ()):
        if tool.get("type") != "mcp":
            continue
        path = f"tools[{index}]"
        use = _read_use(tool, path, settings)
        if use.label in found:
            raise invalid_member(f"{path}.server_label", f"'{use.label}' is given to more than one MCP server")
        found[use.label] = use
    if len(found) > MAX_SERVERS:
        raise invalid_member("tools", f"{len(found)} MCP servers; at most {MAX_SERVERS} are accepted")
    return tuple(found.values())


def _read_use(tool: dict[str, Any], path: str, settings: McpSettings) -> ServerUse:
    read: _Mcp = convert(tool, _Mcp, path)
    if not _LABEL.fullmatch(read.server_label):
        text = "must be a letter and then at most 63 letters, digits, '-' and '_'"
        raise invalid_member(f"{path}.server_label", text)
    for name in ("connector_id", "tunnel_id"):
        if getattr(read, name) is not None:
            raise invalid_member(f"{path}.{name}", "is OpenAI's own and not served here: give `server_url`")
    url, server = _find_server(read, path, settings)
    allowed = _Filter(tool_names=read.allowed_tools) if isinstance(read.allowed_tools, list) else read.allowed_tools
    return ServerUse(
        label=read.server_label,
        url=url,
        server=server,
        authorization=_check_header_value(read.authorization, f"{path}.authorization"),
        headers=_headers(read.headers or {}, f"{path}.headers"),
        allowed=allowed or _Filter(),
        approval=read.require_approval or server.require_approval,
        description=read.server_description,
    )


def _find_server(read: _Mcp, path: str, settings: McpSettings) -> tuple[str, McpServer]:
    """Return the server's address and the operator's entry for it."""
    if not settings.mcp_servers:
        text = "MCP is off on this server: its operator has to allow servers with the setting `mcp_servers`"
        raise invalid_member(f"{path}.server_url", text)
    if read.server_url is None:
        server = settings.mcp_servers.get(read.server_label)
        if server is None:
            text = f"is missing, and no server of the setting `mcp_servers` is named '{read.server_label}'"
            raise invalid_member(f"{path}.server_url", text)
        return server.url, server
    matching = (server for server in settings.mcp_servers.values() if _covers(server, read.server_url))
    best = max(matching, key=lambda server: len(server.url), default=None)
    if best is None:
        text = "this URL is not allowed: the server's operator has to add it to the setting `mcp_servers`"
        raise invalid_member(f"{path}.server_url", text)
    return read.server_url, best


def _covers(server: McpServer, url: str) -> bool:
    if url == server.url:
        return True
    below = server.url if server.url.endswith("/") else server.url + "/"
    return server.prefix and url.startswith(below) and not _CLIMBS.search(url[len(below) :])


def _headers(headers: dict[str, str], path: str) -> dict[str, str]:
    if len(headers) > MAX_HEADERS:
        raise invalid_member(path, f"{len(headers)} headers; at most {MAX_HEADERS} are accepted")
    for name, value in headers.items():
        if not _HEADER.fullmatch(name) or name.lower() in _NO_HEADERS or name.lower().startswith("mcp-"):
            raise invalid_member(path, f"a header named {name[:64]!r} can't be set")
        _check_header_value(value, path)
    return dict(headers)


def _check_header_value(value: str | None, path: str) -> str | None:
    if value is not None and not _HEADER_VALUE.fullmatch(value):
        raise invalid_member(path, "must be printable ASCII of at most 8192 characters")
    return value


def _is_read_only(tool: McpTool) -> bool:
    hints = tool.annotations
    return isinstance(hints, dict) and hints.get("readOnlyHint") is True
