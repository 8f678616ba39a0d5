"""What a tenant is told of its wait, its limits and its pauses tells of the work of others, and not of whose it is."""

from __future__ import annotations

import random
from typing import Any

import pytest

from realtime.engine.base import Capacity
from realtime.runs.job import ServiceClass
from realtime.service.scheduler import Full, Scheduler, Ticket, Used
from realtime.settings.tenants import TenantLimits


def told(others: list[str], seed: int) -> list[Any]:
    """Play some traffic; return everything that tenant `me` is told. `others`: the names of those who do the rest."""
    used: dict[str, Used] = {}
    rng, seen, running = random.Random(seed), list[Any](), list[str]()
    scheduler = Scheduler(
        max_running=3, max_waiting=8, used=used.get, capacity=lambda: Capacity(kv_tokens=3000, step_tokens=500),
        tenant_share=lambda: 0.7, may_put_aside=lambda name: True,
        limits_of=lambda tenant: TenantLimits(requests_per_minute=40, tokens_per_minute=9000, max_waiting=5),
    )  # fmt: skip
    names: dict[str, int] = {}
    leaving: list[str] = []

    def admitted(found: list[str]) -> None:
        running.extend(found)
        seen.extend(("runs", name) for name in found if names[name] == 0)

    for number in range(150):
        now, step, who = number * 0.5, rng.random(), rng.randrange(3)
        size, service_class = rng.randint(10, 400), rng.choice(list(ServiceClass))
        if step < 0.5:
            name, tenant = f"r{number}", ["me", *others][who]
            names[name] = who
            ticket = Ticket(
                response_id=name, tenant=tenant, service_class=service_class, num_input=size,
                prefixes=(f"p{size % 4}",), leaves=(f"p{size % 4}",),
            )  # fmt: skip
            try:
                if scheduler.offer(ticket, now):
                    admitted([name])
                outcome: Any = "taken"
            except Full as full:
                outcome = type(full).__name__, full.retry_after
            if who == 0:
                seen.append(outcome)
        elif running and step < 0.8:
            name = running.pop(rng.randrange(len(running)))
            leaving = [one for one in leaving if one != name]
            admitted(scheduler.finish(name, now, used.pop(name, Used(size, 0, 3))))
        else:
            for name in running:
                before = used.get(name, Used(size))
                used[name] = before._replace(num_output=before.num_output + 7)
            admitted(scheduler.handle_deadline(now).admitted)
        leaving += scheduler.to_put_aside(now)
        if leaving and step > 0.6:
            name = leaving.pop(0)
            running.remove(name)
            admitted(scheduler.was_put_aside(name, now))
        seen.append([
            (name, scheduler.place(name, now), scheduler.is_put_aside(name)) for name, who in names.items() if who == 0
        ])  # fmt: skip
        seen.append(scheduler.allowances("me", now))
    return seen


@pytest.mark.parametrize("seed", range(4))
def test_who_the_others_are_makes_no_difference(seed: int) -> None:
    """Other names, and other orders of them: all that a tenant sees stays the same, to the last digit."""
    expected = told(["anna", "bert"], seed)
    assert len(str(expected)) > 5000
    for others in (["bert", "anna"], ["zoe", "0"], ["x" * 64, "me too"]):
        assert told(others, seed) == expected
