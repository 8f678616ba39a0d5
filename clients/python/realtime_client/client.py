"""The asyncio shell: one socket, one task that keeps it open while anything needs it, and the waiting of callers.

`Session` makes all decisions; this module does only the I/O. The client owns every task that it starts.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
import weakref
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from types import TracebackType
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from .cuts import Cut
from .dial import SUBPROTOCOL, ApiKey, Dialer, keep_alive
from .errors import ConnectionLost, ProtocolError
from .http import Http
from .inputs import Steer
from .link import ConnectionState
from .liveness import Update
from .policy import Policy
from .resources import Conversations, Responses
from .response import Response
from .session import Session
from .tools import Tool, run
from .track import FinalResponse, Track
from .wire import ResponseEvent as Event

__all__ = ["SUBPROTOCOL", "Client", "connect"]


def connect(
    url: str,
    *,
    api_key: ApiKey | None = None,
    ticket: str | None = None,
    policy: Policy | None = None,
    **socket_options: Any,
) -> Client:
    """Return a client for `async with`. `api_key`: a key, or an async function that returns it and is called before
    each handshake. `ticket`: in place of a key, to follow one response. `socket_options` go to `websockets.connect`
    (ssl, proxy, additional_headers, ...).
    """
    credential = ticket if api_key is None else api_key
    return Client(url, api_key=credential, policy=policy or Policy(), socket_options=socket_options)


class Client:
    """A connection that mends itself. Entering it opens the socket, and raises ConnectionLost if that fails. Later the
    socket is opened again whenever an open response or a new request needs one.
    """

    def __init__(self, url: str, *, api_key: ApiKey | None, policy: Policy, socket_options: dict[str, Any]) -> None:
        self._dialer = Dialer(url, api_key, policy, socket_options)
        http = Http(self._dialer, policy)
        self.responses, self.conversations = Responses(http), Conversations(http)
        self._session = Session(policy, secrets.token_hex(8), random.Random())
        self._woken: weakref.WeakValueDictionary[Track | Steer | Update | Cut, asyncio.Event] = (
            weakref.WeakValueDictionary()
        )
        self._poked = asyncio.Event()  # the session has something for us
        self._socket: ClientConnection | None = None
        self._runner: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._told_state: ConnectionState = "idle"
        self._state_changed = asyncio.Event()

    async def __aenter__(self) -> Client:
        try:
            socket = await self._dial()
        except ConnectionLost as lost:
            self._session.disconnected(lost, _now())
            raise
        self._runner = asyncio.create_task(self._run(socket), name="realtime_client")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def create(self, **body: Any) -> Response:
        """Start a response and return it once the server has accepted it. `body`: any member of `response.create`.

        Raises ServerError when it is refused; a refusal that may pass is retried for a while first. If the waiting task
        is cancelled, so is the response (one with your own `request_id` is only detached).
        """
        self._check_open()
        return await self._follow(self._session.create(body))

    async def resume(self, response_id: str, starting_after: int = -1, epoch: str | None = None) -> Response:
        """Follow a response from after this event. Raises ResponseNotFound, EpochMismatch, CursorTooOld or CursorAhead
        if the server can't continue exactly there.
        """
        self._check_open()
        return await self._follow(self._session.resume(response_id, starting_after, epoch))

    async def run(
        self,
        input: Any,
        *,
        tools: Sequence[Callable[..., Any] | Tool],
        tool_timeout_seconds: float = 60.0,
        max_turns: int = 16,
        on_event: Callable[[Event], None] | None = None,
        **body: Any,
    ) -> FinalResponse:
        """Let the model call these functions until it answers without a call. Return that response.

        A function is a tool by its name, its docstring and its annotated parameters; one that is not async is called in
        a thread. The calls of a turn run concurrently. The model is told of a call that fails, takes longer than
        `tool_timeout_seconds` or has wrong arguments. `on_event` gets each event of each response. Cancelling stops the
        running response and the functions that are async. Raises ToolLoopTooLong after `max_turns` responses. A call of
        an unknown function ends the loop: the response that has it is returned.
        """
        return await run(
            self.create,
            input,
            tools=tools,
            tool_timeout_seconds=tool_timeout_seconds,
            max_turns=max_turns,
            on_event=on_event,
            **body,
        )

    async def update(self, *, api_key: str | None = None, heartbeat_seconds: float | None = None) -> Mapping[str, Any]:
        """Give the connection a new credential of the same tenant, or another interval between heartbeats. Return its
        new state. Later connections use them too. Raises ServerError when they are refused; then nothing changes.
        """
        self._check_open()
        if api_key is not None and self._socket is None:
            self._dialer.api_key = api_key  # the old one may be what keeps us from connecting
        members = {"api_key": api_key, "heartbeat_seconds": heartbeat_seconds}
        update = self._session.update({name: value for name, value in members.items() if value is not None})
        self._poke()
        await self._until_changed(update, lambda: update.is_answered)
        if update.error is not None:
            raise update.error
        if api_key is not None:
            self._dialer.api_key = api_key
        return update.state or {}

    @property
    def heartbeat(self) -> Mapping[str, Any] | None:
        """The newest heartbeat: `engine`, and the progress of each followed response. None before the first."""
        return self._session.heartbeat

    @property
    def state(self) -> ConnectionState:
        """The state of the connection. `connecting`: a socket is being opened, and there was none before; `open`;
        `reconnecting`: another one is being opened, or waited for; `idle`: there is none and nothing needs one, or the
        client gave up: a request opens one; `closed`, for good.
        """
        return self._session.state

    async def states(self) -> AsyncIterator[ConnectionState]:
        """Yield the state now, and each time that it changes, up to and including `closed`. For a banner."""
        state = self.state
        yield state
        while state != "closed":
            changed = self._state_changed
            if self.state == state:
                await changed.wait()
                continue
            state = self.state
            yield state

    async def close(self) -> None:
        """Close the socket. Open responses end with ClientClosed here; at the server `on_disconnect` decides.

        A caller that is cancelled leaves at once, and the socket is closed in the background: in a scope that cancels
        each `await` anew, as anyio's does, nothing could be awaited.
        """
        runner, self._runner = self._runner, None
        if runner is not None:
            frames = self._session.frames(_now())
            self._session.close()
            self._wake()
            self._closing = asyncio.create_task(self._close(runner, frames), name="realtime_client.close")
        if self._closing is not None:
            await asyncio.shield(self._closing)

    async def _close(self, runner: asyncio.Task[None], frames: list[str]) -> None:
        try:
            if self._socket is not None:
                await _send(self._socket, frames)
                await self._socket.close()
        finally:
            runner.cancel()
            await asyncio.wait([runner])
        if not runner.cancelled() and (failure := runner.exception()) is not None:
            raise failure

    # -- one response

    async def _follow(self, track: Track) -> Response:
        """Wait until the server has confirmed it."""
        self._poke()
        try:
            await self._until_changed(track, lambda: track.confirmed or track.over)
        except asyncio.CancelledError:
            self._session.abandon(track)
            self._poke()
            raise
        if not track.confirmed and track.error is not None:
            raise track.error
        return Response(track, self._session, self._poke, self._until_changed, self.responses.wait)

    async def _until_changed(self, what: Track | Steer | Update | Cut, done: Callable[[], bool]) -> None:
        """Wait until there is such news of it."""
        while not done():
            woken = self._woken.setdefault(what, asyncio.Event())
            woken.clear()
            await woken.wait()

    def _check_open(self) -> None:
        if self._runner is None or self._runner.done():
            raise RuntimeError("the client is not open: use `async with connect(...)`")

    def _poke(self) -> None:
        self._poked.set()

    def _wake(self) -> None:
        """Wake the tasks that wait for what changed."""
        for changed in self._session.changed():
            woken = self._woken.get(changed)
            if woken is not None:
                woken.set()
        self._tell_state()

    def _tell_state(self) -> None:
        """Wake the tasks that wait for another state: each change is an event of its own."""
        if self.state != self._told_state:
            self._told_state = self.state
            changed, self._state_changed = self._state_changed, asyncio.Event()
            changed.set()

    # -- the socket's life

    async def _run(self, socket: ClientConnection) -> None:
        try:
            while True:
                await self._converse(socket)
                socket = await self._reconnect()
        except Exception as error:  # a bug of ours: nobody may be left waiting for it
            self._session.close(ProtocolError(f"the client broke: {error!r}"))
            self._wake()
            raise

    async def _converse(self, socket: ClientConnection) -> None:
        """Read and write until the socket is gone."""
        self._socket = socket
        self._session.connected(_now())
        self._tell_state()
        broken: ProtocolError | None = None
        helpers = [
            asyncio.create_task(self._write(socket), name="realtime_client.write"),
            asyncio.create_task(
                keep_alive(socket, self._dialer.ping_seconds, lambda: self._session.is_watched),
                name="realtime_client.keep_alive",
            ),
        ]
        try:
            await self._read(socket)
        except ProtocolError as error:
            broken = error
            await socket.close(1002)
        finally:
            self._socket = None
            for helper in helpers:
                helper.cancel()
            await asyncio.wait(helpers)
        for helper in helpers:
            if not helper.cancelled() and (failure := helper.exception()) is not None:
                raise failure
        lost = ConnectionLost.closed(socket.close_code or 1006, socket.close_reason or "")
        self._session.disconnected(broken or lost, _now())
        self._wake()

    async def _read(self, socket: ClientConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                data = await socket.recv()
                if not isinstance(data, str):
                    raise ProtocolError("a binary message")
                self._session.receive(data, _now())
                self._wake()
                if self._session.pending(_now()):
                    self._poke()

    async def _write(self, socket: ClientConnection) -> None:
        """Send what the session has, whenever it may have something. The reader notices a dead socket, not
        the writer.
        """
        while True:
            self._poked.clear()
            await _send(socket, self._session.frames(_now()))
            self._wake()
            await self._until(self._session.due_at)
            if self._session.is_silent(_now()):
                socket.transport.abort()
                return

    async def _reconnect(self) -> ClientConnection:
        """Open a new socket, as soon as one is needed and it is time."""
        while True:
            self._poked.clear()
            self._session.frames(_now())  # none without a socket; but dropped handles are let go
            self._wake()
            at = self._session.connect_at
            if at is None or at > _now():
                await self._until(at)
                continue
            try:
                return await self._dial()
            except ConnectionLost as lost:
                self._session.disconnected(lost, _now())
                self._wake()

    async def _until(self, at: float | None) -> None:
        """Sleep until then, or until woken."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(at):
                await self._poked.wait()

    async def _dial(self) -> ClientConnection:
        self._session.connecting(_now())
        return await self._dialer.dial(self._session.dial_until)


async def _send(socket: ClientConnection, frames: list[str]) -> None:
    with contextlib.suppress(ConnectionClosed):
        for frame in frames:
            await socket.send(frame)


def _now() -> float:
    """Return the time on the clock of `asyncio.timeout_at`."""
    return asyncio.get_running_loop().time()
