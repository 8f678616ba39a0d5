"""An engine and its clients in simulated time, behind the real scheduler: hours of traffic in seconds.

The engine batches continuously: in each step every running request gets a token, and prompts are read in chunks with
what is left of the step's budget. It keeps prefixes in its cache until they must go. Steps in which nothing begins or
ends are taken together. Nothing here has a clock, and a seed decides everything.
"""

from __future__ import annotations

import heapq
import itertools
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from typing import Protocol

import msgspec

from realtime.engine.base import Capacity
from realtime.runs.job import ServiceClass
from realtime.service.scheduler import AsideRules, Full, Scheduler, Ticket, Used
from realtime.settings.tenants import UNLIMITED, TenantLimits


class Model(msgspec.Struct, frozen=True):
    """The speed and the capacity of an engine, similar to a model of 8 billion weights on one H100."""

    step_seconds: float = 0.008
    seconds_per_sequence: float = 0.00005
    seconds_per_prompt_token: float = 0.00002
    step_tokens: int = 8192
    max_requests: int = 64
    kv_tokens: int = 400_000

    def step(self, num_running: int, num_read: int) -> float:
        """Return the seconds that a step takes."""
        return self.step_seconds + num_running * self.seconds_per_sequence + num_read * self.seconds_per_prompt_token


class Request(msgspec.Struct):
    """One request and its progress. `shared`: tokens that its prompt has in common with the previous one of its
    session. `then`: the next one of its session, and how long after this one's end it comes.
    """

    name: str
    tenant: str
    at: float
    num_prompt: int
    num_output: int
    session: str | None = None
    shared: int = 0
    service_class: ServiceClass = ServiceClass.DEFAULT
    kind: str = ""
    then: tuple[float, Request] | None = None
    max_output: int | None = None
    # what becomes of it
    num_cached: int = 0
    num_read: int = 0
    num_generated: int = 0
    estimates: list[tuple[float, float]] = []  # when it was told how long it will wait
    admitted_at: float | None = None
    first_at: float | None = None
    first_step: int = 0
    came_step: int = 0
    ended_at: float | None = None
    refused: bool = False
    num_again: int = 0  # tokens that were read or made before it was put aside, and have to be read once more
    num_aside: int = 0
    aside_at: float = 0.0
    longest_pause: float = 0.0

    @property
    def left_to_read(self) -> int:
        """Return the tokens of its prompt that are neither cached nor read, and those to be read once more."""
        return self.num_prompt - self.num_cached - self.num_read + self.num_again

    def read(self, number: int) -> None:
        """Read so many tokens."""
        again = min(number, self.num_again)
        self.num_again -= again
        self.num_read += number - again

    def put_aside(self, now: float) -> None:
        """Abort it in the engine; nothing of it stays in the cache."""
        self.num_again = self.num_cached + self.num_read + self.num_generated
        self.num_aside += 1
        self.aside_at = now

    @property
    def used(self) -> Used:
        """Return its usage in the service's form."""
        reading = self.left_to_read if self.first_at is None else 0
        return Used(self.num_prompt, self.num_cached, self.num_generated, reading)

    @property
    def ticket(self) -> Ticket:
        """Return its ticket in the service's form."""
        session = () if self.session is None else (self.session,)
        return Ticket(
            response_id=self.name, tenant=self.tenant, service_class=self.service_class, num_input=self.num_prompt,
            max_output=self.max_output,
            prefixes=session if self.shared else (), leaves=session,
        )  # fmt: skip


class Queue(Protocol):
    """The queue in front of the engine."""

    def offer(self, ticket: Ticket, now: float) -> bool: ...

    def finish(self, response_id: str, now: float, used: Used) -> list[str]: ...

    def progressed(self, now: float) -> list[str]: ...

    def to_put_aside(self, now: float) -> list[str]: ...

    def was_put_aside(self, response_id: str, now: float) -> list[str]: ...

    def estimate(self, response_id: str, now: float) -> float | None: ...


class FirstCome:
    """A queue that is first come, first served, with as many at once as the engine takes."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._waiting: deque[str] = deque()

    def offer(self, ticket: Ticket, now: float) -> bool:
        if self._free:
            self._free -= 1
            return True
        self._waiting.append(ticket.response_id)
        return False

    def finish(self, response_id: str, now: float, used: Used) -> list[str]:
        if self._waiting:
            return [self._waiting.popleft()]
        self._free += 1
        return []

    def progressed(self, now: float) -> list[str]:
        return []

    def to_put_aside(self, now: float) -> list[str]:
        return []

    def was_put_aside(self, response_id: str, now: float) -> list[str]:
        raise AssertionError("none was to be put aside")

    def estimate(self, response_id: str, now: float) -> float | None:
        return None


class Fair:
    """The server's own queue."""

    def __init__(
        self, model: Model, requests: dict[str, Request], *, max_waiting: int = 100_000, share: float = 0.5,
        limits_of: Callable[[str], TenantLimits] = lambda tenant: UNLIMITED, aside_rules: AsideRules | None = None,
    ) -> None:  # fmt: skip
        capacity = Capacity(model.max_requests, model.kv_tokens, model.step_tokens)
        self.scheduler = Scheduler(
            max_running=model.max_requests, max_waiting=max_waiting, tenant_share=lambda: share, limits_of=limits_of,
            used=lambda name: requests[name].used, capacity=lambda: capacity, aside_rules=aside_rules,
            may_put_aside=lambda name: True,
        )  # fmt: skip

    def offer(self, ticket: Ticket, now: float) -> bool:
        return self.scheduler.offer(ticket, now)

    def finish(self, response_id: str, now: float, used: Used) -> list[str]:
        return self.scheduler.finish(response_id, now, used)

    def progressed(self, now: float) -> list[str]:
        return self.scheduler.handle_deadline(now).admitted

    def to_put_aside(self, now: float) -> list[str]:
        return self.scheduler.to_put_aside(now)

    def was_put_aside(self, response_id: str, now: float) -> list[str]:
        return self.scheduler.was_put_aside(response_id, now)

    def estimate(self, response_id: str, now: float) -> float | None:
        place = self.scheduler.place(response_id, now)
        return place.seconds if place is not None else None


class World:
    """A queue, an engine and their requests. `run` simulates all of it."""

    def __init__(self, model: Model, make_queue: Callable[[dict[str, Request]], Queue]) -> None:
        self.model = model
        self.requests: dict[str, Request] = {}
        self.queue = make_queue(self.requests)
        self.now = 0.0
        self.num_steps = 0
        self.busy_seconds = 0.0
        self.watch: Callable[[World], None] | None = None
        self._coming: list[tuple[float, int, Request]] = []
        self._numbers = itertools.count()
        self._inside: deque[Request] = deque()  # the engine's own queue, by priority
        self._running: list[Request] = []
        self._held = 0  # tokens of what runs
        self._cache: OrderedDict[str, int] = OrderedDict()  # session -> tokens
        self._num_cached = 0

    def run(self, requests: Iterable[Request], until: float = float("inf")) -> None:
        """Simulate until the last of these and of their successors is over, or the time is."""
        for request in requests:
            self._expect(request)
        while (self._coming or self._running or self._inside) and self.now < until:
            if not self._running and not self._inside:
                self.now = max(self.now, self._coming[0][0])
            self._take_what_came()
            self._enter_batch()
            if self._running:
                self._step()
            if self.watch is not None:
                self.watch(self)

    def _expect(self, request: Request) -> None:
        heapq.heappush(self._coming, (request.at, next(self._numbers), request))

    def _take_what_came(self) -> None:
        while self._coming and self._coming[0][0] <= self.now:
            request = heapq.heappop(self._coming)[2]
            self.requests[request.name] = request
            request.came_step = self.num_steps
            try:
                if self.queue.offer(request.ticket, self.now):
                    self._admit([request.name])
                else:
                    self._make_room()
                    self._tell(request)
            except Full:
                request.refused = True

    def _make_room(self) -> None:
        """Put requests aside whose places others need: the engine aborts them between two steps."""
        for name in self.queue.to_put_aside(self.now):
            request = self.requests[name]
            if request in self._inside:
                self._inside.remove(request)
            else:
                self._running.remove(request)
                self._held -= request.num_prompt + request.num_output
            request.put_aside(self.now)
            self._admit(self.queue.was_put_aside(name, self.now))

    def _tell(self, request: Request) -> None:
        if (seconds := self.queue.estimate(request.name, self.now)) is not None:
            request.estimates.append((self.now, seconds))

    def _admit(self, names: Iterable[str]) -> None:
        for name in names:
            request = self.requests[name]
            if request.admitted_at is None:
                request.admitted_at = self.now
            else:
                request.longest_pause = max(request.longest_pause, self.now - request.aside_at)
            self._inside.append(request)

    def _enter_batch(self) -> None:
        """Let requests of the engine's own queue in, first come, first served within a priority."""
        while self._inside and len(self._running) < self.model.max_requests:
            request = min(self._inside, key=lambda one: one.service_class)
            need = request.num_prompt + request.num_output
            if self._running and self._held + need > self.model.kv_tokens:
                return
            self._inside.remove(request)
            self._running.append(request)
            self._held += need
            if request.session is not None and request.shared and not request.num_aside:
                request.num_cached = min(request.shared, self._cache.get(request.session, 0), request.num_prompt - 1)
            self._evict()

    def _step(self) -> None:
        budget = self.model.step_tokens - len(self._running)
        reading = [one for one in self._running if one.left_to_read > 0]
        if not reading:
            self._decode()
            return
        num_decoding, num_read = len(self._running) - len(reading), 0
        for one in self._running:
            if one.left_to_read <= 0:
                one.num_generated += 1
                continue
            chunk = min(one.left_to_read, budget, self.model.step_tokens // 2)
            one.read(chunk)
            budget -= chunk
            num_read += chunk
            if one.left_to_read <= 0:
                one.num_generated += 1
        self._pass(1, num_decoding, num_read)
        for one in reading:
            if one.left_to_read <= 0 and one.first_at is None:
                one.first_at, one.first_step = self.now, self.num_steps
        self._end_those_over()
        self._admit(self.queue.progressed(self.now))
        self._make_room()

    def _decode(self) -> None:
        """Take steps until something ends or comes."""
        seconds = self.model.step(len(self._running), 0)
        steps = min(one.num_output - one.num_generated for one in self._running)
        if self._coming:
            steps = min(steps, int((self._coming[0][0] - self.now) / seconds) + 1)
        steps = max(1, steps)
        for one in self._running:
            one.num_generated += steps
        self._pass(steps, len(self._running), 0)
        self._end_those_over()

    def _pass(self, steps: int, num_running: int, num_read: int) -> None:
        seconds = steps * self.model.step(num_running, num_read)
        self.now += seconds
        self.busy_seconds += seconds
        self.num_steps += steps

    def _end_those_over(self) -> None:
        for one in [one for one in self._running if one.num_generated >= one.num_output and one.left_to_read <= 0]:
            self._running.remove(one)
            self._held -= one.num_prompt + one.num_output
            one.ended_at = self.now
            if one.session is not None:
                self._num_cached += one.num_prompt + one.num_output - self._cache.pop(one.session, 0)
                self._cache[one.session] = one.num_prompt + one.num_output
                self._evict()
            if one.then is not None:
                pause, following = one.then
                following.at = self.now + pause
                self._expect(following)
            self._admit(self.queue.finish(one.name, self.now, one.used))
        self._make_room()

    def _evict(self) -> None:
        """Evict the least recently used prefixes, for running requests."""
        while self._cache and self._num_cached + self._held > self.model.kv_tokens:
            _, num_tokens = self._cache.popitem(last=False)
            self._num_cached -= num_tokens
