"""The door for other nodes: one socket for each node, on which it asks and is answered.

The door answers nobody who has not proved to have the cluster's secret (`strangers`). After that it trusts the node to
name the principal on whose behalf it asks. A followed response is read from its log at a cursor of its own, as for a
client: while the other node does not read, no work is done for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Coroutine
from typing import Any, Protocol

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect

from realtime.observability.instruments import Tally
from realtime.runs.run import Run
from realtime.service.directory import RETRY_SECONDS, TriedElsewhere, node_unavailable
from realtime.service.forgotten import Forgotten
from realtime.service.service import Service
from realtime.service.truncations import CutResponse
from realtime.store import cursor
from realtime.store.cluster.membership import HeldElsewhere
from realtime.store.copied_log import State
from realtime.store.event_log import BelowFloor
from realtime.store.records import Source
from realtime.wire import codec
from realtime.wire.codec import Limits
from realtime.wire.errors import CloseCode, ErrorCode, WireError
from realtime.wire.requests import place_of

from ..cluster_settings import Node
from . import messages
from .messages import Answered, Ask, Asked, Attend, Began, Create, Done, Ended, Entries, Follow, Garbage
from .strangers import Strangers, frame_of

logger = logging.getLogger("realtime.cluster")

_MAX_CALLS = 4096  # of one node at once
_QUANTUM = 64  # events of one follow, before the next one has its turn
_ROUND_BYTES = 256 * 1024  # of events in one frame, about


class Desk(Protocol):
    """Handlers of what the door does not answer by itself."""

    async def answer(self, ask: Ask) -> messages.Answer:
        """Answer an HTTP request that a client sent to another node."""

    def look(self) -> None:
        """Note that another node has left something to adopt."""

    async def forget(self, tenant: str) -> Forgotten:
        """Forget a part of what this node has of a tenant. Raises WireError."""

    async def settled(self, response_id: str) -> None:
        """Wait until a finished response is in the store. Raises WireError while it runs."""


class Door:
    """The server's door for other nodes."""

    def __init__(self, me: Node, service: Service, desk: Desk, limits: Limits, refused: Tally) -> None:
        """refused: see Strangers."""
        self._service = service
        self._desk = desk
        self._limits = limits
        self._strangers = Strangers(me, refused)
        self._guests: set[_Guest] = set()

    @property
    def num_guests(self) -> int:
        """Return how many sockets other nodes have here."""
        return len(self._guests)

    async def serve(self, websocket: WebSocket) -> None:
        """Serve one socket from the handshake to its end."""
        node = await self._strangers.admit(websocket)
        if node is None:
            return
        guest = _Guest(websocket, node, self._service, self._desk, self._limits)
        self._guests.add(guest)
        try:
            await guest.serve()
        finally:
            self._guests.discard(guest)

    def close(self) -> None:
        """Close all sockets."""
        for guest in self._guests:
            guest.close()


class _Followed:
    """A response that a guest follows, with the guest's position in its log."""

    def __init__(self, number: int, source: Source, position: int) -> None:
        self.number = number
        self.source = source
        self.position = position


class _Guest:
    """Another node, after it has proved its identity."""

    def __init__(self, websocket: WebSocket, node: str, service: Service, desk: Desk, limits: Limits) -> None:
        self._websocket = websocket
        self._node = node
        self._service = service
        self._desk = desk
        self._limits = limits
        self._out: list[Answered] = []
        self._followed: dict[int, _Followed] = {}
        self._ready: dict[int, None] = {}  # of these, those that may have more, in their order
        self._wakes: dict[int, Any] = {}
        self._more = asyncio.Event()
        self._calls: set[asyncio.Task[None]] = set()
        self._pump: asyncio.Task[None] | None = None

    async def serve(self) -> None:
        """Take messages until the socket is gone."""
        self._pump = asyncio.create_task(self._write(), name=f"to node {self._node}")
        try:
            while True:
                for asked in messages.decode_asked(await frame_of(self._websocket)):
                    self._take(asked)
        except Garbage:
            logger.warning("node=%s asks for what is none of our messages", self._node)
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                await self._websocket.close(CloseCode.POLICY)
        except WebSocketDisconnect:
            pass
        finally:
            self.close()
            for number in list(self._followed):
                self._leave(number, detached=False)
            await asyncio.gather(self._pump, *self._calls, return_exceptions=True)

    def close(self) -> None:
        """Hang up. Whoever asks here has to ask elsewhere, and must not wait for an answer."""
        if self._pump is not None:
            self._pump.cancel()
        for call in self._calls:
            call.cancel()

    # -- what is asked

    def _take(self, asked: Asked | messages.Unknown) -> None:
        match asked:
            case Attend():
                self._attend(asked)
            case messages.Look():
                self._desk.look()
            case messages.Hello():
                raise Garbage
            case messages.Unknown():
                self._refuse_unknown(asked.number)
            case _ if len(self._calls) >= _MAX_CALLS:
                text = f"The node answers {_MAX_CALLS} calls at once already: try again later."
                self._say(messages.refused(asked.number, WireError(ErrorCode.SERVER_IS_OVERLOADED, text)))
            case _:
                call = asyncio.create_task(self._answer(asked))
                self._calls.add(call)
                call.add_done_callback(self._calls.discard)

    def _refuse_unknown(self, number: int | None) -> None:
        """Refuse what a node of another version asks; what has no answer may be ignored."""
        if number is not None:
            text = "The node that has to answer this has another version, which does not know it: try again later."
            error = WireError(ErrorCode.NODE_UNAVAILABLE, text, retry_after=RETRY_SECONDS)
            self._say(messages.refused(number, error))

    def _work(self, asked: messages.Call) -> Coroutine[Any, Any, Answered]:
        match asked:
            case messages.Stop():
                return self._stop(asked)
            case messages.Truncate():
                return self._truncate(asked)
            case Create():
                return self._create(asked)
            case Follow():
                return self._follow(asked)
            case messages.Settle():
                return self._settle(asked)
            case messages.Forget():
                return self._forget(asked)
            case messages.ListRunning():
                return self._list(asked)
            case messages.FindPlace():
                return self._place(asked)
            case Ask():
                return self._desk.answer(asked)

    async def _answer(self, asked: messages.Call) -> None:
        number = asked.number
        try:
            self._say(await self._work(asked))
        except WireError as error:
            self._say(messages.refused(number, error))
        except (HeldElsewhere, TriedElsewhere, Garbage):
            self._say(messages.refused(number, node_unavailable()))
        except Exception:  # a bug of ours: it costs this call
            logger.exception("call failed node=%s", self._node)
            text = "The server failed at this request: try again."
            self._say(messages.refused(number, WireError(ErrorCode.SERVER_ERROR, text)))

    async def _create(self, asked: Create) -> Done:
        request = messages.decode_request(asked.request)
        given = codec.decode_items(asked.given, "input", self._limits.max_items)
        source = await self._service.create(
            asked.who, request, None, native=asked.native, given=given, origin=asked.origin, here=True,
            asker=self._node,
        )  # fmt: skip
        return Done(asked.number, source.response_id)

    async def _stop(self, asked: messages.Stop) -> Done:
        if asked.cuts_late and asked.through is not None:
            found = await self._service.cancel_or_truncate(
                asked.who, asked.response_id, asked.through, delivered=asked.delivered
            )
            return (
                _cut(asked.number, found) if isinstance(found, CutResponse) else Done(asked.number, asked.response_id)
            )
        await self._service.stop(
            asked.who, asked.response_id, asked.how, delivered=asked.delivered, through=asked.through
        )
        return Done(asked.number, asked.response_id)

    async def _truncate(self, asked: messages.Truncate) -> Done:
        place = place_of(asked.place)
        cut = await self._service.truncate(
            asked.who, asked.response_id, place, delivered=asked.delivered, here=asked.here
        )
        return _cut(asked.number, cut)

    async def _settle(self, asked: messages.Settle) -> Done:
        await self._desk.settled(asked.response_id)
        return Done(asked.number, asked.response_id)

    async def _forget(self, asked: messages.Forget) -> messages.Forgot:
        return messages.Forgot(asked.number, await self._desk.forget(asked.tenant))

    async def _list(self, asked: messages.ListRunning) -> messages.Listed:
        found, more = msgspec.structs.astuple(
            await self._service.lists.running_here(asked.who, asked.wanted, asked.after)
        )
        return messages.Listed(asked.number, tuple(found), tuple(map(codec.encode, found.values())), more)

    async def _place(self, asked: messages.FindPlace) -> messages.Listed:
        place = await self._service.lists.place_here(asked.who, asked.response_id)
        return messages.Listed(asked.number, (place,) if place is not None else ())

    # -- what is followed

    async def _follow(self, asked: Follow) -> Began:
        response_id = asked.response_id
        if await self._service.directory.running_at(response_id) is not None:
            raise node_unavailable(response_id)  # it has moved: the caller must look again
        source = await self._service.registry.find_source(asked.who.tenant, response_id, time.time())
        log = source.log
        start = log.floor if asked.start is None else cursor.resolve(log, asked.start - 1, asked.epoch)
        number = asked.number
        followed = self._followed[number] = _Followed(number, source, start)

        def wake() -> None:
            self._ready[number] = None
            self._more.set()

        self._wakes[number] = wake
        self._heed(followed, asked.how)
        wake()
        return Began(number, State.of(log, start), codec.encode(source.response))

    def _heed(self, followed: _Followed, how: str) -> None:
        if isinstance(followed.source, Run):
            audience, wake = followed.source.audience, self._wakes[followed.number]
            (audience.follow if how == "follows" else audience.look_on)(wake)

    def _attend(self, asked: Attend) -> None:
        followed = self._followed.get(asked.number)
        if followed is None:
            return  # it is over
        if asked.how != "follows":
            self._leave(asked.number, detached=asked.detached, gone=asked.how == "left")
        if asked.how != "left":
            self._heed(followed, asked.how)

    def _leave(self, number: int, *, detached: bool, gone: bool = True) -> None:
        """Stop following a response for this guest."""
        followed, wake = self._followed[number], self._wakes[number]
        if isinstance(followed.source, Run):
            followed.source.audience.leave(wake, detached=detached)
        if gone:
            del self._followed[number], self._wakes[number]
            self._ready.pop(number, None)

    # -- messages

    def _say(self, answer: Answered) -> None:
        self._out.append(answer)
        self._more.set()

    async def _write(self) -> None:
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):
            try:
                while True:
                    await self._more.wait()
                    self._more.clear()
                    while out := self._round():
                        await self._websocket.send_bytes(messages.encode(out))  # waits while the other does not read
            finally:
                await self._websocket.close(CloseCode.RESTART)

    def _round(self) -> list[Answered]:
        """Return the answers that are ready, and some events of each followed response that has more."""
        out, self._out = self._out, []
        size = 0
        while self._ready and size < _ROUND_BYTES:
            number = next(iter(self._ready))
            del self._ready[number]
            size += self._read(self._followed[number], out)
        return out

    def _read(self, followed: _Followed, out: list[Answered]) -> int:
        """Add the next events of a followed response to a round. Return their size in bytes."""
        number, log = followed.number, followed.source.log
        try:
            entries = log.read(followed.position, _QUANTUM)
        except BelowFloor as below:
            out.append(Ended(number, too_slow=below.error is None))
            self._leave(number, detached=False)
            return 0
        if entries:
            out.append(Entries(number, followed.position, entries))
            followed.position += len(entries)
        if log.sealed and followed.position == log.tip:
            self._leave(number, detached=True)
        elif log.left or log.sealed:  # sealed before events that the other node has had: it has to look again
            out.append(Ended(number))
            self._leave(number, detached=True)
        elif followed.position < log.tip:
            self._ready[number] = None
        return sum(map(len, entries))


def _cut(number: int, cut: CutResponse) -> Done:
    return Done(number, cut.response.id, codec.encode(cut.response), cut.ended is not None)
