"""The event loop of production, and nothing may be left behind: as for the tests of the doors."""

from __future__ import annotations

from tests.server.conftest import nothing_left, pytest_asyncio_loop_factories

__all__ = ["nothing_left", "pytest_asyncio_loop_factories"]
