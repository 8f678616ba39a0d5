"""MCP in a request: which servers it may use, which of their tools the model gets, what is asked for first. Pure.

The operator's table is the only source of addresses: a request names a server by the name it has there, or by a URL
that is in it. What a request brings of secrets stays in its `ServerUse`, which lives as long as the response runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import msgspec
from msgspec import UNSET

from realtime.settings.fields import McpServer, McpSettings
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.items import (
    FunctionCall,
    FunctionCallOutput,
    InputItem,
    McpApprovalRequest,
    McpApprovalResponse,
    McpCall,
    McpListTools,
    McpTool,
)  # fmt: skip

from .tools import SEPARATOR, McpOrigin, Tool

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
        """A filter that says nothing has every tool."""
        if self.tool_names is not None and tool.name not in self.tool_names:
            return False
        return self.read_only is None or self.read_only is _is_read_only(tool)


class _Approval(msgspec.Struct):
    always: _Filter | None = None
    never: _Filter | None = None


class _Mcp(msgspec.Struct):
    """A tool of type `mcp` as a request has it."""

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
    """One server as one request uses it. Holds secrets: never to be logged, stored or shown."""

    label: str
    url: str
    server: McpServer  # the operator's entry
    authorization: str | None
    headers: dict[str, str]
    allowed: _Filter
    approval: Literal["always", "never"] | _Approval
    description: str | None = None

    def needs_approval(self, tool: McpTool) -> bool:
        """Whether the user is to be asked before a call: what `never` has is free, in doubt `always` wins."""
        if isinstance(self.approval, str):
            return self.approval == "always"
        always, never = self.approval.always, self.approval.never
        if always is not None and always.has(tool):
            return True
        return never is None or not never.has(tool)

    def offered(self, listed: Sequence[McpTool]) -> Iterator[Tool]:
        """The tools of a listing that the model gets."""
        for tool in listed:
            if not self.allowed.has(tool):
                continue
            schema = tool.input_schema if isinstance(tool.input_schema, dict) else {}
            if not isinstance(schema.get("properties", {}), dict):
                schema = {}
            yield Tool(
                name=tool.name,
                shown_as=_NOT_IN_NAMES.sub("_", tool.name)[:128],
                description=tool.description or None,
                parameters={"type": "object", "properties": {}, **schema},
                mcp=McpOrigin(self.label, self.needs_approval(tool)),
            )


def servers_used(tools: Sequence[dict[str, Any]] | None, settings: McpSettings) -> tuple[ServerUse, ...]:
    """The MCP servers of a request. Raises WireError with the path of what is wrong."""
    found: dict[str, ServerUse] = {}
    for index, tool in enumerate(tools or ()):
        if tool.get("type") != "mcp":
            continue
        path = f"tools[{index}]"
        use = _use(tool, path, settings)
        if use.label in found:
            raise _refused(f"{path}.server_label", f"'{use.label}' is given to more than one MCP server")
        found[use.label] = use
    if len(found) > MAX_SERVERS:
        raise _refused("tools", f"{len(found)} MCP servers; at most {MAX_SERVERS} are accepted")
    return tuple(found.values())


def _use(tool: dict[str, Any], path: str, settings: McpSettings) -> ServerUse:
    try:
        read = msgspec.convert(tool, _Mcp)
    except msgspec.ValidationError as error:
        raise _refused(path, str(error)) from None
    if not _LABEL.fullmatch(read.server_label):
        text = "must be a letter and then at most 63 letters, digits, '-' and '_'"
        raise _refused(f"{path}.server_label", text)
    for name in ("connector_id", "tunnel_id"):
        if getattr(read, name) is not None:
            raise _refused(f"{path}.{name}", "is OpenAI's own and not served here: give `server_url`")
    url, server = _allowed(read, path, settings)
    allowed = _Filter(tool_names=read.allowed_tools) if isinstance(read.allowed_tools, list) else read.allowed_tools
    return ServerUse(
        label=read.server_label,
        url=url,
        server=server,
        authorization=_checked(read.authorization, f"{path}.authorization"),
        headers=_headers(read.headers or {}, f"{path}.headers"),
        allowed=allowed or _Filter(),
        approval=read.require_approval or server.require_approval,
        description=read.server_description,
    )


def _allowed(read: _Mcp, path: str, settings: McpSettings) -> tuple[str, McpServer]:
    """The address and the operator's entry for it."""
    if not settings.mcp_servers:
        text = "MCP is off on this server: its operator has to allow servers with the setting `mcp_servers`"
        raise _refused(f"{path}.server_url", text)
    if read.server_url is None:
        server = settings.mcp_servers.get(read.server_label)
        if server is None:
            text = f"is missing, and no server of the setting `mcp_servers` is named '{read.server_label}'"
            raise _refused(f"{path}.server_url", text)
        return server.url, server
    matching = (server for server in settings.mcp_servers.values() if _covers(server, read.server_url))
    best = max(matching, key=lambda server: len(server.url), default=None)
    if best is None:
        text = "this URL is not allowed: the server's operator has to add it to the setting `mcp_servers`"
        raise _refused(f"{path}.server_url", text)
    return read.server_url, best


def _covers(server: McpServer, url: str) -> bool:
    if url == server.url:
        return True
    below = server.url if server.url.endswith("/") else server.url + "/"
    return server.prefix and url.startswith(below) and not _CLIMBS.search(url[len(below) :])


def _headers(headers: dict[str, str], path: str) -> dict[str, str]:
    if len(headers) > MAX_HEADERS:
        raise _refused(path, f"{len(headers)} headers; at most {MAX_HEADERS} are accepted")
    for name, value in headers.items():
        if not _HEADER.fullmatch(name) or name.lower() in _NO_HEADERS or name.lower().startswith("mcp-"):
            raise _refused(path, f"a header named {name[:64]!r} can't be set")
        _checked(value, path)
    return dict(headers)


def _checked(value: str | None, path: str) -> str | None:
    if value is not None and not _HEADER_VALUE.fullmatch(value):
        raise _refused(path, "must be printable ASCII of at most 8192 characters")
    return value


def _refused(path: str, reason: str) -> WireError:
    return WireError(ErrorCode.INVALID_REQUEST, f"`{path}`: {reason}.", param=path)


def _is_read_only(tool: McpTool) -> bool:
    hints = tool.annotations
    return isinstance(hints, dict) and hints.get("readOnlyHint") is True


# -- what the conversation knows


def listed_before(items: Sequence[InputItem], label: str) -> McpListTools | None:
    """The newest listing of a server that the conversation has; then the server is not asked again."""
    for item in reversed(items):
        if isinstance(item, McpListTools) and item.server_label == label and not item.error:
            return item
    return None


def approved_calls(before: Sequence[InputItem], items: Sequence[InputItem]) -> list[McpApprovalRequest]:
    """What `items`, which continue `before`, allow to be called and nobody has called yet."""
    requests = {item.id: item for item in (*before, *items) if isinstance(item, McpApprovalRequest)}
    made = {item.approval_request_id for item in (*before, *items) if isinstance(item, McpCall)}
    approved = [item for item in items if isinstance(item, McpApprovalResponse) and item.approve]
    wanted = dict.fromkeys(item.approval_request_id for item in approved)
    return [requests[request_id] for request_id in wanted if request_id in requests and request_id not in made]


def check_approvals(calls: Sequence[McpApprovalRequest], uses: Sequence[ServerUse]) -> None:
    """Refuse to go on when the server of an approved call is not in the request any more. Raises WireError."""
    labels = {use.label for use in uses}
    for call in calls:
        if call.server_label not in labels:
            text = f"the approved call needs the MCP server '{call.server_label[:64]}', which is not in `tools`"
            raise _refused("tools", text)


def as_calls(items: list[InputItem], tools: Sequence[Tool]) -> list[InputItem]:
    """The items with MCP calls as calls of functions under the names that the model knows now, and with what became of
    a call that the user did not allow. Everything else as it was.
    """
    if not any(isinstance(item, McpCall | McpApprovalResponse) for item in items):
        return items
    shown = {(tool.mcp.server_label, tool.name): tool.shown_as for tool in tools if tool.mcp is not None}
    requests = {item.id: item for item in items if isinstance(item, McpApprovalRequest)}
    return [said for item in items for said in _said(item, shown, requests)]


def _said(
    item: InputItem, shown: dict[tuple[str, str], str], requests: dict[Any, McpApprovalRequest]
) -> list[InputItem]:
    match item:
        case McpCall():
            return _call(item, shown, output_for_model(item))
        case McpApprovalResponse(approve=False) if item.approval_request_id in requests:
            reason = f" Reason: {item.reason}" if isinstance(item.reason, str) and item.reason else ""
            return _call(requests[item.approval_request_id], shown, f"The user did not allow this call.{reason}")
        case _:
            return [item]


def _call(item: McpCall | McpApprovalRequest, shown: dict[tuple[str, str], str], output: str) -> list[InputItem]:
    name = shown.get((item.server_label, item.name), f"{item.server_label}{SEPARATOR}{item.name}")
    call_id = item.id or ""
    return [
        FunctionCall(call_id=call_id, name=name, arguments=item.arguments),
        FunctionCallOutput(call_id=call_id, output=output),
    ]


def output_for_model(item: McpCall) -> str:
    """What the call came to, in words."""
    if item.error is not UNSET and item.error is not None:
        return f"error: {error_text(item.error)}"
    if isinstance(item.output, str):
        return item.output
    return "error: the call was cut off; it is not known whether it had an effect"


def error_text(error: Any) -> str:
    """The words in one of OpenAI's error objects, or in whatever a client sent for one."""
    if not isinstance(error, dict):
        return str(error)
    content = error.get("content")
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return str(error.get("message", "the call failed"))
