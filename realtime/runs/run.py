"""One response's life: created -> (queued) -> in progress -> items -> exactly one terminal event, whatever happens.

A `Run` owns the log of its response and the task that lives its life (`life` has the states, `stages` is what happens
between start and end, `closing` the end). It appends and tells its audience; it never waits for a reader.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import assert_never

import msgspec
from msgspec import UNSET

from realtime.context.turns import Turn
from realtime.dialects.base import Parser, Piece, PromptTooLong, RenderError
from realtime.engine.base import EngineError, TokenChunk
from realtime.store.base import ResponseStore
from realtime.store.committed_log import CommittedLog
from realtime.store.event_log import EventLog, Log
from realtime.store.records import GoesOn, Head, Note
from realtime.store.restored_log import Diverged
from realtime.wire import events
from realtime.wire.errors import WireError, draining
from realtime.wire.events import QueuePlace
from realtime.wire.items import InputItem, OutputItem
from realtime.wire.requests import Place, StopKind
from realtime.wire.response import RateLimit, Response

from .audience import Absence, Audience
from .closing import Closing
from .cutoff import Cutoff, Written
from .endings import BROKEN, BROKEN_END, SHUT_DOWN, Cancelled, Ended, Ending, Failed, Interrupted, Outcome, too_long
from .generation import engine_failure
from .job import Job
from .life import Life, State
from .past import Past
from .report import beginning, report
from .serving import Serving
from .shared import Shared
from .stages import Stages
from .stop_signal import StopSignal
from .straight_way import StraightWay
from .usage import Used

logger = logging.getLogger("realtime.run")

Ready = Callable[[], Awaitable[tuple[Job, Serving]]]


class Run:
    """One response that is being made. The service creates it, and calls `start` exactly once.

    A response whose process ended while it ran is made again from its `past`, and continues: see `Past`.

    turn: what a next response continues; None until this one is over, and when it failed. begun_at: its place in the
    order of all responses, see Record. grown_at: when its newest event came, on the monotonic clock.
    """

    def __init__(
        self, job: Job, serving: Serving, log: EventLog, journal: ResponseStore, on_over: Callable[[Run], None],
        past: Past | None = None, ready: Ready | None = None, committed: CommittedLog | None = None, *,
        withholds_end: bool = False,
    ) -> None:  # fmt: skip
        """journal: is given every event that is appended to the log. on_over: called once, when the terminal event is
        in the log. past: what the response has already; then `ready` returns, once an engine serves, the job and the
        serving, neither of which can be known before. committed: the log as readers see it; None: they see all of it.
        withholds_end: but for its end, which they see after `show_end`.
        """
        self.job = job
        self.whole_log = log
        self.response_id = log.response_id
        self.committed = committed
        self.log: Log = log if committed is None else committed  # as its readers see it
        self._journal = journal if journal.has_journals else None  # None: also one that has failed
        self.response = msgspec.structs.replace(job.response)
        self.turn: Turn | None = None
        self.begun_at = 0
        self.grown_at = time.monotonic()
        self.stopping = StopSignal()
        self.audience = Audience(
            job.on_disconnect, self.cancel, asyncio.get_running_loop().call_later,
            past.absence if past is not None else None,
        )  # fmt: skip
        self.watch = serving.observer.response_began(beginning(job, time.time()))
        self._life = Life(self.watch.entered)
        self._past = past
        self._ready = ready
        self._left = False
        self.withholds_end = withholds_end
        self._serve(job, serving)
        self._on_over = on_over

    def _serve(self, job: Job, serving: Serving) -> None:
        """Set the engine and the dialect that it is made with."""
        self.job = job
        self._serving = serving
        exact = self._past is None and self.committed is None  # what is appended is all that there is to it
        shared = Shared(
            job, serving, self.response, self._life, self.stopping, self._append, self.watch, self.whole_log,
            self._note, self._past, self._straight_way if exact else None,
        )  # fmt: skip
        self.stages = Stages(shared)
        self._usage = self.stages.usage

    @property
    def output(self) -> list[OutputItem]:
        """See Source."""
        if self._is_behind:
            assert self._past is not None
            return self._past.output
        return self.stages.assembler.output

    @property
    def _is_behind(self) -> bool:
        """Return whether some of the log has not been made again yet."""
        return self._past is not None and not self._past.log.caught_up

    @property
    def snapshot(self) -> Response:
        """Return the response as it stands after the newest event: with its output so far, and the number to follow it
        from.
        """
        if self.over:
            return self.response
        output, log = self.stages.assembler.so_far, self.whole_log
        if self._is_behind:
            assert self._past is not None
            output = self._past.so_far
        return msgspec.structs.replace(self.response, output=output, epoch=log.epoch, tip=log.tip)

    @property
    def num_generated(self) -> int:
        """The tokens that the engine has generated for it so far."""
        return self.stages.answering.num_generated

    @property
    def used(self) -> Used:
        """The tokens so far."""
        return self.stages.used_until_now

    @property
    def over(self) -> bool:
        """Return whether the terminal event is in the log."""
        return self._life.over

    @property
    def input(self) -> tuple[InputItem, ...]:
        """Return the request's own input items."""
        return tuple(self.job.request.items)

    @property
    def started_from(self) -> Turn | None:
        """The turn that it continues; in a conversation it is known from the start on."""
        return self.stages.prompts.parent

    def start(
        self, *, admitted: bool, place: QueuePlace | None = None, rate_limits: Sequence[RateLimit] = ()
    ) -> asyncio.Task[None]:
        """Append `created` (and `queued`) at once and start the task, which the caller keeps until it is done.
        `admitted`: it need not wait for `admit`. `place`: its place in the queue. `rate_limits`: what is left of its
        tenant's limits.
        """
        if self._past is not None:
            self._life.enter(State.ADMITTED if admitted else State.QUEUED)
            return asyncio.create_task(self._live(), name=self.response_id)
        background = self.job.request.background  # its clients expect to see it wait first, even if it need not
        if background:
            self.response.status = "queued"
        if self._journal is not None:
            self._journal.open(self._head())
        self._announce(self.whole_log.epoch, queued=background or not admitted, place=place, rate_limits=rate_limits)
        self._life.enter(State.ADMITTED if admitted else State.QUEUED)
        return asyncio.create_task(self._live(), name=self.response_id)

    def _announce(
        self, epoch: str, *, queued: bool, place: QueuePlace | None, rate_limits: Sequence[RateLimit]
    ) -> None:
        """Append the first events."""
        warnings = list(self.job.warnings) or UNSET
        created = self.response
        if rate_limits:
            created = msgspec.structs.replace(created, rate_limits=list(rate_limits))
        self._write([events.ResponseCreated(response=created, epoch=epoch, warnings=warnings)])
        if queued:
            self.response.status = "queued"
            self._write([events.ResponseQueued(response=self.response, queue=place or UNSET)])

    def admit(self) -> None:
        """Run now, or continue. Called by the scheduler."""
        self._life.enter(State.GENERATING if self._life.put_aside else State.ADMITTED)
        self.stopping.wake()

    @property
    def may_be_put_aside(self) -> bool:
        """Return whether it can be put aside for another one, and continue as if it had not been."""
        return self.stages.answering.may_be_put_aside

    def put_aside(self) -> None:
        """Have the engine abort it. The scheduler is told when that is done, and its next `admit` lets it continue."""
        self.stages.answering.put_aside()

    def give_up(self, failed: Failed) -> None:
        """End a response that has waited too long for its turn."""
        if self._life.queued:
            self.stopping.ask(failed)

    def cancel(self, cancelled: Cancelled) -> None:
        """Request the end. The terminal event follows when the engine has aborted it. The first cancel counts; a cancel
        also overrides a pending steer.
        """
        if not self.over:
            self.watch.stop_asked()
            self.stopping.ask(cancelled)

    def stop(self, how: StopKind, delivered: int | None = None, cutoff: Cutoff | None = None) -> None:
        """Request the end, in one of the ways a client can. See Service.stop. `cutoff`: for a cancel, the part of the
        answer to keep.
        """
        match how:
            case "cancel":
                self.cancel(Cancelled("cancelled", delivered, cutoff))
            case "interrupt":
                self.watch.stop_asked()
                self.stopping.ask(Interrupted())
            case "steer":
                self.stopping.steer()
                self.stages.answering.end_if_safe()
            case _:
                assert_never(how)

    def written(self, place: Place) -> Written:
        """Return the output so far, for finding this place in it. Raises WireError."""
        assembler = self.stages.assembler
        return Written.of(self.whole_log, place, assembler.output, assembler.open_index, assembler.open_message)

    def commit(self, number: int) -> bool:
        """Show readers what is committed up to this batch. Return whether no more will come."""
        committed = self.committed
        if committed is not None and committed.commit(number):
            self.audience.notify()
        return committed is None or committed.whole or committed.left

    def show_end(self) -> None:
        """Show readers the end, which is committed."""
        log = self.whole_log
        if log.num_unseen and log.failure is None:
            log.show()
            self.audience.notify()

    def fail_readers(self, error: WireError) -> None:
        """Tell readers that its end can't be shown now."""
        self.whole_log.fail(error)
        self.audience.notify()

    @property
    def failure(self) -> WireError | None:
        """Return why no more of it comes here, though its readers have not seen its end."""
        return draining() if self.whole_log.left else self.whole_log.failure

    @property
    def has_begun(self) -> bool:
        """Return whether its history is fixed, so that later changes to the conversation don't affect it."""
        return self._life.knows_history

    # -- the log

    def _head(self) -> Head:
        job = self.job
        return Head(
            response_id=job.response_id,
            owner=job.tenant,
            epoch=self.whole_log.epoch,
            stream_id=job.stream_id,
            request=job.request,
            stored=job.response.store,
            begun_at=self.begun_at,
            on_disconnect=job.on_disconnect,
        )

    def _append(self, new: Iterable[events.Event], chunk: TokenChunk | None = None) -> None:
        """Append events made of this chunk, and tell the audience."""
        log = self.whole_log
        tip = log.tip
        self._write(new, chunk)
        grown_to = log.tip
        if grown_to == tip:
            if self._past is not None and self.stages.answering.replaying:
                self._usage.mark(self._past.log.replayed)
            return
        self.grown_at = time.monotonic()
        self._usage.mark(grown_to)
        self.audience.notify()

    def _write(self, new: Iterable[events.Event], chunk: TokenChunk | None = None) -> None:
        """Append to the log, and to the journal: also what came before an event that could not be appended."""
        log = self.whole_log
        first, entries = log.next_number, []
        try:
            for event in new:
                entries.append(log.append(event))
        finally:
            if self._journal is not None or self.committed is not None:
                self._record(first, entries, chunk)

    def _record(self, first: int, entries: Sequence[bytes], chunk: TokenChunk | None) -> None:
        """Write to the journal. If that fails, so does the response; its terminal event is not written there, but comes
        all the same.
        """
        if self.committed is not None:
            self.committed.grown()
        if self._past is not None:  # what was made again is there
            entries = entries[len(entries) - (self.whole_log.next_number - first) :]
            chunk = None if self.stages.answering.replaying else chunk
        journal = self._journal
        if journal is None or not (entries or chunk is not None):
            return
        try:
            journal.append(self.response_id, first, entries, chunk)
        except BaseException:
            self.lose_journal()
            raise

    def lose_journal(self) -> None:
        """Write no more to the journal: it has failed."""
        self._journal = None

    def _straight_way(self, parser: Parser, newest: Piece) -> StraightWay | None:
        """Return the way of the chunks that only add to the open item, if that has just taken the newest piece."""
        item = self.stages.assembler.taker(newest)
        if item is None:
            return None
        return StraightWay(self, parser, item, self.whole_log, self._journal, self._usage, self.audience.watchers)

    def _note(self, note: Note) -> None:
        """Write to the journal what is needed to continue."""
        journal, self._journal = self._journal, None
        if journal is not None:
            journal.note(self.response_id, self.whole_log.next_number, note)
            self._journal = journal

    # -- the life

    async def _live(self) -> None:
        outcome = await self._outcome()
        if self._left and outcome is SHUT_DOWN:
            await self._end_here()
            return
        self._life.enter(State.ENDING)
        if self.withholds_end:
            self.whole_log.withhold()
        try:
            closing = Closing(self.job, self.response, self.stages, self._past, self._write, self._write_last)
            self.turn = closing.close(Ending(outcome, self.job.generates), knows_history=self._life.knows_history)
        except Exception:
            logger.exception("ending failed response_id=%s", self.response_id)
            self._end_anyhow()
        self._life.enter(State.OVER)
        self.audience.close()
        self._on_over(self)
        self._report()
        if not self.whole_log.num_unseen:
            self.audience.notify()
        await self.stages.close()

    def _report(self) -> None:
        try:
            self.watch.over(report(self.watch, self.job, self.response, self.stages, self.whole_log))
        except Exception:  # a bug of ours: it costs a line in the log
            logger.exception("not reported response_id=%s", self.response_id)

    async def _outcome(self) -> Outcome:
        """Do everything before the terminal event, and return the outcome. Raises nothing."""
        try:
            async with self.stopping.interrupts():
                await self._restore()
                await self._wait_for_admission()
                self._begin()
                return await self.stages.go_through()
        except Ended as ended:
            return ended.outcome
        except Diverged as diverged:
            logger.warning("not made again response_id=%s at=%d", self.response_id, diverged.number)
            return self.stages.going_on.failed("diverged")
        except PromptTooLong as error:
            return too_long(error.more_than, self._serving.model.max_model_len, more=True)
        except RenderError as error:
            return Failed("invalid_prompt", str(error))
        except EngineError as error:
            return engine_failure(error)
        except WireError as error:  # the pool had no room or no time for it
            return Failed(error.spec.code, error.message, error.param)
        except asyncio.CancelledError:  # the service is shutting down without grace
            return SHUT_DOWN
        except Exception:
            logger.exception("run failed response_id=%s", self.response_id)
            return BROKEN

    async def _restore(self) -> None:
        """Wait for the engine, and begin again. Raises Ended and Diverged."""
        past, ready = self._past, self._ready
        if past is None or ready is None:
            return
        try:
            self._serve(*await ready())
        except WireError:
            raise Ended(self.stages.going_on.failed("not_found")) from None
        except EngineError:  # it never served: the next process may have one
            self._left = True
            raise Ended(SHUT_DOWN) from None
        self._note(GoesOn(attempts=past.attempts, epoch=self.whole_log.epoch))
        self._announce(past.head.epoch, queued=past.queued, place=past.place, rate_limits=past.rate_limits)
        self.audience.expect()

    async def _wait_for_admission(self) -> None:
        while self._life.queued:
            await self.stopping.wait()

    def _begin(self) -> None:
        self._life.enter(State.STARTED)
        if self.job.generates or self.response.status == "queued":
            self.response.status = "in_progress"
            self._write([events.ResponseInProgress(response=self.response)])
            self.audience.notify()

    # -- the end

    def _write_last(self, event: events.Event) -> None:
        log = self.whole_log
        first = log.next_number
        self._record(first, [log.append_last(event)], None)

    def leave(self) -> None:
        """Stop here when the task is cancelled, without a terminal event if the next process can continue the
        response.
        """
        self._left = self.can_be_left

    @property
    def can_be_left(self) -> bool:
        """Return whether another process can continue it."""
        job = self.job
        return (
            job.response.store
            and self._serving.continuity.goes_on
            and job.on_disconnect.policy != "cancel"  # nobody will be there
        )

    def lose(self) -> None:
        """Stop here when the task is cancelled, without writing to the journal: the response is not this process's any
        more.
        """
        self._journal, self._left = None, True

    async def _end_here(self) -> None:
        """End without a terminal event."""
        attempts, absence = self.stages.going_on.attempts, self.audience.absence
        lonely, detached = absence is Absence.GONE, absence is Absence.WANTED
        note = GoesOn(attempts=attempts, epoch=self.whole_log.epoch, left=True, lonely=lonely, detached=detached)
        self._note(note)
        self.whole_log.left = True
        self.audience.close()
        self.audience.notify()
        await self.stages.close()

    def _end_anyhow(self) -> None:
        """End after a bug of ours in the regular end. An item may stay open, but the reader gets a terminal event."""
        self.turn = None
        if not self.whole_log.ended:
            self._write_last(Ending(BROKEN_END, self.job.generates).terminal(self.response, None))
