"""One response's life: created -> (queued) -> in progress -> items -> exactly one terminal event, whatever happens.

A `Run` is the sink of its generation and the owner of its log. It appends and tells its watchers; it never waits for
a reader. Its task is asleep while tokens flow: the engine calls `on_chunk`, which appends, and nothing is queued.
"""

from __future__ import annotations

import asyncio
import logging
import time
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import msgspec

from .assembler import Assembler
from .conversation import Turn, history
from .dialects.base import Dialect, RenderError
from .engine.base import (
    Engine,
    EngineDead,
    EngineError,
    EngineOverloaded,
    EngineRefused,
    EngineRequest,
    FinishReason,
    Sampling,
    TokenChunk,
)  # fmt: skip
from .log.event_log import EventLog
from .wire import events
from .wire.errors import ErrorCode
from .wire.ids import new_id
from .wire.items import InputItem, ItemStatus, texts_of
from .wire.requests import OnDisconnect, ResponseCreate
from .wire.response import (
    CancelReceipt,
    IncompleteDetails,
    InputTokensDetails,
    OutputTokensDetails,
    Response,
    ResponseError,
    Usage,
)  # fmt: skip

logger = logging.getLogger("realtime.runner")

_THREAD_CHARS = 8192  # prompts longer than this are rendered in a thread; shorter ones cost less than the hop


class Cancelled(msgspec.Struct, frozen=True):
    """A cancel that was accepted. `delivered`: events that the canceller had taken; None if it read none."""

    reason: str
    delivered: int | None = None


class Failed(msgspec.Struct, frozen=True):
    """The generation came to nothing, and this is what the client is told."""

    code: str
    message: str


Outcome = FinishReason | Cancelled | Failed


class Owner(Protocol):
    """What a run needs of the service."""

    def run_over(self, run: Run) -> None:
        """The log is sealed."""


class Run:
    """See the module. Created by the service, which calls `start` exactly once."""

    def __init__(
        self, *, owner: Owner, tenant: str, engine: Engine, dialect: Dialect, request: ResponseCreate,
        response: Response, log: EventLog, parent: Turn | None, admitted: bool, on_disconnect: OnDisconnect,
    ) -> None:  # fmt: skip
        self.tenant = tenant
        self.request = request
        self.response = response
        self.log = log
        self.turn: Turn | None = None
        self.watchers: set[Callable[[], None]] = set()
        self.on_disconnect = on_disconnect
        self.lonely: asyncio.TimerHandle | None = None  # the service's: cancels a response that nobody follows
        self.detached = False  # a client said that it is to go on without a reader
        self._owner = owner
        self._engine = engine
        self._dialect = dialect
        self._parent = parent
        self._admitted = admitted
        self._assembler = Assembler(new_id)
        self._parser = dialect.parser(request)
        self._signal = asyncio.Event()  # something that the task waits for has happened
        self._outcome: Outcome | None = None
        self._cancel: Cancelled | None = None
        self._abort_ms = 0.0
        self._num_input_tokens = 0
        self._num_cached_tokens = 0
        self._num_output_tokens = 0
        self._marks_tip = array("q")  # after each chunk: the log's tip ...
        self._marks_tokens = array("q")  # ... and the tokens generated until then, for receipts
        self._task: asyncio.Task[None] | None = None

    @property
    def response_id(self) -> str:
        """Its id, the log's too."""
        return self.log.response_id

    @property
    def over(self) -> bool:
        """The terminal event is in the log."""
        return self.log.sealed

    def start(self) -> asyncio.Task[None]:
        """Append `created` (and `queued`) at once and start the task, which the caller keeps until it is done."""
        self.log.append(events.ResponseCreated(response=self.response, epoch=self.log.epoch))
        if not self._admitted:
            self.response.status = "queued"
            self.log.append(events.ResponseQueued(response=self.response))
        self._task = asyncio.create_task(self._live(), name=self.response_id)
        return self._task

    def admit(self) -> None:
        """The scheduler's word: run now."""
        self._admitted = True
        self._signal.set()

    def cancel(self, cancelled: Cancelled) -> None:
        """Ask for the end. The terminal event follows when the engine has let go. The first cancel counts."""
        if self._cancel is None and not self.over:
            self._cancel = cancelled
            self._signal.set()

    def notify(self) -> None:
        """Tell the watchers that the log has grown."""
        for wake in self.watchers:
            wake()

    # -- the sink

    def on_chunk(self, chunk: TokenChunk) -> None:
        """See engine.base.Sink."""
        self._num_output_tokens += len(chunk.token_ids)
        if chunk.num_cached_tokens:
            self._num_cached_tokens = chunk.num_cached_tokens
        try:
            if self._cancel is None and self.request.generate is not False:
                self._append(self._assembler.feed(self._parser.feed(chunk)))
        except Exception:  # a bug of ours: this response fails, the others go on
            logger.exception("assembling failed response_id=%s", self.response_id)
            self._end(Failed("server_error", "The server could not process the model's output."))
            return
        if chunk.finish is not None:
            self._end(chunk.finish)

    def on_error(self, error: EngineError) -> None:
        """See engine.base.Sink."""
        self._end(_failure(error))

    def _append(self, new: Iterable[events.Event]) -> None:
        tip = self.log.tip
        for event in new:
            self.log.append(event)
        if self.log.tip == tip:
            return
        self._marks_tip.append(self.log.tip)
        self._marks_tokens.append(self._num_output_tokens)
        self.notify()

    def _end(self, outcome: Outcome) -> None:
        if self._outcome is None:
            self._outcome = outcome
            self._signal.set()

    # -- the life

    async def _live(self) -> None:
        try:
            outcome = await self._generate()
        except asyncio.CancelledError:  # the service is shutting down without grace
            outcome = Failed("server_error", "The server was shut down.")
        except Exception:
            logger.exception("run failed response_id=%s", self.response_id)
            outcome = Failed("server_error", "The server failed while generating this response.")
        try:
            self._seal(outcome)
        except Exception:
            logger.exception("sealing failed response_id=%s", self.response_id)
            self._seal_anyhow()
        self._owner.run_over(self)
        self.notify()

    async def _generate(self) -> Outcome:
        """Everything before the terminal event."""
        while not self._admitted and self._cancel is None:
            await self._wait()
        if self._cancel is not None:
            return self._cancel
        if self.request.generate is not False or self.response.status == "queued":
            self.response.status = "in_progress"
            self.log.append(events.ResponseInProgress(response=self.response))
            self.notify()
        try:
            prompt = await self._render()
        except RenderError as error:
            return Failed("invalid_prompt", str(error))
        self._num_input_tokens = len(prompt)
        room = self._engine.model.max_model_len - len(prompt)
        if room <= 0:
            limit = self._engine.model.max_model_len
            text = f"The input has {len(prompt)} tokens; the model's context window holds {limit}, answer included."
            return Failed(ErrorCode.CONTEXT_LENGTH_EXCEEDED.value.code, text)
        if self._cancel is not None:
            return self._cancel
        return await self._run_engine(prompt, room)

    async def _run_engine(self, prompt: tuple[int, ...], room: int) -> Outcome:
        request = EngineRequest(
            request_id=self.response_id,
            prompt_token_ids=prompt,
            sampling=_sampling(self.request, self.response, room),
            cache_salt=self.request.cache_salt,
        )
        try:
            await self._engine.submit(request, self)
        except EngineError as error:
            return _failure(error)
        try:
            while self._outcome is None and self._cancel is None:
                await self._wait()
        finally:
            # Also when this task is cancelled, and after a failure of ours: the engine must hold nothing of it.
            if not isinstance(self._outcome, FinishReason):
                asked_at = time.perf_counter()
                await self._engine.abort(self.response_id)
                self._abort_ms = (time.perf_counter() - asked_at) * 1e3
        outcome = self._cancel or self._outcome
        assert outcome is not None
        if outcome is FinishReason.ABORT:  # not by us: then there is a cancel
            return Failed("server_error", "The engine gave up this response: send the request again.")
        if isinstance(outcome, FinishReason) and self.request.generate is not False:
            self._append(self._assembler.feed(self._parser.close()))
        return outcome

    async def _wait(self) -> None:
        await self._signal.wait()
        self._signal.clear()

    async def _render(self) -> tuple[int, ...]:
        items = history(self._parent, self.request.items)
        if _size(items) < _THREAD_CHARS:
            return self._dialect.render(self.request, items)
        return await asyncio.to_thread(self._dialect.render, self.request, items)

    # -- the end

    def _seal(self, outcome: Outcome) -> None:
        """Close what is open and append the one terminal event."""
        completed = outcome is FinishReason.STOP or self.request.generate is False
        status: ItemStatus = "completed" if completed else "incomplete"
        if self.log.tip > 1:
            for event in self._assembler.close(status):
                self.log.append(event)
        response = self.response
        response.output = self._assembler.output
        response.completed_at = int(time.time())
        response.usage = self._usage()
        self.log.append(self._terminal(outcome))
        if not isinstance(outcome, Failed):
            self.turn = Turn(self.response_id, self._parent, tuple(self.request.items), tuple(response.output))

    def _seal_anyhow(self) -> None:
        """After a bug of ours in the regular end: a reader may get an item that is never closed, but it gets an end."""
        failed = Failed("server_error", "The server failed while ending this response.")
        self.turn = None
        if not self.log.sealed:
            self.log.append_last(self._terminal(failed))

    def _terminal(self, outcome: Outcome) -> events.Event:
        response = self.response
        match outcome:
            case Failed():
                response.status = "failed"
                response.completed_at = None
                response.error = ResponseError(outcome.code, outcome.message)
                return events.ResponseFailed(response=response)
            case Cancelled():
                response.status = "cancelled"
                response.incomplete_details = IncompleteDetails(outcome.reason)
                response.cancel = self._receipt(outcome)
                return events.ResponseIncomplete(response=response)
            case FinishReason.LENGTH if self.request.generate is not False:
                response.status = "incomplete"
                response.incomplete_details = IncompleteDetails("max_output_tokens")
                return events.ResponseIncomplete(response=response)
            case _:
                response.status = "completed"
                return events.ResponseCompleted(response=response)

    def _usage(self) -> Usage:
        output = self._num_output_tokens if self.request.generate is not False else 0
        return Usage(
            input_tokens=self._num_input_tokens,
            input_tokens_details=InputTokensDetails(cached_tokens=self._num_cached_tokens),
            output_tokens=output,
            output_tokens_details=OutputTokensDetails(),
            total_tokens=self._num_input_tokens + output,
        )

    def _receipt(self, cancelled: Cancelled) -> CancelReceipt:
        index = bisect_right(self._marks_tip, cancelled.delivered or 0)
        return CancelReceipt(
            tokens_generated=self._num_output_tokens,
            tokens_delivered=self._marks_tokens[index - 1] if index else 0,
            abort_ms=round(self._abort_ms, 3),
        )


def _sampling(request: ResponseCreate, response: Response, room: int) -> Sampling:
    """The request's wishes; `response` holds the effective values of what it echoes."""
    limit = 1 if request.generate is False else min(request.max_output_tokens or room, room)
    stop = (request.stop,) if isinstance(request.stop, str) else tuple(request.stop or ())
    return Sampling(
        max_tokens=limit,
        temperature=response.temperature,
        top_p=response.top_p,
        top_k=request.top_k,
        min_p=request.min_p,
        presence_penalty=response.presence_penalty,
        frequency_penalty=response.frequency_penalty,
        repetition_penalty=request.repetition_penalty,
        seed=request.seed,
        stop=stop,
        ignore_eos=request.ignore_eos or False,
    )


def _failure(error: EngineError) -> Failed:
    match error:
        case EngineRefused():
            return Failed("invalid_prompt", f"The model refuses this request: {error}")
        case EngineOverloaded():
            return Failed("server_is_overloaded", "The engine's queue is full: send the request again later.")
        case EngineDead():
            return Failed("server_error", "The engine stopped and is being restarted: send the request again.")
        case _:
            return Failed("server_error", "The engine failed: send the request again.")


def _size(items: Sequence[InputItem]) -> int:
    """About how many characters there are to render."""
    return sum(len(text) for item in items for text in texts_of(item))
