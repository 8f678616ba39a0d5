"""A network in memory: what asyncio's transports are, with a delay, and ways that are cut between two processes.

A way that is silent holds what is sent, as a network does that comes back before anybody has given up; one that is
severed resets what is connected and refuses the rest.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from typing import Any

from .loop import Process, SimulatedLoop

_HIGH_WATER = 64 * 1024
_EOF, _RESET = object(), object()


class Listener:
    """What a server listens on. `Socket`, as far as uvicorn asks."""

    def __init__(self, port: int) -> None:
        self._port = port

    def getsockname(self) -> tuple[str, int]:
        """See socket."""
        return ("127.0.0.1", self._port)

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class _Server:
    """A listening process."""

    def __init__(self, process: Process, factory: Callable[[], Any]) -> None:
        self.process = process
        self.factory = factory
        self.closed = False
        self.sockets: tuple[()] = ()

    def close(self) -> None:
        """See asyncio.Server."""
        self.closed = True

    async def wait_closed(self) -> None:
        """See asyncio.Server."""


class Network:
    """See the module. Ways go from one process to another, by their names."""

    def __init__(self, loop: SimulatedLoop, rng: random.Random) -> None:
        self.loop = loop
        self.transports: list[Transport] = []
        self._rng = rng
        self._servers: dict[int, _Server] = {}
        self.cuts: list[tuple[frozenset[str], float, float]] = []  # ways that were cut, from when to when
        self._cut: dict[frozenset[str], float] = {}
        self._silent: set[tuple[str, str]] = set()
        self._severed: set[tuple[str, str]] = set()
        self._healed: list[Callable[[], None]] = []
        loop.network = self

    def delay(self) -> float:
        """Seconds that something takes now."""
        return self._rng.uniform(0.0002, 0.003)

    # -- faults

    def silence(self, one: str, other: str) -> None:
        """Have nothing come through from one to the other."""
        self._silent.add((one, other))
        self._cut.setdefault(frozenset((one, other)), self.loop.now)

    def sever(self, one: str, other: str) -> None:
        """Reset what is between two, and refuse more."""
        self._severed |= {(one, other), (other, one)}
        self._cut.setdefault(frozenset((one, other)), self.loop.now)
        for transport in list(self.transports):
            if {transport.process.name, transport.peer.process.name} == {one, other}:
                transport.fail()

    def heal_way(self, one: str, other: str) -> None:
        """Let everything through again between two."""
        for ways in (self._silent, self._severed):
            ways -= {(one, other), (other, one)}
        self._note_healed(frozenset((one, other)))
        self._tell_healed()

    def heal(self) -> None:
        """Let everything through again."""
        self._silent.clear()
        self._severed.clear()
        for way in list(self._cut):
            self._note_healed(way)
        self._tell_healed()

    def _note_healed(self, way: frozenset[str]) -> None:
        began = self._cut.pop(way, None)
        if began is not None:
            self.cuts.append((way, began, self.loop.now))

    def _tell_healed(self) -> None:
        healed, self._healed = self._healed, []
        for call in healed:
            call()

    def is_silent(self, one: str, other: str) -> bool:
        """Whether nothing comes through from one to the other."""
        return (one, other) in self._silent

    def is_severed(self, one: str, other: str) -> bool:
        """Whether two can't reach each other, and are told."""
        return (one, other) in self._severed

    def when_healed(self, call: Callable[[], None]) -> None:
        """Call something when a way is healed."""
        self._healed.append(call)

    def kill(self, process: Process) -> None:
        """End a process: its peers see their connections reset."""
        process.dead = True
        for server in self._servers.values():
            server.closed |= server.process is process
        for transport in [one for one in self.transports if one.process is process]:
            transport.die()

    # -- what asyncio asks for

    def listen(self, process: Process | None, factory: Callable[[], Any], port: int) -> _Server:
        """Have a process listen."""
        assert process is not None
        server = self._servers[port] = _Server(process, factory)
        return server

    async def connect(self, process: Process | None, factory: Callable[[], Any], port: int) -> tuple[Transport, Any]:
        """Connect to what listens there. Raises ConnectionRefusedError."""
        assert process is not None
        await asyncio.sleep(self.delay())
        server = self._servers.get(port)
        if server is not None:
            while self._silent & {(process.name, server.process.name), (server.process.name, process.name)}:
                healed = self.loop.create_future()
                self.when_healed(lambda healed=healed: healed.done() or healed.set_result(None))  # type: ignore[misc]
                await healed
            server = self._servers[port]
        if server is None or server.closed or self.is_severed(process.name, server.process.name):
            raise ConnectionRefusedError("nobody listens")
        here, there = Transport(self, process, port), Transport(self, server.process, 40_000)
        here.peer, there.peer = there, here
        self.transports += [here, there]
        protocol = factory()
        here.begin(protocol)
        server.process.soon(lambda: there.begin(server.factory()))
        return here, protocol


class Transport(asyncio.Transport):
    """One end of a connection."""

    peer: Transport

    def __init__(self, network: Network, process: Process, port: int) -> None:
        super().__init__({"peername": ("127.0.0.1", port), "sockname": ("127.0.0.1", 1)})
        self.process = process
        self._network = network
        self._protocol: Any = None
        self._way: deque[Any] = deque()  # what is under way to the peer
        self._arrived: deque[Any] = deque()
        self._last = 0.0  # when the newest of it arrives
        self._num_unread = 0  # bytes that the peer has not taken
        self._high, self._low = _HIGH_WATER, _HIGH_WATER // 4
        self._is_paused = self._is_full = False
        self._closing = self._over = False
        self._waits = False  # for a way to be healed

    def begin(self, protocol: Any) -> None:
        """Be connected."""
        self._protocol = protocol
        protocol.connection_made(self)
        self._take()

    # -- what protocols call

    def set_protocol(self, protocol: Any) -> None:
        self._protocol = protocol

    def get_protocol(self) -> Any:
        return self._protocol

    def is_closing(self) -> bool:
        return self._closing

    def can_write_eof(self) -> bool:
        return True

    def get_write_buffer_size(self) -> int:
        return self._num_unread

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._low, self._high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = _HIGH_WATER if high is None else high
        self._low = self._high // 4 if low is None else low

    def is_reading(self) -> bool:
        return not self._is_paused

    def pause_reading(self) -> None:
        self._is_paused = True

    def resume_reading(self) -> None:
        if self._is_paused:
            self._is_paused = False
            self.process.soon(self._take)

    def write(self, data: Any) -> None:
        if self._closing or not data:
            return
        self._num_unread += len(data)
        self._send(bytes(data))
        if self._num_unread > self._high and not self._is_full:
            self._is_full = True
            self._protocol.pause_writing()

    def write_eof(self) -> None:
        self._send(_EOF)

    def close(self) -> None:
        if not self._closing:
            self._send(_EOF)
            self._end(None)

    def abort(self) -> None:
        if not self._over:
            self._way.clear()
            self._send(_RESET)
            self._end(None)

    # -- faults

    def fail(self) -> None:
        """Be reset by the network."""
        self._way.clear()
        self._end(ConnectionResetError("reset"))

    def die(self) -> None:
        """Go with the process."""
        self._closing = self._over = True
        self._way.clear()
        self._send(_RESET)
        self._forget()

    # -- parts

    def _end(self, error: Exception | None) -> None:
        if self._over:
            return
        self._closing = self._over = True
        self._forget()
        self.process.soon(self._protocol_lost, error)

    def _protocol_lost(self, error: Exception | None) -> None:
        if self._protocol is not None:
            self._protocol.connection_lost(error)

    def _forget(self) -> None:
        if self in self._network.transports:
            self._network.transports.remove(self)

    def _send(self, what: Any) -> None:
        network = self._network
        self._way.append(what)
        self._last = max(self._last + 1e-7, network.loop.now + network.delay())
        network.loop.call_at_nobodys(self._last, self._arrive)

    def _arrive(self) -> None:
        """The oldest of what is under way is there, if the way is open."""
        network, way = self._network, (self.process.name, self.peer.process.name)
        if network.is_silent(*way):
            if not self._waits:
                self._waits = True
                network.when_healed(self._go_on)
            return
        if self._way and not self._waits:
            self.peer.receive(self._way.popleft())

    def _go_on(self) -> None:
        self._waits = False
        if self._network.is_silent(self.process.name, self.peer.process.name):
            self._arrive()
            return
        while self._way:
            self.peer.receive(self._way.popleft())

    def receive(self, what: Any) -> None:
        """Take what has come over the network."""
        if not self._over:
            self._arrived.append(what)
            self.process.soon(self._take)

    def _take(self) -> None:
        while self._arrived and self._protocol is not None and not self._is_paused and not self._over:
            what = self._arrived.popleft()
            if what is _RESET:
                self._end(ConnectionResetError("reset"))
            elif what is _EOF:
                if not self._protocol.eof_received():
                    self.close()
            else:
                self.peer.taken(len(what))
                self._protocol.data_received(what)

    def taken(self, num_bytes: int) -> None:
        """The peer has taken so much."""
        self._num_unread -= num_bytes
        if self._is_full and self._num_unread <= self._low:
            self._is_full = False
            self.process.soon(self._protocol.resume_writing)
