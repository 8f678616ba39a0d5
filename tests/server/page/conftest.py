"""For the tests of the chat page in a browser: one Chromium for all that a worker runs."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.support.browser import Chromium, chromium


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browsing() -> AsyncIterator[Chromium]:
    """Call it for a profile of its own, without cookies, storage or a cache of another test."""
    async with chromium() as started:
        yield started
