"""The event loop of production, and nothing may be left behind."""

from __future__ import annotations

from tests.support.event_loop import nothing_left, pytest_asyncio_loop_factories

__all__ = ["nothing_left", "pytest_asyncio_loop_factories"]
