"""Stores whose look-ups wait until the test lets them go, one by one or by name, in any order, or fail.

    stores, gate = slow_stores(settings)
    gate.hold("responses.get")
    ...                            # somebody looks up a response
    await gate.reached("responses.get")
    gate.let_go("responses.get")   # or gate.fail("responses.get")

What they keep is kept by the stores in memory, in `gate.memory`. Names are `responses.get`, `requests.claim` and so on.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, cast

import msgspec

from realtime.settings.fields import ResponseSettings
from realtime.store.base import ConversationStore, RequestStore, ResponseStore, Stores
from realtime.store.memory.conversations import MemoryConversations
from realtime.store.memory.requests import MemoryRequests
from realtime.store.memory.responses import MemoryResponses
from realtime.store.memory.stores import memory_stores

from .steps import until


class Memory(msgspec.Struct, frozen=True):
    """The stores behind the gate."""

    responses: MemoryResponses
    conversations: MemoryConversations
    requests: MemoryRequests


class Waiting(msgspec.Struct, eq=False):
    """A look-up that waits."""

    name: str
    arguments: tuple[Any, ...]
    go: asyncio.Future[None]


class Gate:
    """What look-ups pass. It stands open at first.

    asks_first: what waits has its answer already, which may be out of date when it arrives; else it asks only then.
    broken: names of look-ups and writes that fail at once.
    """

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.asks_first = False
        self.broken: set[str] = set()
        self.waiting: list[Waiting] = []
        self._holds: Callable[[str], bool] = lambda name: False

    def hold(self, *names: str) -> None:
        """From now on look-ups of these names wait; without a name, all do."""
        self.hold_if(lambda name: not names or name in names)

    def hold_if(self, holds: Callable[[str], bool]) -> None:
        """From now on look-ups wait whose names it holds true of."""
        self._holds = holds

    def open(self) -> None:
        """Let go of everything, now and later."""
        self.hold_if(lambda name: False)
        while self.waiting:
            self.let_go()

    def let_go(self, name: str | None = None, index: int = 0) -> None:
        """Let one go that waits: the first, or another one, of this name or of any."""
        self._take(name, index).go.set_result(None)

    def fail(self, name: str | None = None, index: int = 0, error: BaseException | None = None) -> None:
        """Have one fail that waits."""
        self._take(name, index).go.set_exception(error or OSError("the disk is gone"))

    def num_waiting(self, name: str | None = None) -> int:
        """How many wait, of this name or of any."""
        return len(self._named(name))

    async def reached(self, name: str | None = None, number: int = 1) -> None:
        """Wait until so many wait."""
        await until(lambda: self.num_waiting(name) == number, f"{number} look-ups at {name}")

    def _named(self, name: str | None) -> list[Waiting]:
        return [one for one in self.waiting if name in (None, one.name)]

    def _take(self, name: str | None, index: int) -> Waiting:
        waiting = self._named(name)[index]
        self.waiting.remove(waiting)
        return waiting

    # -- what the stores call

    async def look_up(self, name: str, ask: Callable[..., Coroutine[Any, Any, Any]], *arguments: Any) -> Any:
        """Do it when it may."""
        self.check(name)
        if not self._holds(name):
            return await ask(*arguments)
        early = await ask(*arguments) if self.asks_first else None
        waiting = Waiting(name, arguments, asyncio.get_running_loop().create_future())
        self.waiting.append(waiting)
        try:
            await waiting.go
        finally:
            if waiting in self.waiting:  # it was cancelled
                self.waiting.remove(waiting)
        return early if self.asks_first else await ask(*arguments)

    def check(self, name: str) -> None:
        """Raise what is broken here."""
        if name in self.broken:
            raise OSError(f"{name} is broken")


class _Slow:
    """A store of which the coroutines go through the gate."""

    def __init__(self, store: Any, kind: str, gate: Gate) -> None:
        self._store = store
        self._kind = kind
        self._gate = gate

    def __getattr__(self, name: str) -> Any:
        method, full = getattr(self._store, name), f"{self._kind}.{name}"
        if inspect.iscoroutinefunction(method):
            return functools.partial(self._gate.look_up, full, method)
        return functools.partial(self._write, full, method)

    def _write(self, name: str, method: Callable[..., Any], *arguments: Any) -> Any:
        self._gate.check(name)
        return method(*arguments)


def slow_stores(settings: ResponseSettings | None = None) -> tuple[Stores, Gate]:
    """Make three stores and their gate."""
    stores = memory_stores(settings or ResponseSettings())
    assert isinstance(stores.responses, MemoryResponses)
    assert isinstance(stores.conversations, MemoryConversations)
    assert isinstance(stores.requests, MemoryRequests)
    memory = Memory(stores.responses, stores.conversations, stores.requests)
    gate = Gate(memory)
    responses = cast(ResponseStore, _Slow(memory.responses, "responses", gate))
    conversations = cast(ConversationStore, _Slow(memory.conversations, "conversations", gate))
    return Stores(responses, conversations, cast(RequestStore, _Slow(memory.requests, "requests", gate))), gate


def assert_nothing_left(service: Any, gate: Gate) -> None:
    """Nothing runs, waits or is held any more, and every claim is that of a response that is kept."""
    responses, requests = gate.memory.responses, gate.memory.requests
    assert not service.num_running
    assert not service.run_tasks.tasks
    assert not any(lock.locked() for lock in service._creation._tries.values())
    assert not service._patience._waits
    assert service.queue.scheduler.num_running == service.queue.scheduler.num_waiting == 0
    assert not service.queue.scheduler._groups._sizes
    assert not gate.waiting
    assert not responses._tips
    assert {claim.response_id for claim in requests._claims.values()} <= set(responses._kept)
    assert set(requests._keys) == {claim.response_id for claim in requests._claims.values()}
    conversations = [
        conversation
        for shelf in gate.memory.conversations._tenants.values()
        for conversation in shelf.conversations.values()
    ]
    assert not any(conversation.num_users for conversation in conversations)
    assert gate.memory.conversations.num_bytes == sum(one.num_bytes for one in conversations)
