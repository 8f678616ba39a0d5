"""Play random schedules one after another: `python -m tests.support.simulation --seconds 3600 --seed 0`.

Each seed that finds something is printed with what it found and how to play it alone; the last line says how many were
played, and which of them failed. The exit status is 1 if any did.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Callable

ALONE = "alone: TESTS_SEED={seed} python -m pytest -n 0 -s tests/behaviour/test_cluster_schedules.py -k promised"
_EVERY_SECONDS = 60.0  # how often it says how far it is


def play(
    first: int, seconds: float, failures: Callable[[int], list[str]], say: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
) -> list[int]:  # fmt: skip
    """Play seeds from this one on for so long, one at least. Return those that failed."""
    began, said, seed, failed = clock(), clock(), first, list[int]()
    while seed == first or clock() < began + seconds:
        if found := failures(seed):
            failed.append(seed)
            say("\n".join([*found, ALONE.format(seed=seed)]))
        seed += 1
        if clock() > said + _EVERY_SECONDS:
            said = clock()
            say(f"at seed {seed}, after {said - began:.0f} s")
    which = f": {', '.join(map(str, failed))}" if failed else ""
    say(f"seeds {first} to {seed - 1}: {seed - first} schedules played, {len(failed)} failed{which}")
    return failed


def main() -> int:
    """Play what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.simulation", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3600.0, help="how long to play")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    asked = parser.parse_args()
    from tests.support.cluster_schedule import failures

    gc.freeze()  # what is there now stays: no collection after a schedule need look at it
    return 1 if play(asked.seed, asked.seconds, failures, lambda text: print(text, flush=True)) else 0


if __name__ == "__main__":
    sys.exit(main())
