"""The plan: the order in which the waiting responses are likely to run if no other came. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping

from realtime.runs.job import ServiceClass

from .counters import Counters
from .line import Line
from .tickets import Ticket


def plan(
    lines: Mapping[str, Line],
    tenants: Counters[str],
    classes: Counters[ServiceClass],
    cost_of: Callable[[Ticket], float],
) -> list[Ticket]:
    """Return the waiting responses in the order of their turns. `cost_of`: what a response is likely to cost. Groups
    and limits are ignored.
    """
    if len(lines) == 1:
        (line,) = lines.values()
        (*others, only) = line.classes()
        if not others:  # nobody to choose between
            return [ticket for _, ticket in line.planned(only)]
    served = {tenant: tenants[tenant] for tenant in lines}
    served_class = {one: classes[one] for one in ServiceClass}
    heaps: dict[ServiceClass, list[tuple[float, int, str]]] = {}
    queues: dict[tuple[ServiceClass, str], Iterator[tuple[int, Ticket]]] = {}
    heads: dict[tuple[ServiceClass, str], Ticket] = {}

    def bring(service_class: ServiceClass, tenant: str) -> None:
        number, ticket = next(queues[service_class, tenant], (0, None))
        if ticket is not None:
            heads[service_class, tenant] = ticket
            heapq.heappush(heaps.setdefault(service_class, []), (served[tenant], number, tenant))

    for tenant, line in lines.items():
        for service_class in line.classes():
            queues[service_class, tenant] = iter(line.planned(service_class))
            bring(service_class, tenant)
    order = []
    while heaps:
        service_class = min(heaps, key=lambda one: (served_class[one], one))
        heap = heaps[service_class]
        at, number, tenant = heap[0]
        if at != served[tenant]:  # it has been served in another class since
            heapq.heapreplace(heap, (served[tenant], number, tenant))
            continue
        heapq.heappop(heap)
        ticket = heads[service_class, tenant]
        order.append(ticket)
        cost = cost_of(ticket)
        served[tenant] += tenants.share_of(tenant, cost)
        served_class[service_class] += classes.share_of(service_class, cost)
        bring(service_class, tenant)
        if not heap:
            del heaps[service_class]
    return order
