"""`make attack`: start a server, attack it, watch what others notice, and print a table. See docs/operations.md.

It is here and not in `bench/`, because it runs the attacks of the tests, for longer and against a server in a process
of its own, and because it says whether something was wrong: its exit status is 1 then.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import msgspec

from bench.measure import percentile, table

from . import bombs, floods, fuzz, signals, storms, tenants
from .arena import Arena, Enough, hear
from .target import Target, started
from .witness import Watch

CONTROL_SECONDS = 8.0
REST_SECONDS = 2.0  # after each attack: what the server still has to do belongs to it, not to the next


class Attack(msgspec.Struct, frozen=True):
    """One: what it does, its share of the time, and whether it needs a real engine."""

    about: str
    run: Callable[[Arena, Enough], Coroutine[Any, Any, None]] | None = None
    weight: float = 1.0
    only_vllm: bool = False


async def soak(arena: Arena, enough: Enough) -> None:
    """Everything that is not rude, at once."""
    async with asyncio.TaskGroup() as group:
        group.create_task(storms.cut_storm(arena, enough, clients=12))
        group.create_task(storms.cancel_storm(arena, enough, clients=8))
        group.create_task(storms.slow_readers(arena, enough, clients=6))


async def ordinary(arena: Arena, enough: Enough) -> None:
    """What clients do who attack nobody: short answers, one after another."""
    async with asyncio.TaskGroup() as group:
        for number in range(8):
            group.create_task(_ask(arena, enough, number))


async def _ask(arena: Arena, enough: Enough, number: int) -> None:
    rng = arena.rng("ordinary", number)
    async with arena.dial() as client:
        while not enough():
            reader = await storms.begin(arena, client, f"ordinary client {number}", **storms.story(rng, (30, 100)))
            while not reader.over:
                await hear(client, reader)
            arena.oracle.close(reader.response_id)


ATTACKS: dict[str, Attack] = {
    "cuts": Attack("sockets are lost at every moment, now and then all at once, and answers resumed", storms.cut_storm),
    "cancels": Attack("answers are cancelled at every moment, by three doors", storms.cancel_storm),
    "slow": Attack("readers with small buffers that read in fits and starts", storms.slow_readers, 0.5),
    "bombs": Attack("schemas, patterns, grammars, images, numbers that cost more than they look", bombs.bombard, 0.7),
    "prompts": Attack("eight prompts of 15 MB at once, and a small one beside them", floods.huge_prompts, 0.3),
    "pings": Attack("pings as fast as they are taken", floods.pings, 0.3),
    "tenants": Attack("a tenant tries the ids of another, and what its own answers tell", tenants.spy, 0.3),
    "hoard": Attack("a tenant takes all the places that there are", tenants.hoard, 0.3),
    "fuzz": Attack("random requests over all sampling fields, lengths and constraints", fuzz.fuzz, 1.5, only_vllm=True),
    "soak": Attack("cuts, cancels and slow readers together", soak),
    "signals": Attack("servers that are ended, killed and interrupted while they answer (2 minutes beside the others)"),
}


def main() -> int:
    """Parse, attack, report."""
    given = _arguments()
    names = [name for name, attack in ATTACKS.items() if name in (given.only or ATTACKS)]
    if given.engine == "scripted":
        names = [name for name in names if not ATTACKS[name].only_vllm]
    print(f"engine {given.engine}, seed {given.seed}, {given.minutes:g} minutes: {', '.join(names)}", flush=True)
    wrong = asyncio.run(_attack(given, names))
    for words in wrong[:40]:
        print(f"WRONG: {words}")
    print(f"\n{len(wrong)} things were wrong" if wrong else "\nnothing was wrong")
    return 1 if wrong else 0


def _arguments() -> argparse.Namespace:
    attacks = "\n".join(f"  {name:8} {attack.about}" for name, attack in ATTACKS.items())
    parser = argparse.ArgumentParser(
        prog="make attack ARGS=...",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Start a server and attack it in every way that a client could, while a bystander of another\n"
        "tenant streams and /health is asked. Every transcript of every client is held against every\n"
        "other of the same response. The exit status is 1 if anything was wrong.",
        epilog=f"attacks:\n{attacks}\n\nexamples:\n"
        "  make attack                                          all of them, 3 minutes and the signals\n"
        '  make attack ARGS="--only fuzz --minutes 60"          an hour of random requests\n'
        '  make attack ARGS="--only soak --minutes 30"          is memory flat?\n'
        '  make attack ARGS="--engine scripted --only cuts"     the server without a model, 250 tokens/s a client',
    )
    parser.add_argument("--engine", choices=("vllm", "scripted"), default="vllm", help="default: vllm, starter model")
    parser.add_argument("--minutes", type=float, default=3, help="time for the attacks together (default: 3)")
    parser.add_argument("--seed", type=int, default=0, help="of all that is random in the attacks (default: 0)")
    parser.add_argument("--only", metavar="NAME", action="append", choices=ATTACKS, help="this one; may be repeated")
    parser.add_argument("--log", metavar="FILE", type=Path, help="write the server's log to this file at the end")
    parser.add_argument("flags", nargs="*", help="after --: further flags for `realtime serve`")
    return parser.parse_args()


async def _attack(given: argparse.Namespace, names: Sequence[str]) -> list[str]:
    arena = Arena(0, given.seed)
    on_one_server = [name for name in names if ATTACKS[name].run is not None]
    if on_one_server:
        async with started(given.engine, "--log-level", "warning", *given.flags) as target:
            await target.ready()
            arena.bystanders = 1
            arena.port, arena.key, arena.others_key = target.port, target.keys["ada"], target.keys["eve"]
            await _on_one_server(given, arena, target, on_one_server)
            if given.log:
                given.log.write_text(target.log)
        _report(arena)
    if "signals" in names:
        await signals.endings(
            given.engine, arena.tally, arena.oracle, lambda text: print(f"-- signals: {text}", flush=True)
        )
        _report(arena)
    return arena.oracle.faults + arena.tally.wrong


async def _on_one_server(given: argparse.Namespace, arena: Arena, target: Target, names: Sequence[str]) -> None:
    before = target.core_pids
    rows: list[tuple[str, dict[str, Any]]] = []
    total = sum(ATTACKS[name].weight for name in names)
    async with Watch(target.port, target.server.pid, target.keys["bob"]) as watch:
        for name, run in (("nobody", None), ("ordinary", ordinary), *((name, ATTACKS[name].run) for name in names)):
            seconds = given.minutes * 60 * ATTACKS[name].weight / total if name in ATTACKS else CONTROL_SECONDS
            print(
                f"-- {name}: {ATTACKS[name].about if name in ATTACKS else 'to compare with'}, {seconds:.0f} s",
                flush=True,
            )
            await watch.phase()
            await _run(arena, name, run, seconds)
            rows.append((name, await watch.phase()))
            await asyncio.sleep(REST_SECONDS)  # see there
            print(f"   {_line(rows[-1][1])}", flush=True)
        await asyncio.sleep(REST_SECONDS)  # memory comes back
        rows.append(("at rest", await watch.phase()))
    _table(rows)
    for name, figures in rows:
        if figures["health_failed"] or figures["broken"]:
            arena.tally.wrong.append(f"{name}: /health failed {figures['health_failed']} times, {figures['broken']}")
    if target.core_pids != before:
        arena.tally.wrong.append(f"the engine's processes were {before} and are {target.core_pids}")
    arena.tally.wrong += [f"in the log: {line}" for line in target.complaints()[:9]]


async def _run(arena: Arena, name: str, run: Callable[..., Any] | None, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    arena.round += 1
    try:
        if run is None:
            await asyncio.sleep(seconds)  # what there is to see when nobody attacks
        else:
            await run(arena, lambda: time.monotonic() >= deadline)
    except* Exception as failed:
        arena.tally.wrong.append(f"{name}: {[f'{type(one).__name__}: {one}'[:300] for one in _flat(failed)][:3]}")


def _flat(failed: BaseException) -> list[BaseException]:
    if isinstance(failed, BaseExceptionGroup):
        return [one for inner in failed.exceptions for one in _flat(inner)]
    return [failed]


def _line(figures: dict[str, Any]) -> str:
    return (
        f"gap at most {figures['gap_max_ms']:.0f} ms ({figures['over_100_ms']} over 100), /health p99 "
        f"{figures['health_p99_ms']:.0f} ms, memory {figures['server_peak']} + {figures['core_peak']} MiB at most"
    )


def _table(rows: Sequence[tuple[str, dict[str, Any]]]) -> None:
    columns = {
        "gap max ms": "gap_max_ms", "p99": "gap_p99_ms", "> 100": "over_100_ms", "events": "events",
        "health p99": "health_p99_ms", "max": "health_max_ms", "failed": "health_failed",
        "server MiB peak": "server_peak", "after": "server_now", "core MiB peak": "core_peak", "after ": "core_now",
    }  # fmt: skip
    cells = [[name, *(figures[column] for column in columns.values())] for name, figures in rows]
    table("what a bystander of another tenant and the operator saw", ["attack", *columns], cells)


def _report(arena: Arena) -> None:
    tally, oracle = arena.tally, arena.oracle
    begun, recovered = tally["answers begun"], tally["answers recovered"]
    rows: list[tuple[str, Any]] = sorted(tally.counts.items())
    rows += [("resumes", len(tally.resumes)), ("  p50, ms", percentile(tally.resumes, 0.5) * 1e3),
             ("  p99, ms", percentile(tally.resumes, 0.99) * 1e3),
             ("recovered, %", 100 * recovered / begun if begun else 100.0),
             ("events heard", oracle.num_events), ("transcripts checked", oracle.num_checked),
             ("mismatches", len(oracle.faults))]  # fmt: skip
    rows += [(f"{name}, s", seconds) for name, seconds in tally.measured.items()]
    table("what was done", ["", ""], rows)
    told = sorted(tally.refusals.items())
    table("what was answered", ["to", "with", "times"], [(what, code, count) for (what, code), count in told])


if __name__ == "__main__":
    sys.exit(main())
