"""The real engines: in this process, and elsewhere."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.support.elsewhere import Elsewhere, connected
from tests.support.engines import Engines
from tests.support.vllm_serve import VllmServe, vllm_serving


@pytest.fixture(scope="session")
def vllm_serve() -> Iterator[VllmServe]:
    """A `vllm serve` with the starter model: one for all tests, because it takes half a minute to start."""
    with vllm_serving() as server:
        yield server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def elsewhere(vllm_serve: VllmServe) -> AsyncIterator[Elsewhere]:
    """A node's engine on it."""
    async with connected(vllm_serve.url) as connection:
        yield connection


@pytest.fixture(params=["here", "elsewhere"])
def contender(request: pytest.FixtureRequest) -> Engines | Elsewhere:
    """One of both, for tests that hold for both."""
    found: Engines | Elsewhere = request.getfixturevalue("engines" if request.param == "here" else "elsewhere")
    return found
