"""One response's life: created -> (queued) -> in progress -> items -> exactly one terminal event, whatever happens.

A `Run` is the sink of its generation and the owner of its log. It appends and tells its watchers; it never waits for
a reader. Its task is asleep while tokens flow: the engine calls `on_chunk`, which appends, and nothing is queued.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Protocol

import msgspec

from .assembler import Assembler, ReasoningShown
from .conversation import Prompt, Turn, exchanges, history, without_oldest
from .dialects.base import Dialect, Parser, RenderError
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
from .tools import ToolSet
from .wire import events
from .wire.errors import ErrorCode
from .wire.harmony import HarmonyMessage
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

LOGPROBS = "message.output_text.logprobs"
HARMONY_MESSAGES = "harmony.messages"  # ours: the prompt and the answer as Harmony messages
TOKEN_IDS = "token_ids"  # ours: the same as tokens
_ROOM = 256  # tokens of answer that `truncation: auto` makes room for at least
_TOOL_CHARS = 500  # about what a tool adds to a prompt
_ITEM_CHARS = 200  # ... and about what an item costs besides its text
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
        tools: ToolSet, shown: ReasoningShown, response: Response, log: EventLog, parent: Turn | None, admitted: bool,
        on_disconnect: OnDisconnect,
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
        self._tools = tools
        self._assembler = Assembler(new_id, shown)
        self._prompt: Prompt | None = None
        self._parser: Parser | None = None
        self._token_ids = array("I")  # generated
        self._signal = asyncio.Event()  # something that the task waits for has happened
        self._outcome: Outcome | None = None
        self._cancel: Cancelled | None = None
        self._abort_ms = 0.0
        self._num_input_tokens = 0
        self._num_cached_tokens = 0
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
        self._token_ids.extend(chunk.token_ids)
        if chunk.num_cached_tokens:
            self._num_cached_tokens = chunk.num_cached_tokens
        try:
            if self._parser is not None and self._cancel is None and self._outcome is None:
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
        self._marks_tokens.append(len(self._token_ids))
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
            self._prompt = prompt
            self._num_input_tokens = len(prompt.token_ids)
            room = self._engine.model.max_model_len - self._num_input_tokens
            if room <= 0:
                return self._too_long()
            if self.request.generate is not False:
                self._parser = self._dialect.parser(self.request, self._tools, prompt)
        except RenderError as error:
            return Failed("invalid_prompt", str(error))
        if self._cancel is not None:
            return self._cancel
        return await self._run_engine(prompt, room)

    def _too_long(self) -> Failed:
        text = (
            f"The input has {self._num_input_tokens} tokens; the model's context window holds "
            f"{self._engine.model.max_model_len}, answer included."
        )
        return Failed(ErrorCode.CONTEXT_LENGTH_EXCEEDED.value.code, text)

    async def _run_engine(self, prompt: Prompt, room: int) -> Outcome:
        parser = self._parser
        request = EngineRequest(
            request_id=self.response_id,
            prompt_token_ids=prompt.token_ids,
            sampling=_sampling(self.request, self.response, room, parser),
            cache_salt=self.request.cache_salt,
            constraint=parser.constraint if parser is not None else None,
            reasoning_ended=parser.reasoning_ended if parser is not None else None,
            template_kwargs=self._dialect.template_kwargs(self.request),
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
        if isinstance(outcome, FinishReason) and self._parser is not None:
            self._append(self._assembler.feed(self._parser.close()))
        return outcome

    async def _wait(self) -> None:
        await self._signal.wait()
        self._signal.clear()

    async def _render(self) -> Prompt:
        """The prompt; with `truncation: auto` without as many of the oldest turns as it takes to fit."""
        items = history(self._parent, self.request.items)
        prompt = await self._render_items(items)
        if self.request.truncation != "auto":
            return prompt
        limit = self._engine.model.max_model_len - min(self.request.max_output_tokens or _ROOM, _ROOM)
        few, enough = 0, max(0, len(exchanges(items)) - 1)  # dropping `few` is too few; `enough`, if anything is
        if len(prompt.token_ids) <= limit or not enough:
            return prompt
        prompt = await self._render_items(without_oldest(items, enough))
        while enough - few > 1 and self._cancel is None:
            middle = (few + enough) // 2
            shorter = await self._render_items(without_oldest(items, middle))
            if len(shorter.token_ids) <= limit:
                prompt, enough = shorter, middle
            else:
                few = middle
        return prompt

    async def _render_items(self, items: list[InputItem]) -> Prompt:
        render = partial(self._dialect.render, self.request, self._tools, items, self._parent)
        size = size_of(items) + len(self.request.instructions or "") + _TOOL_CHARS * len(self._tools.tools)
        return render() if size < _THREAD_CHARS else await asyncio.to_thread(render)

    # -- the end

    def _seal(self, outcome: Outcome) -> None:
        """Close what is open and append the one terminal event."""
        if self._parser is not None and self._parser.trouble is not None:
            trouble = repr(self._parser.trouble)
            logger.warning("malformed output response_id=%s trouble=%s", self.response_id, trouble)
        completed = outcome is FinishReason.STOP or self.request.generate is False
        status: ItemStatus = "completed" if completed else "incomplete"
        if self.log.tip > 1:
            for event in self._assembler.close(status):
                self.log.append(event)
        response = self.response
        response.output = self._assembler.output
        response.completed_at = int(time.time())
        response.usage = self._usage()
        self._include()
        self.log.append(self._terminal(outcome))
        if not isinstance(outcome, Failed):
            self.turn = Turn(
                response_id=self.response_id,
                parent=self._parent,
                input=tuple(self.request.items),
                output=tuple(self._assembler.remembered),
                prompt=self._prompt,
                token_ids=self._token_ids,
            )

    def _include(self) -> None:
        """What the client wants to have besides."""
        include = self.request.include or ()
        if HARMONY_MESSAGES in include:
            items = history(self._parent, self.request.items)
            said = self._assembler.remembered
            response = self.response
            with contextlib.suppress(RenderError):  # then there was no prompt either, which the response's error says
                response.input_messages, response.output_messages = self._dialect.transcript(
                    self.request, self._tools, items, said
                )
        if TOKEN_IDS in include:
            self.response.input_token_ids = list(self._prompt.token_ids) if self._prompt is not None else []
            self.response.output_token_ids = list(self._token_ids)

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
        output = len(self._token_ids) if self.request.generate is not False else 0
        reasoning = self._parser.num_reasoning_tokens if self._parser is not None else 0
        return Usage(
            input_tokens=self._num_input_tokens,
            input_tokens_details=InputTokensDetails(cached_tokens=self._num_cached_tokens),
            output_tokens=output,
            output_tokens_details=OutputTokensDetails(reasoning_tokens=reasoning),
            total_tokens=self._num_input_tokens + output,
        )

    def _receipt(self, cancelled: Cancelled) -> CancelReceipt:
        index = bisect_right(self._marks_tip, cancelled.delivered or 0)
        return CancelReceipt(
            tokens_generated=len(self._token_ids),
            tokens_delivered=self._marks_tokens[index - 1] if index else 0,
            abort_ms=round(self._abort_ms, 3),
        )


def _sampling(request: ResponseCreate, response: Response, room: int, parser: Parser | None) -> Sampling:
    """The request's wishes; `response` holds the effective values of what it echoes."""
    wants_logprobs = LOGPROBS in (request.include or ())
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
        logit_bias=request.logit_bias or None,
        ignore_eos=request.ignore_eos or False,
        num_logprobs=request.top_logprobs or 0 if wants_logprobs else None,
        stop_token_ids=(*(parser.stop_token_ids if parser is not None else ()), *(request.stop_token_ids or ())),
        skip_special_tokens=parser is None or parser.skip_special_tokens,
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
            logger.warning("generation failed in the engine: %s", error)
            return Failed("server_error", "The engine failed: send the request again.")


def size_of(items: Sequence[InputItem]) -> int:
    """About how many characters there are to render."""
    size = sum(_ITEM_CHARS + sum(map(len, texts_of(item))) for item in items)
    return size + sum(_TOOL_CHARS * item.num_tools for item in items if isinstance(item, HarmonyMessage))
