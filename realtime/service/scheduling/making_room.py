"""The choice of answers to put aside, so that waiting interactive ones get a place. Pure."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from realtime.runs.job import ServiceClass

from .put_aside import PutAside
from .room import Holding, Occupancy
from .running import Running
from .tickets import Ticket
from .turns import Turns

MAX_AT_ONCE = 16  # that are on their way out
_MAX_TRIED = 8  # tenants, and answers, that are looked at for one that waits


class MakingRoom:
    """The choice of answers to put aside. served: the service that a tenant has had. `promised`: the tickets for which
    room is being made, by response id.
    """

    def __init__(self, turns: Turns, aside: PutAside, served: Callable[[str], float]) -> None:
        self.promised: dict[str, Ticket] = {}
        self._turns = turns
        self._aside = aside
        self._served = served

    def choose(self, running: Running, num_waiting: int, now: float) -> list[Holding]:
        """Choose responses to put aside, and mark them. `num_waiting`: of the interactive class.

        Those that are on their way out already make room for the first that wait.
        """
        self.promised, found = {}, list[Holding]()
        if not num_waiting:
            return found
        staying = [one for one in running.values() if not one.leaves]
        num_places = MAX_AT_ONCE - (len(running) - len(staying))
        occupancy = running.occupancy(now)
        while len(self.promised) < num_waiting and len(found) < num_places:
            beside = [*staying, *(Holding(one, now) for one in self.promised.values())]
            ticket, some = self._turns.next(occupancy.imagine(beside, now), now, self.promised), list[Holding]()
            if ticket is None:
                ticket, some = self._room_in(occupancy, beside, now)
            if ticket is None or ticket.service_class is not ServiceClass.INTERACTIVE:
                break
            self.promised[ticket.response_id] = ticket
            for one in some:
                one.leaves = True
                staying.remove(one)
            found += some
        return found

    def _room_in(self, occupancy: Occupancy, beside: list[Holding], now: float) -> tuple[Ticket | None, list[Holding]]:
        """Find an interactive response to make room for, and the fewest others whose places it needs."""
        willing = self._aside.most_willing(beside, self._served)
        first_of: dict[str, Holding] = {}
        for one in willing:
            first_of.setdefault(one.ticket.tenant, one)
        tried = [[one] for one in islice(first_of.values(), _MAX_TRIED)]
        tried += [willing[:number] for number in range(2, min(len(willing), _MAX_TRIED) + 1)]
        for some in tried:
            left = occupancy.imagine((one for one in beside if one not in some), now)
            ticket = self._turns.next(left, now, self.promised)
            if ticket is not None and ticket.service_class is ServiceClass.INTERACTIVE:
                return ticket, some
        return None, []
