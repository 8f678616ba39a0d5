"""A real MCP server in the test's own event loop: the official package over streamable HTTP on localhost."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.support.server import QuietServer

if TYPE_CHECKING:  # its import takes a second, which whoever only collects shall not pay
    from mcp.server import MCPServer


class ToolServer:
    """Its address and what it has seen. `block` makes `wait` wait until `release` is set."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/mcp"
        self.port = port
        self.calls: list[tuple[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.waiting = asyncio.Event()  # `wait` was called
        self.release = asyncio.Event()
        self.cancelled = asyncio.Event()  # a `wait` was cancelled


@contextlib.asynccontextmanager
async def tool_server(
    prefix: str = "", at: socket.socket | None = None, *, about: str = ""
) -> AsyncIterator[ToolServer]:
    """Start one, on this bound socket or a free port. `get_weather` begins with `prefix`, to tell servers apart, and
    says this `about` itself.
    """
    with at or socket.create_server(("127.0.0.1", 0)) as listening:
        tools = ToolServer(listening.getsockname()[1])
        app = _watched(_build(tools, prefix, about).streamable_http_app(), tools)
        config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=5)
        server = QuietServer(config)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            yield tools
        finally:
            tools.release.set()
            server.stopped.set()
            await serving
            await server.lifespan.shutdown()  # QuietServer is for applications that have none


def _watched(app: ASGIApp, tools: ToolServer) -> ASGIApp:
    async def watched(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            tools.headers.append({name.decode(): value.decode() for name, value in scope["headers"]})
        await app(scope, receive, send)

    return watched


def _build(tools: ToolServer, prefix: str, about: str) -> MCPServer:
    from mcp.server import MCPServer
    from mcp.types import ToolAnnotations

    server = MCPServer("tools", log_level="CRITICAL")

    @server.tool(annotations=ToolAnnotations(read_only_hint=True), description=about or "Weather in a city")
    def get_weather(city: str) -> str:
        tools.calls.append(("get_weather", city))
        return f"{prefix}sunny in {city}"

    @server.tool()
    def fail(why: str) -> str:
        """Fail"""
        tools.calls.append(("fail", why))
        raise ValueError(why)

    @server.tool()
    def write(length: int) -> str:
        """Much text"""
        return "x" * length

    @server.tool()
    async def wait() -> str:
        """Wait until the test says so"""
        tools.waiting.set()
        try:
            await tools.release.wait()
        except asyncio.CancelledError:
            tools.cancelled.set()
            raise
        return "waited"

    return server
