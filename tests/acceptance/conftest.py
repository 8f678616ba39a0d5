"""One real server for all acceptance tests: starting vLLM takes seconds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.real import RealServer, serving


@pytest.fixture(scope="session")
def real() -> Iterator[RealServer]:
    """`python -m realtime serve` with the starter model."""
    with serving() as server:
        yield server
