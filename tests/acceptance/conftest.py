"""What the acceptance tests share beside the server that tests/conftest.py starts."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.real import RealServer
from tests.support.sdk import Talk, talking


@pytest.fixture
def talk(real: RealServer) -> Iterator[Talk]:
    """A socket of the SDK's."""
    with talking(real) as opened:
        yield opened


@pytest.fixture
def folder() -> Iterator[Path]:
    """For temporary files. It has a short name: those of sockets are below it."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder)
