"""MCP sessions: one for each server and response, opened at the first use.

The library's connection lives in scopes that must be left in the task that entered them. So a task of its own owns it,
and carries out one request after the other. Every failure of a server becomes `McpFailure` or a result that is an
error, never a response that hangs. No address is chosen here, and no text contains a secret.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from realtime.context.mcp_calls import MAX_LISTED
from realtime.context.mcp_tools import ServerUse
from realtime.wire.items import McpTool
from realtime.wire.json_text import loads

from .library import load
from .open_items import CallResult

if TYPE_CHECKING:
    from mcp.client import Client

logger = logging.getLogger("realtime.mcp")

MAX_PAGES = 64  # of a listing
_CLOSE_SECONDS = 2.0  # that a server has to take leave
_MAX_PUSHES = 4  # cancels of a connection that ends slowly: each one ends one thing that its end waits for
_TIMED_OUT = -32001  # as the protocol's libraries have it
_INVALID_PARAMS = -32602


class McpFailure(Exception):
    """An error: a server could not be used. The text is for the model and the client."""

    def __init__(self, message: str, *, code: int, http: bool = False) -> None:
        super().__init__(message)
        self.error = {"type": "http_error" if http else "mcp_protocol_error", "code": code, "message": message}


class _Job(msgspec.Struct, frozen=True):
    work: Callable[[Client], Awaitable[Any]]
    done: asyncio.Future[Any]


class McpSession:
    """The session with one server for one response."""

    def __init__(
        self,
        use: ServerUse,
        response_id: str,
        *,
        timeout_seconds: float,
        max_bytes: int,
        headers: Mapping[str, str] = {},
    ) -> None:
        """response_id: for the log. headers: sent in addition to those of the use, which take precedence."""
        self._more_headers = headers
        self._use = use
        self._response_id = response_id
        self._status: int | None = None  # of the server's newest answer over HTTP
        self._timeout = timeout_seconds
        self._max_bytes = max_bytes
        self._jobs: asyncio.Queue[_Job | None] = asyncio.Queue()
        self._owner: asyncio.Task[None] | None = None
        self._leaving: set[asyncio.Task[None]] = set()  # cancelled owners, which may still take leave of the server

    async def list_tools(self) -> list[McpTool]:
        """Return all tools of the server. Raises McpFailure."""
        tools: list[McpTool] = await self._do(self._list)
        return tools

    async def call(self, name: str, arguments: str) -> CallResult:
        """Call a tool. `arguments`: as the model wrote them. Raises nothing but a cancellation."""
        try:
            values = loads(arguments or "{}")
            if not isinstance(values, dict):
                raise ValueError("they are no object")
        except ValueError as error:
            text = f"The arguments are not valid JSON: {error}"
            return CallResult(error={"type": "mcp_protocol_error", "code": _INVALID_PARAMS, "message": text})
        try:
            found = await self._do(lambda client: client.call_tool(name, values))
        except McpFailure as failure:
            return CallResult(error=failure.error)
        return self._result(found)

    async def close(self) -> None:
        """End the session, or just drop it if that takes too long."""
        try:
            if self._owner is not None:
                self._jobs.put_nowait(None)
                await asyncio.wait({self._owner}, timeout=_CLOSE_SECONDS)
        finally:
            self._leave()
            for _ in range(_MAX_PUSHES):
                if self._leaving:
                    await asyncio.wait(self._leaving, timeout=_CLOSE_SECONDS)
                for task in self._leaving:
                    task.cancel()

    # -- the task that owns the connection

    async def _do(self, work: Callable[[Client], Awaitable[Any]]) -> Any:
        if self._owner is None or self._owner.done():
            self._jobs = asyncio.Queue()
            self._owner = asyncio.create_task(self._own(self._jobs), name=f"mcp {self._use.label}")
        job = _Job(work, asyncio.get_running_loop().create_future())
        self._jobs.put_nowait(job)
        try:
            async with asyncio.timeout(2 * self._timeout):  # to connect and to work; longer, if a connection can't end
                return await job.done
        except TimeoutError as error:
            self._leave()
            raise self._failure(error) from None
        except asyncio.CancelledError:
            self._leave()  # with it goes the call; a response that is to end does not wait for the server's good-bye
            raise

    def _leave(self) -> None:
        """Close the connection in its own task, for which `close` waits."""
        if self._owner is not None:
            self._owner.cancel()
            self._leaving.add(self._owner)
            self._owner.add_done_callback(self._leaving.discard)
            self._owner = None

    async def _own(self, jobs: asyncio.Queue[_Job | None]) -> None:
        job: _Job | None = None
        failure = McpFailure("The connection to the MCP server was closed.", code=502, http=True)
        try:
            async with AsyncExitStack() as stack:
                job = await jobs.get()
                async with asyncio.timeout(self._timeout):
                    client = await self._connect(stack)
                while job is not None:
                    await self._run(job, client)
                    job = await jobs.get()
        except Exception as error:  # the library's, the network's, the server's
            failure = self._failure(error)
        finally:
            if job is not None and not job.done.done():
                job.done.set_exception(failure)

    async def _run(self, job: _Job, client: Client) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                found = await job.work(client)
        except Exception as error:
            if not job.done.done():
                job.done.set_exception(self._failure(error))
            return
        if not job.done.done():
            job.done.set_result(found)

    async def _connect(self, stack: AsyncExitStack) -> Client:
        library = load()
        client = await stack.enter_async_context(
            library.http_client(
                {**self._more_headers, **_headers(self._use)}, 8 * self._max_bytes, self._timeout, self._answered
            )
        )
        transport = library.transport(self._use.url, http_client=client, max_sse_event_size=8 * self._max_bytes)
        return await stack.enter_async_context(library.client(transport, cache=None))

    def _answered(self, status: int) -> None:
        self._status = status

    # -- what comes back

    async def _list(self, client: Client) -> list[McpTool]:
        tools: list[McpTool] = []
        cursor: str | None = None
        size = 0
        for _ in range(MAX_PAGES):
            page = await client.list_tools(cursor=cursor)
            for tool in page.tools:
                hints = tool.annotations.model_dump(by_alias=True, exclude_none=True) if tool.annotations else None
                one = McpTool(name=tool.name, input_schema=tool.input_schema, description=tool.description)
                one.annotations = hints
                tools.append(one)
                size += len(msgspec.json.encode(one))
            if size > self._max_bytes or len(tools) > MAX_LISTED:
                text = f"The MCP server's list of tools is too long: at most {MAX_LISTED} in {self._max_bytes} bytes."
                raise McpFailure(text, code=_INVALID_PARAMS)
            cursor = page.next_cursor
            if cursor is None:
                return tools
        raise McpFailure(f"The MCP server's list of tools has more than {MAX_PAGES} pages.", code=_INVALID_PARAMS)

    def _result(self, found: Any) -> CallResult:
        text = "\n".join(_texts(found))
        size = len(text.encode())
        if size > self._max_bytes:
            text = f"The result has {size} bytes; at most {self._max_bytes} are accepted. Ask for less."
            return CallResult(error={"type": "mcp_tool_execution_error", "content": [{"type": "text", "text": text}]})
        if found.is_error:
            return CallResult(error={"type": "mcp_tool_execution_error", "content": [{"type": "text", "text": text}]})
        return CallResult(output=text)

    def _failure(self, error: Exception) -> McpFailure:
        """Describe an error without an address, because addresses may hold secrets."""
        cause: BaseException = error
        while isinstance(cause, BaseExceptionGroup):
            cause = cause.exceptions[0]
        library = load()
        code: int = getattr(getattr(cause, "error", None), "code", _INVALID_PARAMS)
        match cause:
            case McpFailure():
                failure = cause
            case TimeoutError():
                failure = McpFailure(f"The MCP server did not answer within {self._timeout:g} s.", code=_TIMED_OUT)
            case library.error():
                failure = McpFailure(f"The MCP server refused: {str(cause)[:1000]}", code=code)
            case library.http_error():
                failure = McpFailure(f"The MCP server can't be reached ({type(cause).__name__}).", code=502, http=True)
            case _:
                failure = McpFailure(f"The MCP server can't be used ({type(cause).__name__}).", code=502, http=True)
        text = "mcp failed response_id=%s server=%s error=%s status=%s"
        logger.warning(text, self._response_id, self._use.label, type(cause).__name__, self._status)
        return failure


def _texts(found: Any) -> Iterator[str]:
    """Yield the content of a result as text. Content that is not text is named."""
    if not found.content and found.structured_content is not None:
        yield json.dumps(found.structured_content, ensure_ascii=False)
    for part in found.content:
        resource = getattr(part, "resource", None)
        if part.type == "text":
            yield part.text
        elif resource is not None and isinstance(getattr(resource, "text", None), str):
            yield resource.text
        elif part.type in ("image", "audio"):
            yield f"[{part.type}, {part.mime_type}, {len(part.data) * 3 // 4} bytes: not shown]"
        else:
            uri = getattr(resource if resource is not None else part, "uri", "")
            yield f"[resource {uri}: not shown]"


def _headers(use: ServerUse) -> dict[str, str]:
    """Return the headers of each request. A request's own token takes precedence over the operator's."""
    token = use.authorization if use.authorization is not None else _operators_token(use)
    headers = {**use.server.headers, **use.headers}
    if token is None:
        return headers
    return {**headers, "Authorization": token if " " in token else f"Bearer {token}"}


def _operators_token(use: ServerUse) -> str | None:
    server = use.server
    try:
        if server.token_env is not None:
            return os.environ[server.token_env].strip()
        return Path(server.token_file).read_text("utf-8").strip() if server.token_file is not None else None
    except (KeyError, OSError, ValueError):
        where = f"variable {server.token_env}" if server.token_env else f"file {server.token_file}"
        logger.error("no token for MCP server=%s: %s can't be read", use.label, where)
        raise McpFailure("The server has no token for this MCP server: its operator must give one.", code=401) from None
