"""Closing: the end of a response in its log. Its open item is closed, the one terminal event follows, and what a next
turn may continue is kept.
"""

from __future__ import annotations

import contextlib
import time
from array import array
from collections.abc import Callable

from realtime.context.turns import Turn
from realtime.engine.base import FinishReason
from realtime.store.restored_log import Diverged
from realtime.wire import events
from realtime.wire.response import CancelReceipt, Response

from .endings import Cancelled, Ending
from .job import Job
from .past import Past
from .shared import Append
from .stages import Stages


class Closing:
    """The end of one response. write: appends events. write_last: appends one to a log whose grammar state may not be
    known.
    """

    def __init__(
        self, job: Job, response: Response, stages: Stages, past: Past | None, write: Append,
        write_last: Callable[[events.Event], None],
    ) -> None:  # fmt: skip
        self._job = job
        self._response = response
        self._stages = stages
        self._past = past
        self._write = write
        self._write_last = write_last

    @property
    def _behind(self) -> Past | None:
        """Return the past, if some of its log has not been made again."""
        return self._past if self._past is not None and not self._past.log.caught_up else None

    def close(self, ending: Ending, *, knows_history: bool) -> Turn | None:
        """Write the end. Return what a next response may continue. `knows_history`: see Life."""
        stages = self._stages
        self._note_cut(ending)
        if self._behind is None or isinstance(ending.outcome, FinishReason):
            with contextlib.suppress(Diverged):
                self._write(ending.close(stages.assembler))
            if self._behind is not None:
                ending = Ending(stages.going_on.failed("diverged"), self._job.generates)
        if (behind := self._behind) is not None:
            return self._close_behind(ending, behind)
        self._complete(ending)
        self._write([ending.terminal(self._response, self._receipt(ending))])
        if not ending.continuable or (self._job.conversation is not None and not knows_history):
            return None
        token_ids = stages.usage.latest.token_ids if ending.keeps_tokens else array("I")
        return stages.turn(ending.seen(stages.assembler.remembered), token_ids)

    def _note_cut(self, ending: Ending) -> None:
        """Note in the log where an answer that came again is cut short: the process before may have sent what would
        have followed, and a reader that has it must not take the end for its continuation.
        """
        past = self._past
        if past is None or past.unfinished.left or self._behind is not None or isinstance(ending.outcome, FinishReason):
            return
        if past.log.comes_again:
            past.log.restarted_at = past.log.tip

    def _complete(self, ending: Ending) -> None:
        """Complete the Response, as the terminal event shows it."""
        stages, response = self._stages, self._response
        assembler, usage = stages.assembler, stages.usage
        response.output = ending.seen(assembler.output)
        response.completed_at = int(time.time())
        response.usage = usage.total(
            stages.compactor.tokens, stages.answering.num_reasoning, generates=self._job.generates
        )
        shown_ids = usage.latest.token_ids if ending.cutoff is None else None
        stages.prompts.include(response, ending.seen(assembler.remembered), shown_ids)

    def _receipt(self, ending: Ending) -> CancelReceipt | None:
        if not isinstance(ending.outcome, Cancelled):
            return None
        return self._stages.usage.receipt(ending.outcome, self._stages.abort_ms)

    def _close_behind(self, ending: Ending, past: Past) -> Turn | None:
        """End a response that was not completely made again: its log is all that is known of it."""
        response = self._response
        closing, output = past.close(ending.item_status)
        response.output = ending.seen(output)
        response.completed_at = int(time.time())
        response.usage = past.usage
        past.log.comes_again, past.log.restarted_at = False, past.log.stored_tip
        for event in closing:
            self._write_last(event)
        receipt = None
        if isinstance(ending.outcome, Cancelled):
            cutoff = ending.cutoff
            receipt = past.receipt(cutoff.through if cutoff is not None else None)
        self._write_last(ending.terminal(response, receipt))
        if not ending.continuable or past.generation(1) is None:
            return None
        return Turn(response.id, past.parent, tuple(self._job.request.items), tuple(response.output))
