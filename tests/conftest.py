"""For all tests: what they share, and what only `make check-long` runs."""

from __future__ import annotations

import gc
import json
import socket
import sys
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import ExitStack

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings
from xdist.remote import Producer

from tests.support.elsewhere import engine_flags
from tests.support.engines import Engines, started
from tests.support.long import LONG
from tests.support.real import RealServer, serving
from tests.support.store_servers import StoreServers
from tests.support.tls_context import share_contexts
from tests.support.workers import SharedEngines, import_tests

# No test is about time: the machine may be busy. And a change is judged by the same examples as the one before it; new
# ones are looked for in the long form.
settings.register_profile(
    "unhurried", deadline=None, derandomize=not LONG, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("unhurried")
share_contexts()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def engines() -> AsyncIterator[Engines]:
    """The real engine, in this process."""
    async with started() as engines:
        yield engines


@pytest.fixture(scope="session")
def store_servers() -> Iterator[StoreServers]:
    """Redis and PostgreSQL, each from when a test wants it."""
    with ExitStack() as leaving:
        yield StoreServers(leaving)


@pytest.fixture(scope="session")
def mcp_socket() -> Iterator[socket.socket]:
    """The address of the MCP server `weather`, which `real` may use. Nobody listens on it until a test does."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound


@pytest.fixture(scope="session")
def real(mcp_socket: socket.socket) -> Iterator[RealServer]:
    """`python -m realtime serve` with the starter model: one for all tests, because starting vLLM takes seconds."""
    url = f"http://127.0.0.1:{mcp_socket.getsockname()[1]}/mcp"
    servers = {"weather": {"url": url, "require_approval": "never"}}
    with engine_flags() as flags, serving("--mcp-servers", json.dumps(servers), *flags) as server:
        yield server


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Collect without a look for garbage: nearly all that is made stays, and each look at all of it would be in vain.

    Of a collection of everything, workers share the work.
    """
    gc.disable()
    try:
        worker = getattr(session.config, "workerinput", None)
        if worker is not None and session.config.args == session.config.getini("testpaths"):
            import_tests(int(worker["workerid"].removeprefix("gw")), worker["workercount"])
        return (yield)
    finally:
        gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without the long form, deselect what has no other. (By `-m` in addopts, any other `-m` would bring it back.)"""
    if not LONG:
        long = [item for item in items if item.get_closest_marker("long")]
        items[:] = [item for item in items if item not in long]
        config.hook.pytest_deselected(items=long)


def pytest_collection_finish() -> None:
    """Nothing large may have been imported: each worker collects all tests, and one of them has to pay for it.

    What is there now stays, so no later garbage collection needs to look at it.
    """
    if large := {"anthropic", "mcp", "torch", "transformers", "vllm", "xgrammar"} & sys.modules.keys():
        raise pytest.UsageError(f"the collection of tests imports {large}; import it where a test needs it")
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> SharedEngines:
    """How tests are given to workers."""
    return SharedEngines(config, log)
