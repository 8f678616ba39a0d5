"""Traffic for the simulated engine: floods, and a day of chats, tool loops, documents, batch jobs and
occasional users.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator

from realtime.runs.job import ServiceClass

from .simulated import Request

HOUR = 3600.0
_numbers = itertools.count()


def flood(number: int, seed: int = 1) -> Iterator[Request]:
    """Yield long requests of one tenant, all at once."""
    rng = random.Random(seed)
    for _ in range(number):
        yield _request("flood", 0.0, rng.randint(4000, 12_000), rng.randint(500, 1500), kind="flood")


def steady(tenant: str, every: float, number: int, begin: float = 0.0, seed: int = 2) -> Iterator[Request]:
    """Yield short requests, one after the other."""
    rng = random.Random(seed)
    at = begin
    for _ in range(number):
        at += rng.expovariate(1 / every)
        yield _request(tenant, at, rng.randint(100, 1500), rng.randint(50, 300), kind="short")


def loop(tenant: str, name: str, at: float, calls: int = 20, seed: int = 3) -> Request:
    """Return a tool loop: each call brings the whole history, and comes when the tool has answered."""
    rng = random.Random(seed)
    prompt, following = 4000 + 400 * calls, None
    for number in reversed(range(calls)):
        output = rng.randint(40, 120)
        prompt -= 400
        request = _request(tenant, at, prompt, output, session=name, shared=prompt - 400 if number else 0, kind="loop")
        if following is not None:
            request.then = (rng.uniform(0.2, 2.0), following)
        following = request
    assert following is not None
    return following


def day(seed: int = 0, hours: float = 24.0) -> Iterator[Request]:
    """Yield all kinds of traffic, enough to saturate the engine at times."""
    rng = random.Random(seed)
    for number in range(8):
        yield from _chats(f"chat{number}", rng, hours)
    for number in range(int(hours * 24)):
        yield loop("agents", f"loop{number}", rng.uniform(0, hours * HOUR), seed=rng.randrange(1 << 30))
    for number in range(int(hours * 3)):
        at = (number + rng.random()) * HOUR / 3
        for _ in range(80):
            yield _request("documents", at, rng.randint(6000, 14_000), rng.randint(200, 600), kind="document")
    for at in (hours * HOUR / 12, hours * HOUR / 2):
        for _ in range(500):
            yield _request("batch", at, rng.randint(500, 3000), rng.randint(100, 800), kind="batch", batch=True)
    for _ in range(200):
        at = hours * HOUR / 2 + rng.uniform(0, HOUR)
        yield _request("guest", at, rng.randint(100, 2000), rng.randint(50, 500), kind="chat")


def _chats(tenant: str, rng: random.Random, hours: float) -> Iterator[Request]:
    """Yield conversations of a few turns, more of them by day than at night."""
    at, number = 0.0, 0
    while at < hours * HOUR:
        busy = 0.2 + 0.8 * math.sin(math.pi * at / (hours * HOUR)) ** 2
        at += rng.expovariate(busy / 200)
        number += 1
        yield _chat(tenant, f"{tenant}.{number}", at, rng)


def _chat(tenant: str, session: str, at: float, rng: random.Random) -> Request:
    turns, following = rng.randint(1, 6), None
    sizes = [(rng.randint(50, 800), min(1500, int(rng.lognormvariate(5.2, 0.7)) + 1)) for _ in range(turns)]
    history = [sum(map(sum, sizes[:number])) for number in range(turns)]
    for number in reversed(range(turns)):
        new, output = sizes[number]
        request = _request(
            tenant, at, history[number] + new, output, session=session, shared=history[number], kind="chat"
        )
        if following is not None:
            request.then = (rng.uniform(5, 60), following)
        following = request
    assert following is not None
    return following


def _request(
    tenant: str, at: float, num_prompt: int, num_output: int, *, kind: str, session: str | None = None,
    shared: int = 0, batch: bool = False,
) -> Request:  # fmt: skip
    service_class = ServiceClass.BATCH if batch else ServiceClass.DEFAULT
    name = f"{tenant}-{next(_numbers)}"
    return Request(name, tenant, at, num_prompt, num_output, session, shared, service_class, kind)
