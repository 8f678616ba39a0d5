"""The I/O shell around one `Connection`: reads messages, carries out commands, writes frames. Decides nothing.

Reading is a coroutine; writing is not: `_flush` takes whatever all followed logs have by then. One timer waits for the
connection's next deadline.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any, assert_never

from realtime.connection.commands import Beat, Command, Create, Identify, Leave, Resume, Stop, Truncate
from realtime.connection.protocol import Connection
from realtime.observability.observer import UNOBSERVED, Observer
from realtime.observability.origin import Origin
from realtime.runs.run import Run
from realtime.service.principal import Principal
from realtime.service.remote import Remote
from realtime.service.service import Service
from realtime.service.truncations import CutResponse
from realtime.wire.errors import CloseCode, ErrorCode, WireError

from .flusher import Flusher, Pace
from .large_messages import LargeMessages
from .websocket_transport import FrameSink

logger = logging.getLogger("realtime.websocket")

_WRITE_BYTES = 64 * 1024  # asked for at once; about the transport's high-water mark
_LOST = 1006  # RFC 6455: there was no close
_NOT_WAITED_FOR = (CloseCode.POLICY, CloseCode.INVALID_KEY)  # who is closed with these need not have read the rest


class WebSocketShell:
    """One socket, from the accepted handshake to its end."""

    def __init__(
        self,
        connection: Connection,
        sink: FrameSink,
        service: Service,
        principal: Principal,
        name: str,
        large_messages: LargeMessages,
        *,
        identify: Callable[[str], Principal | None] = lambda key: None,
        pace: Pace | None = None,
        origin: Origin | None = None,
        observer: Observer = UNOBSERVED,
    ) -> None:
        """principal: who has opened it. identify: finds the owner of an API key. name: for the log. pace: see Flusher.
        origin: of what is asked for on it.
        """
        self._connection = connection
        self._sink = sink
        self._service = service
        self.principal = principal
        self._name = name
        self._origin = origin or Origin(name)
        self._observer = observer
        self.close_code = _LOST  # that it ended with
        self._num_slow = 0  # readers on it that were too slow, as far as they were counted
        self.num_created = 0  # responses that were asked for on it
        self._large_messages = large_messages
        self._identify_key = identify
        self._loop = asyncio.get_running_loop()
        self._flusher = Flusher(self._flush, pace, self._may_wait, self._flush_growth)
        self._wake, self._wake_now = self._flusher.wake, self._flusher.wake_now
        self._newest = connection.newest
        self._tasks: set[asyncio.Task[None]] = set()  # commands that are being completed
        self._deadline: float | None = None  # that the timer waits for
        self._timer: asyncio.TimerHandle | None = None
        sink.on_writable = self._wake_now
        sink.on_too_big = connection.too_big

    async def run(self, receive: Any) -> None:
        """Serve until the socket is gone. `receive` is ASGI's; text messages come as `utf8`, see FrameProtocol."""
        self._step()
        try:
            while (message := await receive())["type"] == "websocket.receive":
                data = message.get("utf8")
                if data is None:
                    self._connection.receive_binary()
                else:
                    await self._large_messages.wait(len(data))
                    self._connection.receive(data, time.monotonic())
                self._step()
                await asyncio.sleep(0)  # a burst in one read holds up nobody, and is answered in between
            self.close_code = message.get("code", self.close_code)
        finally:
            self._end()
            if self._tasks:  # what was asked for is carried out, and then left like everything else
                await asyncio.gather(*self._tasks)  # which cancels them when this is cancelled

    def drain(self, grace_seconds: float, resume_after_seconds: float | None = None) -> None:
        """Prepare for the end of the server."""
        self._connection.drain(grace_seconds, resume_after_seconds)
        self._step()

    def leave_off(self) -> None:
        """Leave running responses to the next server."""
        self._connection.leave_off()
        self._step()

    def revoke(self) -> None:
        """End: the client's key is gone."""
        self._connection.revoked()
        self._step()

    def _step(self) -> None:
        """Carry out everything that may follow from an input of the connection."""
        self._obey()
        self._arm()
        if self._connection.due:
            self._wake_now()

    # -- time

    def _arm(self) -> None:
        """Set the timer to the connection's next deadline."""
        deadline = self._connection.next_deadline()
        if deadline == self._deadline:
            return
        self._deadline = deadline
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if deadline is not None:
            self._timer = self._loop.call_later(deadline - time.monotonic(), self._on_deadline, deadline)

    def _on_deadline(self, deadline: float) -> None:
        self._deadline = None
        self._connection.handle_deadline(max(time.monotonic(), deadline))  # a loop's clock may be coarse, and early
        self._step()

    # -- what goes out

    def _may_wait(self) -> bool:
        return self._connection.may_wait

    def _flush_growth(self) -> None:
        """Write when only logs have grown: nearly every time by one delta."""
        sink = self._sink
        if sink.can_write:
            if (entry := self._newest()) is not None:
                sink.write_one(entry)
                return
            if entries := self._connection.newest_of_all():
                sink.write_text(entries)
                return
        self._flush()

    def _flush(self) -> None:
        if not self._sink.can_write:
            if self._connection.close is not None and self._connection.close[0] in _NOT_WAITED_FOR:
                self._sink.close_after_write(*self._connection.close)
            return
        if (step := self._connection.step()) is not None:
            self._sink.write_text(step)
            return
        if frames := self._connection.frames(_WRITE_BYTES):
            self._sink.write_text(frames)
        self._obey()
        if self._connection.pending:
            self._wake_now()
        elif self._connection.close is not None:
            code, reason = self._connection.close
            self._sink.close_after_write(code, reason)

    # -- commands

    def _obey(self) -> None:
        """Carry out the connection's commands, which may lead to more of them."""
        while commands := self._connection.commands():
            for command in commands:
                self._carry_out(command)

    def _carry_out(self, command: Command) -> None:
        """Complete a command, now or later: one that needs a look-up gets a task."""
        match command:
            case Create():
                self._attend(command, self._create(command))
            case Stop():
                self._attend(command, self._stop(command))
            case Truncate():
                self._attend(command, self._truncate(command))
            case Resume():
                self._attend(command, self._resume(command))
            case Identify():
                self._attend(command, self._identify(command))
            case Beat():
                self._connection.beat(self._service.heartbeat(command.response_ids))
            case Leave():
                self._service.leave(command.response_id, self._wake, detached=command.detached)
                self._count_slow()
            case _:
                assert_never(command)

    def _count_slow(self) -> None:
        """Count readers that were too slow, and have left for that reason."""
        counted, self._num_slow = self._num_slow, self._connection.num_slow
        if self._num_slow > counted:
            self._observer.service.slow_readers.add(self._num_slow - counted, "websocket")

    def _attend(self, command: Command, work: Coroutine[Any, Any, None]) -> None:
        """Complete a command in a task. The connection bounds their number."""
        task = self._loop.create_task(self._complete(command, work), name=f"{type(command).__name__} {self._name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _complete(self, command: Command, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except WireError as error:
            self._observer.refused("websocket", error.spec.code)
            self._connection.refused(command, error)
        except Exception:  # a bug of ours: it must not cost the other commands, nor hold the lane
            logger.exception("command failed session=%s", self._name)
            text = "The server failed at this request: try again."
            self._connection.refused(command, WireError(ErrorCode.SERVER_ERROR, text))
        self._step()

    async def _create(self, command: Create) -> None:
        given = () if command.automatic else [item for steer in command.steers for item in steer.items]
        native = self._connection.profile.native
        self.num_created += 1
        source = await self._service.create(
            self.principal, command.request, command.parent, native=native, given=given, origin=self._origin
        )
        self._connection.opened(command, source)
        self._service.follow(self.principal, source, self._wake)

    async def _stop(self, command: Stop) -> None:
        if command.cuts_late and command.through is not None:
            found = await self._service.cancel_or_truncate(
                self.principal, command.response_id, command.through, delivered=command.delivered
            )
            if isinstance(found, CutResponse):
                self._connection.truncated(command, found.response, found.ended)
            else:
                self._stopped(command, found)
            return
        run = await self._service.stop(
            self.principal, command.response_id, command.how, delivered=command.delivered, through=command.through
        )
        if command.how != "steer":
            self._stopped(command, run)

    def _stopped(self, command: Stop, run: Run | Remote) -> None:
        self._connection.stopped(command, run)
        if not command.followed:
            self._service.follow(self.principal, run, self._wake)

    async def _truncate(self, command: Truncate) -> None:
        cut = await self._service.truncate(
            self.principal, command.response_id, command.place, delivered=command.delivered
        )
        self._connection.truncated(command, cut.response, cut.ended)

    async def _resume(self, command: Resume) -> None:
        source, start = await self._service.resume(
            self.principal,
            command.response_id,
            command.starting_after,
            command.epoch,
            merged=command.merged,
            origin=self._origin,
        )
        pending = await self._service.conversations.pending_calls(self.principal, source)
        self._connection.resumed(command, source, start, pending)
        self._service.follow(self.principal, source, self._wake)

    async def _identify(self, command: Identify) -> None:
        who = self._identify_key(command.api_key)
        accepted = self._connection.identified(command, who.tenant if who is not None else None, time.monotonic())
        if who is not None and accepted:
            before, self.principal = self.principal, who
            for source in self._connection.followed if before.only_watches else ():
                self._service.follow(who, source, self._wake)  # from now on its being there counts

    def _end(self) -> None:
        self._flusher.stop()
        if self._timer is not None:
            self._timer.cancel()
        self._sink.on_writable = self._sink.on_too_big = None
        self._connection.disconnected()
        self._obey()
