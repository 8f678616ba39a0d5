"""The I/O shell around one `Connection`: reads messages, obeys commands, writes frames. Decides nothing.

Reading is a coroutine; writing is not: `_flush` runs at most once per tick of the event loop, when a followed log has
grown or the transport drains, and takes whatever all followed logs have by then.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

from realtime.connection.commands import Cancel, Command, Cut, Interrupt, Leave, Resume, Update
from realtime.connection.lanes import Create
from realtime.connection.protocol import Connection
from realtime.service.principal import Principal
from realtime.service.service import Service
from realtime.wire.errors import CloseCode, ErrorCode, WireError

from .websocket_transport import FrameSink

logger = logging.getLogger("realtime.websocket")

_WRITE_BYTES = 64 * 1024  # asked for at once; about the transport's high-water mark


class WebSocketShell:
    """One socket from the accepted handshake to its end."""

    def __init__(
        self,
        connection: Connection,
        sink: FrameSink,
        service: Service,
        principal: Principal,
        name: str,
        *,
        heartbeat_seconds: float = 0.0,
        identify: Callable[[str], Principal | None] = lambda key: None,
    ) -> None:
        """`identify`: whose API key this is. `heartbeat_seconds` 0: no heartbeats."""
        self._connection = connection
        self._sink = sink
        self._service = service
        self._principal = principal
        self._name = name  # for the log
        self._loop = asyncio.get_running_loop()
        self._flush_scheduled = False
        self._closed = False
        self._identify = identify
        self._heartbeat_seconds = heartbeat_seconds
        self._heart: asyncio.TimerHandle | None = None
        sink.on_writable = self.wake
        sink.on_too_big = connection.too_big

    async def run(self, receive: Any) -> None:
        """Serve until the socket is gone. `receive` is ASGI's."""
        self.wake()
        self._arm_heart()
        try:
            while (message := await receive())["type"] == "websocket.receive":
                text = message.get("text")
                if text is None:
                    self._connection.receive_binary()
                else:
                    self._connection.receive(text.encode(), time.monotonic())
                self._obey()
                self.wake()
                await asyncio.sleep(0)  # a burst in one read holds up nobody, and is answered in between
        finally:
            self._end()

    def wake(self) -> None:
        """There may be something to send: flush once, when the loop has done what it is doing."""
        if not self._flush_scheduled and not self._closed:
            self._flush_scheduled = True
            self._loop.call_soon(self._flush)

    def drain(self, grace_seconds: float) -> None:
        """The server is going down."""
        self._connection.drain(grace_seconds)
        self.wake()

    def _arm_heart(self) -> None:
        if self._heart is not None:
            self._heart.cancel()
            self._heart = None
        if self._heartbeat_seconds and self._connection.profile.native:
            self._heart = self._loop.call_later(self._heartbeat_seconds, self._beat)

    def _beat(self) -> None:
        self._connection.beat(self._service.heartbeat(self._connection.followed_ids))
        self.wake()
        self._arm_heart()

    def _update(self, command: Update) -> None:
        if command.api_key is not None:
            who = self._identify(command.api_key)
            if who is None or who.tenant != self._principal.tenant:
                text = "`api_key` is not a key of this connection's owner; the connection stays as it was."
                raise WireError(ErrorCode.INVALID_API_KEY, text, param="api_key")
        if command.heartbeat_seconds is not None:
            self._heartbeat_seconds = command.heartbeat_seconds
            self._arm_heart()
        self._connection.updated(self._heartbeat_seconds)

    def _flush(self) -> None:
        self._flush_scheduled = False
        if self._closed:
            return
        if not self._sink.can_write:
            if self._connection.close is not None and self._connection.close[0] is CloseCode.POLICY:
                self._sink.close_after_write(*self._connection.close)  # it does not read, so it is not waited for
            return
        frames = self._connection.frames(_WRITE_BYTES)
        if frames:
            self._sink.write_text(frames)
        self._obey()
        if self._connection.pending:
            self.wake()
        elif self._connection.close is not None:
            code, reason = self._connection.close
            self._sink.close_after_write(code, reason)

    def _obey(self) -> None:
        """Carry out what the connection wants; what comes of it may be more of the same."""
        while commands := self._connection.commands():
            for command in commands:
                try:
                    self._carry_out(command)
                except WireError as error:
                    self._connection.refused(command, error)
                except Exception:  # a bug of ours: it must not cost the other commands, nor hold the lane
                    logger.exception("command failed session=%s", self._name)
                    text = "The server failed at this request."
                    self._connection.refused(command, WireError(ErrorCode.SERVER_ERROR, text))

    def _carry_out(self, command: Command) -> None:
        connection, service = self._connection, self._service
        match command:
            case Create():
                given = () if command.automatic else [item for steer in command.steers for item in steer.items]
                source = service.create(
                    self._principal, command.request, command.parent, native=connection.profile.native, given=given
                )
                connection.opened(command, source)
                service.follow(source, self.wake)
            case Cancel():
                source = service.cancel(self._principal, command.response_id, command.delivered, command.through)
                if command.delivered is None:  # so that whoever cancels gets the receipt
                    connection.followed(source, source.log.tip)
                    service.follow(source, self.wake)
            case Interrupt():
                source = service.interrupt(self._principal, command.response_id)
                if not command.followed:
                    connection.followed(source, source.log.tip)
                    service.follow(source, self.wake)
            case Cut():
                service.steer(self._principal, command.response_id)
            case Resume():
                source, start = service.resume(
                    self._principal, command.response_id, command.starting_after, command.epoch
                )
                connection.resumed(command, source, start)
                service.follow(source, self.wake)
            case Update():
                self._update(command)
            case Leave():
                service.leave(command.response_id, self.wake, detached=command.detached)

    def _end(self) -> None:
        self._closed = True
        if self._heart is not None:
            self._heart.cancel()
        self._sink.on_writable = self._sink.on_too_big = None
        for leave in self._connection.disconnected():
            self._service.leave(leave.response_id, self.wake, detached=leave.detached)
