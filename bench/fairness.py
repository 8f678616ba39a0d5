"""Fairness: the server's scheduler compared with first come, first served, on a simulated engine.

Nothing here measures a machine: the figures are the same on each, and a seed decides all of them.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from realtime.service.scheduler import Prices

from . import plan
from .measure import progress
from .simulated import Fair, FirstCome, Model, Request, World
from .traffic import HOUR, day, flood, loop, steady

MODEL = Model()
QUEUES = ("fair shares", "first come")
FLOODS = (100, 1000)


class Size(plan.Size, frozen=True, kw_only=True):
    """A size of this target: hours of a simulated day."""

    hours: float


SIZES: dict[plan.Name, Size] = {
    "long": Size(text="a whole day, simulated", hours=24.0, work=25),
    "full": Size(text="six hours of a day, simulated", hours=6.0, work=6),
    "short": Size(text="three hours of a day, simulated", hours=3.0, work=3),
    "quick": Size(text="three hours of a day, simulated", hours=3.0, work=3),
    "tiny": Size(text="a quarter of an hour, simulated", hours=0.25),
}


def run(share: plan.Share[Size], figures: dict[str, Any]) -> None:
    """Run the simulations, print tables, fill in the figures."""
    progress("floods, tool loops, the bound")
    figures |= {"floods": _floods(), "loops": _loops(), "bound": _bound()}
    hours = share.size.hours
    figures["day"] = {"hours": hours, "queues": {}}
    for queue in QUEUES:
        progress(f"a day of {hours:g} hours: {queue}")
        figures["day"]["queues"][queue] = _day(queue, hours)
    _print(figures)


def world(queue: str) -> World:
    """Return an engine behind one of the queues."""
    if queue == "first come":
        return World(MODEL, lambda requests: FirstCome(MODEL.max_requests))
    return World(MODEL, lambda requests: Fair(MODEL, requests))


def _floods() -> dict[str, Any]:
    """Return the times to the first token of short requests, alone and next to one tenant's flood, in seconds."""
    alone = _flooded("fair shares", 0)
    longest = MODEL.step(MODEL.max_requests, MODEL.step_tokens)
    figures: dict[str, Any] = {"alone": alone, "full_step": longest}
    for queue in QUEUES:
        figures[queue] = {str(number): _flooded(queue, number) for number in FLOODS}
    return figures


def _flooded(queue: str, number: int) -> float:
    here = world(queue)
    here.run([*flood(number), *steady("other", every=0.2, number=100, begin=0.5)])
    return _percentile([_first(one) for one in here.requests.values() if one.tenant == "other"], 0.99)


def _loops() -> dict[str, float]:
    """Return the share of a tool loop's prompts that comes from the cache."""
    loops = [loop("agents", f"l{number}", 0.3 * number, seed=number) for number in range(8)]
    found = {}
    for name in ("alone", *QUEUES):
        here = world("fair shares" if name == "alone" else name)
        fresh = [loop("agents", f"l{number}", 0.3 * number, seed=number) for number in range(len(loops))]
        beside = [] if name == "alone" else [*flood(300), *steady("other", every=0.2, number=300)]
        here.run([*fresh, *beside])
        found[name] = _hits(here.requests.values(), "loop")
    return found


def _bound() -> dict[str, float]:
    """Return the greatest difference in service of two tenants that wait all the time, and the bound of
    the algorithm.
    """
    here = world("fair shares")
    prices, differences = Prices(), [0.0]

    def watch(here: World) -> None:
        if here.num_steps % 16 == 0:
            waiting = {one.tenant for one in here.requests.values() if one.admitted_at is None}
            if len(waiting) == 2:
                served = dict.fromkeys(waiting, 0.0)
                for one in here.requests.values():
                    if one.admitted_at is not None:
                        served[one.tenant] += prices.of(one.used)
                differences.append(served["flood"] - served["other"])

    here.watch = watch
    here.run([*flood(200), *steady("other", every=0.0001, number=2000)])
    bound = 2 * max(prices.input * 12_000, prices.output * MODEL.kv_tokens)
    return {"difference": max(differences) - min(differences), "bound": bound}


def _day(queue: str, hours: float) -> dict[str, Any]:
    here, began = world(queue), time.perf_counter()
    here.run(day(hours=hours))
    requests = list(here.requests.values())
    told = [(guess, left) for one in requests for at, guess in one.estimates if (left := _left(one, at)) >= 1]
    good = sum(left / 2 <= guess <= left * 2 for guess, left in told)
    tokens = sum(one.num_prompt + one.num_generated for one in requests)
    kinds = sorted({one.kind for one in requests})
    return {
        "requests": len(requests),
        "took_seconds": round(time.perf_counter() - began, 1),
        "first_token_p50": {
            kind: _percentile([_first(one) for one in requests if one.kind == kind], 0.5) for kind in kinds
        },
        "first_token_p99": {
            kind: _percentile([_first(one) for one in requests if one.kind == kind], 0.99) for kind in kinds
        },
        "longest_wait": max(_first(one) for one in requests),
        "tokens_per_busy_second": tokens / here.busy_seconds,
        "loop_hits": _hits(requests, "loop"),
        "estimates": {"told": len(told), "within_two": good / len(told) if told else None},
        "busy": here.busy_seconds / (hours * HOUR),
    }


def _hits(requests: Iterable[Request], kind: str) -> float:
    of = [one for one in requests if one.kind == kind]
    return sum(one.num_cached for one in of) / sum(one.num_prompt for one in of)


def _first(one: Request) -> float:
    assert one.first_at is not None
    return one.first_at - one.at


def _left(one: Request, at: float) -> float:
    assert one.admitted_at is not None
    return one.admitted_at - at


def _percentile(values: list[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def _print(figures: dict[str, Any]) -> None:
    floods, days = figures["floods"], figures["day"]["queues"]
    alone, step = floods["alone"] * 1e3, floods["full_step"] * 1e3
    print(f"   first token of short requests, p99: alone {alone:.0f} ms, a full step {step:.0f} ms")
    for queue in QUEUES:
        beside = ", ".join(f"{number} long ones {floods[queue][str(number)] * 1e3:.0f} ms" for number in FLOODS)
        print(f"   {queue:12} beside {beside}")
    print(
        "   prompts of tool loops from the cache: "
        + ", ".join(f"{name} {hits:.1%}" for name, hits in figures["loops"].items())
    )
    print(f"   difference of service {figures['bound']['difference']:.0f}, bound {figures['bound']['bound']:.0f}")
    for queue, one in days.items():
        p99 = ", ".join(f"{kind} {seconds:.2f}" for kind, seconds in one["first_token_p99"].items())
        print(f"   {queue:12} a day: {one['requests']} requests in {one['took_seconds']} s, busy {one['busy']:.0%}")
        print(f"   {'':12} first token p99 in s: {p99}; longest {one['longest_wait']:.1f}")
        print(
            f"   {'':12} {one['tokens_per_busy_second']:.0f} tokens a busy second; loops {one['loop_hits']:.1%} cached"
        )
        print(f"   {'':12} estimates {one['estimates']}")
