"""One real server for all acceptance tests: starting vLLM takes seconds."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest

from tests.support.real import RealServer, serving
from tests.support.sdk import Talk, talking


@pytest.fixture(scope="session")
def mcp_socket() -> Iterator[socket.socket]:
    """The address of the MCP server `weather`, which `real` may use. Nobody listens on it until a test does."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound


@pytest.fixture(scope="session")
def real(mcp_socket: socket.socket) -> Iterator[RealServer]:
    """`python -m realtime serve` with the starter model."""
    url = f"http://127.0.0.1:{mcp_socket.getsockname()[1]}/mcp"
    servers = {"weather": {"url": url, "require_approval": "never"}}
    with serving("--mcp-servers", json.dumps(servers)) as server:
        yield server


@pytest.fixture
def talk(real: RealServer) -> Iterator[Talk]:
    """A socket of the SDK's."""
    with talking(real) as opened:
        yield opened
