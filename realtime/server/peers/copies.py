"""Copies of logs that other nodes write: one for each response that is read here, however many readers it has.

A copy follows its response from node to node. When the node dies or hands the response on, the next node is asked for
what comes after the copy's end; readers only see a pause. A response that ends meanwhile is read from the store.
Readers are told if the response can't be found again, or does not continue where the copy ends.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from typing import Protocol

from realtime.observability.cluster_metrics import ClusterMetrics
from realtime.runs.run import Run
from realtime.service.directory import Directory, node_unavailable
from realtime.service.principal import Principal
from realtime.service.registry import Registry
from realtime.service.remote import Attendance, Remote
from realtime.settings.fields import ResponseSettings
from realtime.store import cursor
from realtime.store.copied_log import CopiedLog, NotTheSame, State
from realtime.store.event_log import BelowFloor
from realtime.store.records import Source
from realtime.wire.codec import type_of
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.events import TERMINALS
from realtime.wire.response import Response

from .link import Over

logger = logging.getLogger("realtime.cluster")

LOST_SECONDS = 60.0  # for which a response is looked for whose node is gone
_BRIEF_SECONDS = 1.0  # a follow that ends sooner, without an event, has not found the response
_UNREAD_SECONDS = 10.0  # for which a copy waits for its first reader
_QUANTUM = 64  # events that are taken over from a log of this node at once
_TERMINALS = frozenset(str(kind.__struct_config__.tag).encode() for kind in TERMINALS)


class Upstream(Protocol):
    """The source of a copy's events. `over`: resolves to the reason why no more come."""

    @property
    def over(self) -> asyncio.Future[Over]: ...
    def begin(self) -> None:
        """Give the copy what has come and what comes. Until this call it waits."""

    def attend(self, how: Attendance, detached: bool) -> None:
        """Tell the upstream whether readers here follow or watch the response from now on."""

    def close(self) -> None:
        """Take nothing more."""


class Following(Protocol):
    """Another node, as copies ask it."""

    async def open(
        self, principal: Principal, response_id: str, copy: Copy, start: int | None, epoch: str | None, how: Attendance
    ) -> tuple[Upstream, State, Response]:
        """Begin to follow. Raises WireError."""


class Copies:
    """All copies of this node. `remotes`: the open ones, by response id."""

    def __init__(
        self, directory: Directory, registry: Registry, settings: ResponseSettings, metrics: ClusterMetrics
    ) -> None:
        self.directory = directory
        self.registry = registry
        self.settings = settings
        self.counts = metrics.copies
        self.remotes: dict[str, Remote] = {}
        self._copies: dict[tuple[str, str], Copy] = {}

    async def follow(self, principal: Principal, response_id: str, node: Following, *, created: bool) -> Remote:
        """See Nodes.follow."""
        key = (principal.tenant, response_id)
        copy = self._copies.get(key)
        if copy is None:
            copy = self._copies[key] = Copy(self, Principal(principal.tenant), response_id, created=created)
            copy.start(node)
        return await asyncio.shield(copy.opened)

    def enter(self, remote: Remote) -> None:
        """Enter an open copy."""
        self.remotes[remote.response_id] = remote

    def remove(self, copy: Copy) -> None:
        """Remove a copy that is over, or that nobody reads."""
        key = (copy.principal.tenant, copy.response_id)
        if self._copies.get(key) is copy:
            del self._copies[key]
        if copy.remote is not None and self.remotes.get(copy.response_id) is copy.remote:
            del self.remotes[copy.response_id]

    async def close(self) -> None:
        """End all copies."""
        copies = list(self._copies.values())
        for copy in copies:
            copy.cancel()
        await asyncio.gather(*(copy.task for copy in copies if copy.task is not None), return_exceptions=True)


class Copy:
    """One copy: the task that keeps it, and the source of its events."""

    def __init__(self, copies: Copies, principal: Principal, response_id: str, *, created: bool) -> None:
        """created: the response was created from here. Its end is then shown only once its turn is known, so that the
        next request on a socket can continue it.
        """
        self.principal = principal
        self.response_id = response_id
        self.remote: Remote | None = None
        self.opened: asyncio.Future[Remote] = asyncio.get_running_loop().create_future()
        self.opened.add_done_callback(_look_at_it)
        self.task: asyncio.Task[None] | None = None
        self._copies = copies
        self._created = created
        self._upstream: Upstream | None = None
        self._attendance: Attendance = "follows" if created else "watches"
        self._end: bytes | None = None  # the terminal event, until it is shown
        self._known_tip = 0  # of the log when it was found: a reader may have had what is before it
        self._found: tuple[float, int] | None = None  # when it was found again, and the tip at that time
        self._give_up_at = 0.0
        self._ended = asyncio.Event()  # nobody reads it, or its end is there
        self._unread: asyncio.TimerHandle | None = None

    def start(self, node: Following) -> None:
        """Begin with what this node has."""
        self.task = asyncio.create_task(self._keep(node), name=f"copy of {self.response_id}")

    def cancel(self) -> None:
        """End it now."""
        if self.task is not None:
            self.task.cancel()

    # -- what comes

    def entries(self, first: int, entries: list[bytes]) -> None:
        """See Feed."""
        assert self.remote is not None
        log = self.remote.log
        if self._created and entries and type_of(entries[-1]) in _TERMINALS:
            self._end = entries.pop()
        try:
            log.take(first, entries)
        except NotTheSame:
            logger.warning("what follows is not what was to follow response_id=%s", self.response_id)
            log.fail(node_unavailable(self.response_id))
            self._end = None
        self.remote.grown_at = time.monotonic()
        self.remote.audience.notify()
        if log.sealed or self._end is not None or log.failure is not None:
            self._ended.set()
        if not self.opened.done() and (log.tip >= self._known_tip or self._ended.is_set()):
            self.opened.set_result(self.remote)

    # -- the task

    async def _keep(self, node: Following) -> None:
        try:
            await self._open(node)
        except BaseException as error:
            self._copies.remove(self)
            if not self.opened.done():
                self.opened.set_exception(error if isinstance(error, WireError) else node_unavailable())
            if isinstance(error, WireError):
                return
            raise
        try:
            await self._follow_on()
        except Exception:  # a bug of ours: readers must not wait for ever
            logger.exception("copy not kept response_id=%s", self.response_id)
            self._fail(node_unavailable(self.response_id))
        finally:
            if self._unread is not None:
                self._unread.cancel()
            if self._upstream is not None:
                self._upstream.close()
            self._copies.remove(self)
            if self.remote is not None and not self.remote.over and self.remote.log.failure is None:
                self._fail(node_unavailable(self.response_id))
            if not self.opened.done():
                self.opened.set_exception(node_unavailable(self.response_id))

    async def _open(self, node: Following) -> None:
        upstream, state, shown = await node.open(self.principal, self.response_id, self, None, None, self._attendance)
        self._upstream = upstream
        settings = self._copies.settings
        log = CopiedLog(self.response_id, state, max_bytes=settings.max_log_bytes, max_entries=settings.max_log_events)
        self.remote = Remote(self.principal.tenant, log, shown, self._attend)
        self.remote.grown_at = time.monotonic()
        self._known_tip = state.tip
        self._copies.enter(self.remote)
        self._copies.counts.add(1, "opened")
        self._unread = asyncio.get_running_loop().call_later(_UNREAD_SECONDS, self._look_for_readers)
        upstream.begin()
        self.entries(log.tip, [])  # there may be none

    async def _follow_on(self) -> None:
        """Take events until the end, from one node after another."""
        ended = asyncio.create_task(self._ended.wait())
        try:
            while self._upstream is not None:
                over = self._upstream.over
                await asyncio.wait((ended, over), return_when=asyncio.FIRST_COMPLETED)
                if ended.done():
                    break
                self._upstream = await self._again(over.result(), ended)
        finally:
            ended.cancel()
        if self._end is not None:
            await self._show_end()

    async def _again(self, why: Over, ended: asyncio.Task[bool]) -> Upstream | None:
        """Find where the response is now. None: it can't be found, and its readers were told, or it has no readers."""
        assert self.remote is not None
        if why == "slow":
            self._fail(cursor.too_slow(self.remote.log, self.remote.log.tip))
            return None
        if not self._found_in_vain:
            self._give_up_at = time.monotonic() + LOST_SECONDS
        elif time.monotonic() > self._give_up_at:
            self._fail(node_unavailable(self.response_id))
            return None
        else:
            await _pause(ended)
        while not ended.done():
            tip = self.remote.log.tip
            try:
                upstream = await self._reopen()
            except (WireError, NotTheSame) as error:
                late = time.monotonic() > self._give_up_at
                if isinstance(error, NotTheSame) or not _may_pass(error) or late:
                    self._fail(self._told(error))
                    return None
            else:
                self._found = (time.monotonic(), tip)
                self._copies.counts.add(1, "moved")
                return upstream
            await _pause(ended)
        return None

    def _told(self, error: WireError | NotTheSame) -> WireError:
        """Return what readers are told if the response can't be read on."""
        assert self.remote is not None
        if isinstance(error, NotTheSame):
            return node_unavailable(self.response_id)
        ahead = error.code is ErrorCode.CURSOR_AHEAD  # of what readers here have had, and did not come again
        return cursor.overtaken(self.remote.log) if ahead else error

    @property
    def _found_in_vain(self) -> bool:
        """Return whether the follow that is over brought nothing: its node has it, and can't say so to this one."""
        assert self.remote is not None
        if self._found is None:
            return False
        found_at, tip = self._found
        return self.remote.log.tip == tip and time.monotonic() - found_at < _BRIEF_SECONDS

    async def _reopen(self) -> Upstream:
        assert self.remote is not None
        copies, log = self._copies, self.remote.log
        node = await copies.directory.running_at(self.response_id)
        if node is not None:
            following: Following = node  # type: ignore[assignment] # all that there are can be followed
            how = self._attendance
            upstream, state, shown = await following.open(
                self.principal, self.response_id, self, log.tip, log.epoch, how
            )
            self._upstream = upstream
            if self._attendance != how:  # somebody has come or gone meanwhile
                upstream.attend(self._attendance, False)
            log.go_on(state)
            self.remote.moved(shown)
            upstream.begin()
            return upstream
        source = await copies.registry.find_source(self.principal.tenant, self.response_id, time.time())
        cursor.resolve(source.log, log.tip - 1, log.epoch)
        log.go_on(State.of(source.log, log.tip))
        self.remote.moved(source.response)
        here = _Here(source, self, log.tip)
        here.attend(self._attendance, False)
        here.begin()
        return here

    async def _show_end(self) -> None:
        """Show the terminal event, now that the turn is available."""
        remote, entry = self.remote, self._end
        assert remote is not None
        assert entry is not None
        registry = self._copies.registry
        try:
            async with asyncio.timeout(_UNREAD_SECONDS):
                await self._copies.directory.settle(self.response_id)
                record = await registry.store.get(self.response_id, time.time())
                remote.turn = record.turn if record is not None else None
        except (WireError, TimeoutError):
            logger.warning("the turn of a response is not known here response_id=%s", self.response_id)
        remote.log.take(remote.log.tip, [entry])
        remote.audience.notify()

    # -- readers

    def _attend(self, how: Attendance, detached: bool) -> None:
        self._attendance = how
        if self._upstream is not None:
            self._upstream.attend(how, detached)
        if how == "left":
            self._ended.set()
            self._copies.remove(self)

    def _look_for_readers(self) -> None:
        if self.remote is not None and not self.remote.audience.watchers:
            self._attend("left", False)

    def _fail(self, error: WireError) -> None:
        assert self.remote is not None
        self._copies.counts.add(1, "failed")
        self.remote.log.fail(error)
        self.remote.audience.notify()


class _Here:
    """A log of this node with which a copy continues: the response has come here, or is over. An `Upstream`."""

    def __init__(self, source: Source, copy: Copy, position: int) -> None:
        self.over: asyncio.Future[Over] = asyncio.get_running_loop().create_future()
        self._source = source
        self._copy = copy
        self._position = position
        self._loop = asyncio.get_running_loop()
        self._due = False

    def begin(self) -> None:
        """See Upstream."""
        self._wake()

    def attend(self, how: Attendance, detached: bool) -> None:
        """See Upstream."""
        if not isinstance(self._source, Run):
            return
        audience = self._source.audience
        if how != "follows" and self._wake in audience.watchers:
            audience.leave(self._wake, detached=detached)
        if how != "left":
            (audience.follow if how == "follows" else audience.look_on)(self._wake)

    def close(self) -> None:
        """See Upstream."""
        self.attend("left", True)
        self._end("left")

    def _wake(self) -> None:
        if not self._due:
            self._due = True
            self._loop.call_soon(self._read)

    def _read(self) -> None:
        self._due = False
        if self.over.done():
            return
        log = self._source.log
        try:
            entries = log.read(self._position, _QUANTUM)
        except BelowFloor as below:
            self._end("slow" if below.error is None else "left")
            return
        first, self._position = self._position, self._position + len(entries)
        if entries:
            self._copy.entries(first, entries)
        if log.left or (log.sealed and self._position > log.tip):
            self._end("left")
        elif self._position < log.tip:
            self._wake()

    def _end(self, why: Over) -> None:
        if not self.over.done():
            self.over.set_result(why)


async def _pause(ended: asyncio.Task[bool]) -> None:
    """Wait before the response is looked for again; not after the copy's end."""
    await asyncio.wait((ended,), timeout=random.uniform(0.05, 0.2))


def _may_pass(error: WireError) -> bool:
    """Return whether asking again may help. A response that went with its process may be created again, and is gone."""
    return error.spec.retry and error.code is not ErrorCode.SERVER_RESTARTED


def _look_at_it(opened: asyncio.Future[Remote]) -> None:
    """Retrieve the exception of a future for which nobody may wait any more."""
    if not opened.cancelled():
        opened.exception()
