"""Truncations: cut a stored answer at the place that its user has heard (docs/protocol.md, 3.17).

A running response is cancelled first, and ends where it is cut. A finished one need not be in memory: its record is
looked up and replaced in one step of the event loop, in its conversation too. Its log does not change.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import msgspec

from realtime.runs.cutoff import Cutoff, Written, find_cutoff
from realtime.runs.endings import Cancelled
from realtime.runs.run import Run
from realtime.runs.work_pool import WorkPool
from realtime.store.base import ConversationStore
from realtime.store.cluster.membership import HeldElsewhere
from realtime.store.conversations import Conversation
from realtime.store.records import Record, Replay, Source
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.requests import Place
from realtime.wire.response import Response

from .registry import Registry
from .remote import Remote

_LONG = 2000  # entries of a log from which its search is work for the pool; less costs less than the hop
_HEAVY = 50_000  # ... and from which others are not to wait for it


class CutResponse(msgspec.Struct, frozen=True):
    """The result of a truncation: the response as it is retrieved from now on, and the one that was ended for it, if
    any.
    """

    response: Response
    ended: Run | Remote | None = None


HandOn = Callable[[HeldElsewhere], Awaitable[CutResponse]]


class Truncations:
    """Truncations of running and stored answers."""

    def __init__(
        self,
        registry: Registry,
        conversations: ConversationStore,
        bound: Callable[[], AbstractAsyncContextManager[None]],
        work: WorkPool,
        check_writable: Callable[[], None],
    ) -> None:
        """bound: bounds the time of a look-up; see Patience. work: the pool in which long logs are searched.
        check_writable: see Stores.
        """
        self._check_writable = check_writable
        self._registry = registry
        self._conversations = conversations
        self._bound = bound
        self._work = work

    async def find(self, tenant: str, source: Source, place: Place) -> Cutoff:
        """Find a place in the answer of a response of this tenant. Raises WireError."""
        written = source.written(place) if isinstance(source, Run) else Written.of(source.log, place, source.output)
        size = written.num_entries
        if size < _LONG:
            return find_cutoff(written, place)
        return await self._work.run(tenant, lambda is_wanted: find_cutoff(written, place), heavy=size >= _HEAVY)

    async def truncate(
        self, tenant: str, response_id: str, place: Place, delivered: int | None, hand_on: HandOn | None = None
    ) -> CutResponse:
        """Cut a response of this tenant. `delivered`: see Service.stop. `hand_on`: has it done by the node that holds
        its conversation. Raises WireError, and HeldElsewhere if there is no `hand_on`.
        """
        async with self._bound():
            found = await self._registry.find_source(tenant, response_id, time.time())
            cutoff = await self.find(tenant, found, place)
        if not isinstance(found, Run):
            return await self._cut_or_hand_on(tenant, found, cutoff, hand_on)
        found.cancel(Cancelled("cancelled", delivered, cutoff))
        await _end_of(found)
        try:
            async with self._bound():
                kept = await self._registry.find_source(tenant, response_id, time.time())
        except WireError as error:
            is_kept = error.code is not ErrorCode.RESPONSE_NOT_FOUND or response_id in self._registry.deleted
            if is_kept or not found.response.truncated:  # else it is not kept for a moment
                raise
            return CutResponse(found.response, found)
        return await self._cut_or_hand_on(tenant, kept, cutoff, hand_on, found)

    async def _cut_or_hand_on(
        self, tenant: str, found: Source, cutoff: Cutoff, hand_on: HandOn | None, ended: Run | None = None
    ) -> CutResponse:
        """Cut what is kept, here or elsewhere. What this node and its sockets hold of it is cut in both cases."""
        try:
            return CutResponse(await self._cut(tenant, found, cutoff), ended)
        except HeldElsewhere as held:
            if hand_on is None:
                raise
            cut = await hand_on(held)
        self._registry.remember_cut(found.response_id, cutoff)
        return cut

    async def _cut(self, tenant: str, found: Source, cutoff: Cutoff) -> Response:
        assert isinstance(found, Replay)
        conversation = await self._conversation(tenant, found.record)
        record = self._registry.current_record(found.record)  # nothing is awaited from here on
        self._check_writable()
        cut = cutoff.apply_to_record(record)
        if conversation is not None and record.turn is not None and cut.turn is not record.turn:
            self._check_idle(conversation, record)
            assert cut.turn is not None
            self._conversations.truncate(conversation, cut.turn, record.output, cut.output)
        self._registry.truncate(cut, cutoff, time.time())
        return cut.response

    async def _conversation(self, tenant: str, record: Record) -> Conversation | None:
        """Return the conversation that also holds the answer; None if there is none, or none any more."""
        ref = record.response.conversation
        if not ref:
            return None
        try:
            async with self._bound():
                return await self._conversations.get(tenant, ref.id)
        except WireError as error:
            if error.code is not ErrorCode.CONVERSATION_NOT_FOUND:
                raise
            return None

    def _check_idle(self, conversation: Conversation, record: Record) -> None:
        """Refuse to cut a response that another one is being built on. Raises WireError."""
        for run in self._registry.begun_in(conversation):
            text = f"Response '{run.response_id}' continues '{record.response_id}', which can't be cut any more."
            response_id = record.response_id
            raise WireError(ErrorCode.CONVERSATION_MOVED_ON, text, param="response_id", response_id=response_id)


async def _end_of(run: Run) -> None:
    """Wait until a run's readers have its terminal event, and the run is stored. Raises WireError if they will not have
    it here.
    """
    over = asyncio.Event()

    def wake() -> None:
        if run.log.sealed or run.failure is not None:
            over.set()

    run.audience.follow(wake)
    try:
        wake()
        await over.wait()
    finally:
        run.audience.leave(wake, detached=True)
    if (failure := run.failure) is not None:
        raise failure
