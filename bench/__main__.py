"""`python -m bench`: plan the run, run the targets, print their tables, the goals, and one JSON line last."""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from . import goals, pace, plan, plots
from .measure import progress
from .report import Report, told

TARGETS = {
    "engine": "the service beside the bare engine and vLLM's own server, on the starter model",
    "scenarios": "storms, bursts, slow readers, tool loops, idle and busy sessions, on the scripted engine",
    "stack": "the session stack on the scripted engine: events/s, the cost of each stage, memory",
    "cancel": "cancel latency on the real engine in every phase, alone and beside 32 streams",
    "cluster": "nodes on Redis: a reader on another node beside a local one; streams whose node dies",
    "store": "the cost of keeping everything in a file, on Redis, on PostgreSQL; of numbers on commits",
    "parsers": "the cost of reading an answer: vLLM's parsers, and the machine of every family",
    "fairness": "who waits for whom: the scheduler beside first come, first served, on a simulated engine",
    "scale": "a million sessions and ten on paper: what they need, and their return when nodes are lost",
}


def main() -> int:
    """Plan, run, report. Return 1 if a target did not come to its end, or a goal that must hold was missed."""
    given = _arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    modules = {name: importlib.import_module(f"bench.{name}") for name in given.only or TARGETS}
    load, found = os.getloadavg()[0], pace.measure()
    report = Report(plan=_plan(given, modules, found.wall), pace=found, load=load)
    _announce(report)
    for name in report.plan.parts:
        if not _run(name, modules[name], report):
            break
    judged = report.judged()
    goals.show(judged)
    for text in told(report):
        print(f"   {text}", file=sys.stderr)
    if given.plots:
        whole = {name: figures for name, figures in report.figures.items() if name not in report.broken}
        for path in plots.write(whole, given.plots):
            progress(str(path))
    line = report.line(judged)
    if given.json:
        given.json.write_text(line + "\n")
    print(line)
    return 1 if report.broken or any(one.failed for one in judged) else 0


def _run(name: str, module: ModuleType, report: Report) -> bool:
    """Run one target. Return False when it was interrupted: then what has been found is all that there will be."""
    print(f"-- {name}: {TARGETS[name]}", flush=True)
    began, share = time.monotonic(), report.plan.share(name)
    report.figures[name] = {}
    try:
        module.run(share, report.figures[name])
    except KeyboardInterrupt:
        report.broken[name] = goals.INTERRUPTED
    except Exception as error:
        traceback.print_exc()
        report.broken[name] = repr(error)[:1000]
    report.took[name] = time.monotonic() - began
    report.left_out[name] = share.left_out
    progress(f"{name}: {report.took[name]:.0f} s, {report.plan.parts[name].seconds:.0f} were reckoned")
    return report.broken.get(name) != goals.INTERRUPTED


def _plan(given: argparse.Namespace, modules: Mapping[str, ModuleType], wall: float) -> plan.Plan:
    ladders = {name: module.SIZES for name, module in modules.items()}
    if given.size or (given.quick and given.only):
        return plan.in_size(ladders, given.size or "quick", wall)
    if given.minutes:
        return plan.within(ladders, given.minutes, wall, longest="long")
    if given.quick:
        return plan.within(ladders, plan.minutes_for(wall) * plan.QUICK, wall, longest="quick")
    return plan.within(ladders, plan.minutes_for(wall), wall)


def _announce(report: Report) -> None:
    for text in plan.lines(report.plan):
        print(f"   {text}", flush=True)
    found = report.pace
    progress(
        f"pace: {found.cpu:.2f} times the CPU time of {pace.MACHINE}, {found.wall:.2f} times with the other work here"
    )
    if found.is_busy or report.load > 0.5:
        progress(f"the machine is busy (load {report.load:.1f}): trust ratios more than figures")


def _arguments() -> argparse.Namespace:
    targets = "\n".join(f"  {name:9} {text}" for name, text in TARGETS.items())
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Measure the server. Tables come first, then the goals, one JSON line with everything last.\n"
        "Compare figures of one run with each other, not with another machine's.",
        epilog=f"targets:\n{targets}\n\nRun it on a machine that does nothing else; two free cores are needed.",
    )
    long = parser.add_mutually_exclusive_group()
    long.add_argument("--quick", action="store_true", help="a short run of each target for which a minute is enough, "
                      "or four on a slow machine")  # fmt: skip
    long.add_argument("--minutes", metavar="N", type=float, help="as much as fits into so many minutes; unless given, "
                      f"{plan.FAST_MINUTES:g}, or {plan.SLOW_MINUTES:g} on a slow machine")  # fmt: skip
    long.add_argument("--size", choices=plan.NAMES, help="this size of all, however long it takes")
    parser.add_argument("--only", metavar="NAME", action="append", choices=TARGETS, help="this target; may be repeated")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the JSON line to a file as well")
    parser.add_argument("--plots", metavar="FOLDER", type=Path, help="draw the figures as SVG, as in docs/plots")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
