"""One response's life: created -> (queued) -> in progress -> items -> exactly one terminal event, whatever happens.

A `Run` owns the log of its response and the task that lives its life (`life` has the states, `stages` is what happens
between start and end). It appends and tells its audience; it never waits for a reader.
"""

from __future__ import annotations

import asyncio
import logging
import time
from array import array
from collections.abc import Callable, Iterable, Sequence
from typing import assert_never

import msgspec
from msgspec import UNSET

from realtime.context.turns import Turn
from realtime.dialects.base import PromptTooLong, RenderError
from realtime.engine.base import EngineError
from realtime.store.base import ResponseStore
from realtime.store.event_log import EventLog
from realtime.store.records import Head
from realtime.wire import events
from realtime.wire.errors import WireError
from realtime.wire.events import QueuePlace
from realtime.wire.items import InputItem, OutputItem
from realtime.wire.requests import Place, StopKind
from realtime.wire.response import CancelReceipt, RateLimit, Response

from .audience import Audience
from .cutoff import Cutoff, Written
from .endings import BROKEN, BROKEN_END, SHUT_DOWN, Cancelled, Ended, Ending, Failed, Interrupted, Outcome, too_long
from .generation import engine_failure
from .job import Job
from .life import Life, State
from .report import beginning, report
from .serving import Serving
from .stages import Stages
from .stop_signal import StopSignal

logger = logging.getLogger("realtime.run")


class Run:
    """One response that is being made. Created by the service, which calls `start` exactly once.

    turn: what a next response continues; None until this one is over, and when it failed.
    begun_at: its place among all responses, see Record.
    grown_at: when its newest event came, on the monotonic clock.
    """

    def __init__(
        self, job: Job, serving: Serving, log: EventLog, journal: ResponseStore, on_over: Callable[[Run], None]
    ) -> None:
        """journal: told of every event that is appended to the log.
        on_over: called once, when the terminal event is in the log.
        """
        self.job = job
        self.log = log
        self._journal: ResponseStore | None = journal  # None: it has failed
        self.response = msgspec.structs.replace(job.response)
        self.turn: Turn | None = None
        self.begun_at = 0
        self.grown_at = time.monotonic()
        self.stopping = StopSignal()
        self.audience = Audience(job.on_disconnect, self.cancel, asyncio.get_running_loop().call_later)
        self.watch = serving.observer.response_began(beginning(job, time.time()))
        self._life = Life(self.watch.entered)
        self._serving = serving
        self.stages = Stages(job, serving, self.response, self._life, self.stopping, self._append, self.watch)
        self._usage = self.stages.usage
        self._on_over = on_over

    @property
    def response_id(self) -> str:
        """The id of its response, the log's too."""
        return self.log.response_id

    @property
    def output(self) -> list[OutputItem]:
        """See Source."""
        return self.stages.assembler.output

    @property
    def snapshot(self) -> Response:
        """The response as it stands after the newest event: with what has been said so far, and where to follow it."""
        if self.over:
            return self.response
        output, log = self.stages.assembler.so_far, self.log
        return msgspec.structs.replace(self.response, output=output, epoch=log.epoch, tip=log.tip)

    @property
    def num_generated(self) -> int:
        """Tokens that the engine has made for it until now."""
        return self.stages.num_generated

    @property
    def used(self) -> tuple[int, int, int, int]:
        """Tokens until now: of prompts, of those that were cached, that were made; of a prompt that is being read."""
        return *self.stages.num_input, self.num_generated, self.stages.num_reading

    @property
    def over(self) -> bool:
        """Whether the terminal event is in the log."""
        return self._life.over

    @property
    def input(self) -> tuple[InputItem, ...]:
        """What its request brought."""
        return tuple(self.job.request.items)

    @property
    def started_from(self) -> Turn | None:
        """The turn that it continues; in a conversation it is known from the start on."""
        return self.stages.prompts.parent

    def start(
        self, *, admitted: bool, place: QueuePlace | None = None, rate_limits: Sequence[RateLimit] = ()
    ) -> asyncio.Task[None]:
        """Append `created` (and `queued`) at once and start the task, which the caller keeps until it is done.
        `admitted`: it need not wait for `admit`. `place`: where it waits. `rate_limits`: what is left to its tenant.
        """
        background = self.job.request.background  # its clients expect to see it wait first, even if it need not
        if background:
            self.response.status = "queued"
        assert self._journal is not None
        self._journal.open(self._head())
        warnings = list(self.job.warnings) or UNSET
        created = msgspec.structs.replace(self.response, rate_limits=list(rate_limits) or UNSET)
        self._write([events.ResponseCreated(response=created, epoch=self.log.epoch, warnings=warnings)])
        if not admitted or background:
            self.response.status = "queued"
            self._write([events.ResponseQueued(response=self.response, queue=place or UNSET)])
        self._life.enter(State.ADMITTED if admitted else State.QUEUED)
        return asyncio.create_task(self._live(), name=self.response_id)

    def admit(self) -> None:
        """Run now: the scheduler's word."""
        self._life.enter(State.ADMITTED)
        self.stopping.wake()

    def give_up(self, failed: Failed) -> None:
        """End one that has waited too long for its turn."""
        if self._life.queued:
            self.stopping.ask(failed)

    def cancel(self, cancelled: Cancelled) -> None:
        """Request the end. The terminal event follows when the engine has let go. The first cancel counts; one that
        comes while a successor is about to take over overrides that.
        """
        if not self.over:
            self.watch.stop_asked()
            self.stopping.ask(cancelled)

    def stop(self, how: StopKind, delivered: int | None = None, cutoff: Cutoff | None = None) -> None:
        """Request the end in one of a client's ways. See Service.stop. `cutoff`: of a cancel, what of the answer is
        kept.
        """
        match how:
            case "cancel":
                self.cancel(Cancelled("cancelled", delivered, cutoff))
            case "interrupt":
                self.watch.stop_asked()
                self.stopping.ask(Interrupted())
            case "steer":
                self.stopping.steering = True
                self.stages.end_if_safe()
            case _:
                assert_never(how)

    def written(self, place: Place) -> Written:
        """What is known now of this place in the answer. Raises WireError."""
        assembler = self.stages.assembler
        return Written.of(self.log, place, assembler.output, assembler.open_index, assembler.open_message)

    @property
    def has_begun(self) -> bool:
        """Whether it knows its history, so that nothing that happens to that changes what it says."""
        return self._life.knows_history

    # -- the log

    def _head(self) -> Head:
        job = self.job
        return Head(
            response_id=job.response_id,
            owner=job.tenant,
            epoch=self.log.epoch,
            stream_id=job.stream_id,
            request=job.request,
            stored=job.response.store,
            begun_at=self.begun_at,
        )

    def _append(self, new: Iterable[events.Event], token_ids: Sequence[int] = ()) -> None:
        """Append what was generated, of these tokens, and tell the audience."""
        tip = self.log.tip
        self._write(new, token_ids)
        grown_to = self.log.tip
        if grown_to == tip:
            return
        self.grown_at = time.monotonic()
        self._usage.mark(grown_to)
        self.audience.notify()

    def _write(self, new: Iterable[events.Event], token_ids: Sequence[int] = ()) -> None:
        """Append to the log, and tell the journal: also of what came before an event that could not be appended."""
        first, entries = self.log.tip, []
        try:
            for event in new:
                entries.append(self.log.append(event))
        finally:
            if entries or token_ids:
                self._record(first, entries, token_ids)

    def _record(self, first: int, entries: Sequence[bytes], token_ids: Sequence[int]) -> None:
        """Tell the journal. If it fails, so does the response, whose end it is not told of: that comes all the same."""
        journal, self._journal = self._journal, None
        if journal is not None:
            journal.append(self.response_id, first, entries, token_ids)
            self._journal = journal

    # -- the life

    async def _live(self) -> None:
        outcome = await self._outcome()
        self._life.enter(State.ENDING)
        try:
            self._end(Ending(outcome, self.job.generates))
        except Exception:
            logger.exception("ending failed response_id=%s", self.response_id)
            self._end_anyhow()
        self._life.enter(State.OVER)
        self.audience.close()
        self._on_over(self)
        self._report()
        self.audience.notify()
        await self.stages.close()

    def _report(self) -> None:
        try:
            self.watch.over(report(self.watch, self.job, self.response, self.stages, self.log))
        except Exception:  # a bug of ours: it costs a line in the log
            logger.exception("not reported response_id=%s", self.response_id)

    async def _outcome(self) -> Outcome:
        """What the response comes to: everything before the terminal event. Raises nothing."""
        try:
            async with self.stopping.interrupts():
                await self._wait_for_admission()
                self._begin()
                return await self.stages.go_through()
        except Ended as ended:
            return ended.outcome
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

    def _end(self, ending: Ending) -> None:
        """Close what is open, append the one terminal event, and keep what may be continued."""
        stages, response = self.stages, self.response
        assembler, token_ids = stages.assembler, self._usage.latest.token_ids
        self._write(ending.close(assembler))
        response.output = ending.seen(assembler.output)
        response.completed_at = int(time.time())
        response.usage = self._usage.total(stages.compactor.tokens, stages.num_reasoning, generates=self.job.generates)
        shown_ids = token_ids if ending.cutoff is None else None
        stages.prompts.include(response, ending.seen(assembler.remembered), shown_ids)
        self._write([ending.terminal(response, self._receipt(ending))])
        if ending.continuable and (self.job.conversation is None or self._life.knows_history):
            self.turn = stages.turn(ending.seen(assembler.remembered), token_ids if ending.keeps_tokens else array("I"))

    def _end_anyhow(self) -> None:
        """End after a bug of ours in the regular end: an item may never be closed, but the reader gets an end."""
        self.turn = None
        if not self.log.sealed:
            first = self.log.tip
            entry = self.log.append_last(Ending(BROKEN_END, self.job.generates).terminal(self.response, None))
            self._record(first, [entry], ())

    def _receipt(self, ending: Ending) -> CancelReceipt | None:
        if not isinstance(ending.outcome, Cancelled):
            return None
        return self._usage.receipt(ending.outcome, self.stages.abort_ms)
