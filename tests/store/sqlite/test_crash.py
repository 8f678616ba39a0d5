"""A store that dies at any moment has afterwards what was flushed, whole, and an end for all that ran."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.long import effort
from tests.support.store_world import STEPS, World

SEEDS = range(effort(16, 1000))
NUM_STEPS = 120
WEIGHTS = [{"say": 4, "begin": 4, "finish": 6, "flush": 3}.get(step, 1) for step in STEPS]


@contextmanager
def world() -> Iterator[World]:
    with tempfile.TemporaryDirectory() as folder:
        here = World(Path(folder) / "store.db")
        try:
            yield here
        finally:
            here.opened.stores.close()


def live(here: World, rng: random.Random) -> None:
    """Take steps at random."""
    for step in rng.choices(STEPS, WEIGHTS, k=rng.randrange(NUM_STEPS)):
        here.take(step, rng.randrange(60))


@pytest.mark.parametrize("seed", SEEDS)
def test_what_was_flushed_is_there_after_a_crash_and_after_the_next_one(seed: int) -> None:
    rng = random.Random(seed)
    with world() as here:
        for _ in range(3):
            live(here, rng)
            here.check_running()
            here.check(here.crash())
            here.settle()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_flush_that_was_torn_is_as_if_it_had_not_been(seed: int) -> None:
    """The file beside the store is cut anywhere: what is there is what was there after one of the flushes."""
    rng = random.Random(seed)
    with world() as here:
        here.opened.transactions.checkpoint()
        live(here, rng)
        here.take("flush", 0)
        with tempfile.TemporaryDirectory() as folder:
            torn = Path(folder) / "store.db"
            shutil.copy(here.path, torn)
            log = here.path.with_name("store.db-wal").read_bytes()
            torn.with_name("store.db-wal").write_bytes(log[: rng.randrange(len(log) + 1)])
            here.check_torn(torn)
