"""`python -m clients.conformance -- PROGRAM ...`: play the cases against a client, and print where it fails."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from .case import CASES, LeftOut, Player
from .driver import Driver, DriverError
from .frames import Mismatch


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the cases. Return 0: all passed, 1: one failed, or 2: the driver does not start."""
    given = _parse(arguments)
    cases = [case for case in CASES if all(word in case["name"] for word in given.case)]
    if given.list:
        print("\n".join(case["name"] for case in cases))
        return 0
    if not given.driver:
        print("conformance: which driver? Put its command line behind --", file=sys.stderr)
        return 2
    with Driver(given.driver, timeout_seconds=given.timeout, echo=given.verbose) as driver:
        try:
            driver.ask({"do": "begin", "now": 0.0, "policy": {}})
        except DriverError as error:
            print(f"conformance: {error}\n{''.join(driver.stderr)}", file=sys.stderr)
            return 2
        outcomes = [_run(case, driver, given) for case in cases]
    failed, left_out = outcomes.count("failed"), outcomes.count("left out")
    print(f"{outcomes.count('passed')} of {len(cases)} cases passed" + (f", {left_out} left out" if left_out else ""))
    return 1 if failed or not cases else 0


def _run(case: dict[str, Any], driver: Driver, given: argparse.Namespace) -> str:
    """Play one case and report it. It begins with a new client."""
    driver.dialogue.clear()
    driver.stderr.clear()
    if given.verbose:
        print(f"---- {case['name']}")
    try:
        Player(case, driver.ask).play()
    except LeftOut as error:
        if given.allow_missing:
            print(f"left out: {case['name']} ({error})")
            return "left out"
        reason = f"  the driver: {error}"
    except (Mismatch, DriverError) as error:
        reason = str(error)
    else:
        return "passed"
    print(f"FAILED: {case['name']}\n{reason}")
    print("  the dialogue ended with" + "".join(f"\n    {line[:500]}" for line in list(driver.dialogue)[-6:]))
    if driver.stderr:
        print("  and stderr with" + "".join(f"\n    {line.rstrip()}" for line in driver.stderr))
    print()
    return "failed"


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m clients.conformance",
        description="Play the conformance cases against a client. clients/conformance/README.md says what a driver is.",
    )
    parser.add_argument("--case", action="append", default=[], metavar="WORDS", help="only cases with these words")
    parser.add_argument("--list", action="store_true", help="print the names of the cases and end")
    parser.add_argument("--verbose", action="store_true", help="print the dialogue")
    parser.add_argument("--timeout", type=float, default=20.0, metavar="S", help="seconds for one answer [%(default)s]")
    parser.add_argument("--allow-missing", action="store_true", help="leave out what the driver says it lacks")
    parser.add_argument("driver", nargs="*", metavar="-- PROGRAM ARGUMENTS", help="the driver's command line")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
