"""What the acceptance tests share beside the server that tests/conftest.py starts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.real import RealServer
from tests.support.sdk import Talk, talking


@pytest.fixture
def talk(real: RealServer) -> Iterator[Talk]:
    """A socket of the SDK's."""
    with talking(real) as opened:
        yield opened
