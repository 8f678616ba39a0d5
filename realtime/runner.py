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
from collections.abc import Callable, Coroutine, Iterable, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

import msgspec
from msgspec import UNSET

from .assembler import Assembler, ReasoningShown
from .compaction import Policy, sealed
from .compactor import Compactor, Stopped
from .conversation import Opened, Prompt, Turn, exchanges, history, unknown_call, without_oldest
from .conversations import Conversation
from .cutoff import Cutoff, cutoff
from .dialects.base import Dialect, Parser, RenderError
from .engine.base import (
    Engine,
    EngineDead,
    EngineError,
    EngineOverloaded,
    EngineRefused,
    EngineRequest,
    FinishReason,
    TokenChunk,
)  # fmt: skip
from .log.event_log import EventLog
from .mcp_assembler import McpAssembler
from .mcp_stage import McpPlan, McpStage
from .rendering import rendered
from .sampling import sampling
from .tools import ToolSet
from .wire import events
from .wire.errors import ErrorCode, WireError
from .wire.ids import new_id
from .wire.items import InputItem, ItemStatus, OutputItem
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

HARMONY_MESSAGES = "harmony.messages"  # ours: the prompt and the answer as Harmony messages
TOKEN_IDS = "token_ids"  # ours: the same as tokens
_ROOM = 256  # tokens of answer that `truncation: auto` makes room for at least


class Cancelled(msgspec.Struct, frozen=True):
    """A cancel that was accepted. `delivered`: events that the canceller had taken; None if it read none.
    `cutoff`: how much of the answer the user has taken in, if that is known.
    """

    reason: str
    delivered: int | None = None
    cutoff: Cutoff | None = None


class Steered(msgspec.Struct, frozen=True):
    """A successor is to go on from here."""


class Interrupted(msgspec.Struct, frozen=True):
    """Stopped, and the item that was being written is forgotten."""


class Failed(msgspec.Struct, frozen=True):
    """The generation came to nothing, and this is what the client is told."""

    code: str
    message: str


Stop = Cancelled | Steered | Interrupted
Outcome = FinishReason | Stop | Failed
T = TypeVar("T")


class _Earlier(msgspec.Struct):
    """The generations of a response before the latest one: what they used, and the turn that they make up."""

    num_input_tokens: int = 0
    num_cached_tokens: int = 0
    num_output_tokens: int = 0
    num_reasoning_tokens: int = 0
    turn: Turn | None = None

    def add(self, num_input: int, num_cached: int, num_output: int, parser: Parser | None) -> None:
        self.num_input_tokens += num_input
        self.num_cached_tokens += num_cached
        self.num_output_tokens += num_output
        self.num_reasoning_tokens += parser.num_reasoning_tokens if parser is not None else 0


class Owner(Protocol):
    """What a run needs of the service."""

    def run_over(self, run: Run) -> None:
        """The log is sealed."""


class Run:
    """See the module. Created by the service, which calls `start` exactly once."""

    def __init__(
        self, *, owner: Owner, tenant: str, engine: Engine, dialect: Dialect, request: ResponseCreate,
        tools: ToolSet, shown: ReasoningShown, response: Response, log: EventLog, parent: Turn | None, admitted: bool,
        on_disconnect: OnDisconnect, conversation: Conversation | None = None, compact: Policy | None = None,
        seal_compaction: Callable[[str], str], mcp: McpPlan | None = None,
    ) -> None:  # fmt: skip
        self.tenant = tenant
        self.request = request
        self.response = response
        self.log = log
        self.turn: Turn | None = None
        self.watchers: set[Callable[[], None]] = set()
        self.on_disconnect = on_disconnect
        self.conversation = conversation
        self.lonely: asyncio.TimerHandle | None = None  # the service's: cancels a response that nobody follows
        self.grown_at = time.monotonic()  # when its newest event came
        self.detached = False  # a client said that it is to go on without a reader
        self._owner = owner
        self._engine = engine
        self._dialect = dialect
        self._parent = parent
        self._admitted = admitted
        self._entered = conversation is None  # its history is known
        self._tools = tools
        self._compact_when = compact
        self._seal_compaction = seal_compaction
        self._compactor = Compactor(engine, dialect, log.response_id, request.cache_salt, self)
        self._compacted: list[InputItem] | None = None  # what the history was replaced by
        self._measured: Prompt | None = None  # of the history as it is, when it has been rendered already
        self._assembler = Assembler(new_id, shown)
        self._mcp: McpStage | None = None
        if mcp is not None:
            self._assembler = assembler = McpAssembler(new_id, shown, mcp.max_calls)
            self._mcp = McpStage(mcp, assembler, self)
        self._num_generations = 0  # begun; a response has several when the server calls tools for it
        self._prompt: Prompt | None = None
        self._parser: Parser | None = None
        self._token_ids = array("I")  # generated by the latest generation
        self._earlier = _Earlier()
        self._signal = asyncio.Event()  # something that the task waits for has happened
        self._outcome: Outcome | None = None
        self._cancel: Stop | None = None
        self._steered = False  # there is a successor to come: see _cut_if_safe
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
    def output(self) -> list[OutputItem]:
        """See commands.Source."""
        return self._assembler.output

    @property
    def started_from(self) -> Turn | None:
        """What it continues."""
        return self._parent

    @property
    def over(self) -> bool:
        """The terminal event is in the log."""
        return self.log.sealed

    @property
    def input(self) -> tuple[InputItem, ...]:
        """What its request brought."""
        return tuple(self.request.items)

    def start(self) -> asyncio.Task[None]:
        """Append `created` (and `queued`) at once and start the task, which the caller keeps until it is done."""
        if self.request.background:  # its clients expect to see it wait first, even if it need not
            self.response.status = "queued"
        self.log.append(events.ResponseCreated(response=self.response, epoch=self.log.epoch))
        if not self._admitted or self.request.background:
            self.response.status = "queued"
            self.log.append(events.ResponseQueued(response=self.response))
        self._task = asyncio.create_task(self._live(), name=self.response_id)
        return self._task

    def admit(self) -> None:
        """The scheduler's word: run now."""
        self._admitted = True
        self._signal.set()

    def cancel(self, cancelled: Cancelled) -> None:
        """Ask for the end. The terminal event follows when the engine has let go. The first cancel counts; one that
        comes while a successor is about to take over means that as well.
        """
        if (self._cancel is None or isinstance(self._cancel, Steered)) and not self.over:
            self._cancel = cancelled
            self._signal.set()

    def cutoff(self, through: int) -> Cutoff:
        """Where to cut if the user has taken in events up to and with this one. Raises WireError."""
        assembler = self._assembler
        return cutoff(self.log, through, len(assembler.output), assembler.open_index)

    def interrupt(self) -> None:
        """As `cancel`, but what is being written is forgotten."""
        if (self._cancel is None or isinstance(self._cancel, Steered)) and not self.over:
            self._cancel = Interrupted()
            self._signal.set()

    def steer(self) -> None:
        """Ask for the end at the next safe point, for a successor that goes on from there."""
        self._steered = True
        self._cut_if_safe()

    def _cut_if_safe(self) -> None:
        """Text and reasoning are cut anywhere. From its first call on a response is let to its own end: half a call is
        of no use to anybody, and the calls after it belong to the same step.
        """
        if self._cancel is None and self._outcome is None and not self.over and not self._assembler.has_call:
            self._cancel = Steered()
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
                if self._steered and chunk.finish is None:
                    self._cut_if_safe()
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
        self.grown_at = time.monotonic()
        self._marks_tip.append(self.log.tip)
        self._marks_tokens.append(self._earlier.num_output_tokens + len(self._token_ids))
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
        if self._mcp is not None:
            await self._mcp.close()

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
        if (failed := self._enter_conversation()) is not None:
            return failed
        if self._mcp is not None and (outcome := await self._prepare_mcp(self._mcp)) is not None:
            return outcome
        if self._compact_when is not None and self.request.generate is not False:
            early = await self._compact_first(self._compact_when)
            if early is not None:
                return early
        while True:
            outcome = await self._generation()
            if self._mcp is None or outcome is not FinishReason.STOP:
                return outcome
            tools = await self._mcp.go_on(self._tools)
            if tools is None or self._cancel is not None:
                return self._cancel or outcome
            self._go_on_with(tools)

    async def _prepare_mcp(self, mcp: McpStage) -> Outcome | None:
        """The tools of MCP servers; an outcome if the response comes to an end by that."""
        try:
            tools = await mcp.prepare(self._history())
        except WireError as error:
            return Failed("invalid_prompt", error.message)
        if tools is None:
            return self._cancel
        self._tools = tools
        return None

    async def _compact_first(self, policy: Policy) -> Outcome | None:
        """Make the history shorter if it is time; an outcome if the response comes to an end by that."""
        try:
            return await self._compact(policy)
        except RenderError as error:
            return Failed("invalid_prompt", str(error))
        except EngineError as error:
            return _failure(error)

    def _go_on_with(self, tools: ToolSet) -> None:
        """The generation that was is a part of what the next one continues."""
        self._log_trouble()
        self._earlier.add(self._num_input_tokens, self._num_cached_tokens, len(self._token_ids), self._parser)
        self._earlier.turn = self._new_turn(self._assembler.remembered, self._token_ids)
        self._token_ids = array("I")
        self._num_input_tokens = self._num_cached_tokens = 0
        self._outcome = self._parser = self._measured = None
        self._tools = tools

    async def _generation(self) -> Outcome:
        """One generation, from the prompt to what the engine ends it with."""
        self._num_generations += 1
        if (self.request.max_output_tokens or 1 << 62) <= self._earlier.num_output_tokens:
            return FinishReason.LENGTH
        try:
            prompt = await self._render()
            self._prompt = prompt
            self._num_input_tokens = len(prompt.token_ids)
            room = self._engine.model.max_model_len - self._num_input_tokens
            if room <= 0 and self._num_generations == 1:
                return self._too_long()
            if room <= 0:  # results of tools have filled it: what was said until now is the response
                self._num_input_tokens = 0
                return FinishReason.LENGTH
            if self.request.generate is not False:
                self._parser = self._dialect.parser(self.request, self._tools, prompt)
        except RenderError as error:
            return Failed("invalid_prompt", str(error))
        if self._cancel is not None:
            return self._cancel
        return await self._run_engine(prompt, room)

    def _enter_conversation(self) -> Failed | None:
        """It is this response's turn in its conversation: what is in it now is the history."""
        if self.conversation is None:
            return None
        if self.conversation.deleted:
            text = f"Conversation '{self.conversation.id}' was deleted while this response waited for it."
            return Failed(ErrorCode.CONVERSATION_NOT_FOUND.value.code, text)
        self._parent = self.conversation.turn
        self._entered = True
        call_id = unknown_call(history(self._parent, self.request.items))
        if call_id is None:
            return None
        return Failed("invalid_prompt", f"No tool call found for the output with call_id '{call_id[:128]}'.")

    async def _compact(self, policy: Policy) -> Outcome | None:
        """Make the history shorter if it is time; an outcome when there is nothing else to do. Raises EngineError."""
        compactor = self._compactor
        items = self._history()
        if not items:
            nothing = Failed("invalid_prompt", "There is nothing to compact: the conversation is empty.")
            return nothing if policy.now else None
        measured = self._measured = await self._render_items(items)
        limit = compactor.limit(policy, min(self.request.max_output_tokens or _ROOM, _ROOM))
        plan = compactor.plan(items, measured, limit, only_open=policy.now)
        if not policy.now and (len(measured.token_ids) <= limit or not plan.worthwhile):
            return None
        self._append(self._assembler.begin_compaction())
        try:
            compacted = await compactor.write(plan, limit)
        except Stopped:
            return self._cancel
        compacted, self._measured = await compactor.fit(compacted, limit, self._render_compacted)
        self._compacted = compacted.items()
        self._append(self._assembler.end_compaction(partial(sealed, compacted, self._seal_compaction)))
        return FinishReason.STOP if policy.now else None

    async def _render_compacted(self, items: list[InputItem]) -> Prompt:
        return await rendered(self._dialect, self.request, self._tools, items, None)

    @property
    def stopped(self) -> bool:
        """See compactor.Waiter."""
        return self._cancel is not None

    async def wait(self) -> None:
        """See compactor.Waiter."""
        await self._wait()

    def wake(self) -> None:
        """See compactor.Waiter."""
        self._signal.set()

    def _history(self) -> list[InputItem]:
        """Everything that the model is to see."""
        return self._compacted if self._compacted is not None else history(self._parent, self.request.items)

    def _too_long(self) -> Failed:
        text = (
            f"The input has {self._num_input_tokens} tokens; the model's context window holds "
            f"{self._engine.model.max_model_len}, answer included."
        )
        return Failed(ErrorCode.CONTEXT_LENGTH_EXCEEDED.value.code, text)

    @property
    def _engine_id(self) -> str:
        """What the engine knows this generation by."""
        return self.response_id if self._num_generations == 1 else f"{self.response_id}.{self._num_generations}"

    async def _run_engine(self, prompt: Prompt, room: int) -> Outcome:
        parser = self._parser
        if self.request.max_output_tokens is not None:
            room = min(room, self.request.max_output_tokens - self._earlier.num_output_tokens)
        request = EngineRequest(
            request_id=self._engine_id,
            prompt_token_ids=prompt.token_ids,
            sampling=sampling(self.request, self.response, room, parser),
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
                await self._engine.abort(self._engine_id)
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

    async def unless_stopped(self, work: Coroutine[Any, Any, T]) -> T | None:
        """See mcp_stage.Host."""
        task = asyncio.create_task(work, name=f"{self.response_id} waits")
        task.add_done_callback(lambda _: self._signal.set())
        try:
            while not task.done() and self._cancel is None:
                await self._wait()
        finally:
            task.cancel()  # nothing happens if it is done
            await asyncio.wait({task})
        if task.cancelled():
            return None
        failed = task.exception()  # asked for also when nobody wants it, or asyncio complains
        if self._cancel is not None:
            return None
        if failed is not None:
            raise failed
        return task.result()

    def append(self, new: Iterable[events.Event]) -> None:
        """See mcp_stage.Host."""
        self._append(new)

    async def _render(self) -> Prompt:
        """The prompt; with `truncation: auto` without as many of the oldest turns as it takes to fit."""
        items = self._history()
        if self._mcp is not None:
            said = [item for item in self._assembler.remembered if not isinstance(item, Opened)]
            items = self._mcp.said([*items, *said])
        prompt = self._measured if self._measured is not None and self._mcp is None else await self._render_items(items)
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
        parent = self._parent if self._compacted is None else None  # its tokens are not those of what is left
        return await rendered(self._dialect, self.request, self._tools, items, self._earlier.turn or parent)

    # -- the end

    def _seal(self, outcome: Outcome) -> None:
        """Close what is open and append the one terminal event."""
        self._log_trouble()
        completed = outcome is FinishReason.STOP or self.request.generate is False
        status: ItemStatus = "completed" if completed else "incomplete"
        if self.log.tip > 1:
            interrupted = isinstance(outcome, Interrupted)
            closing = self._assembler.discard_open() if interrupted else self._assembler.close(status)
            for event in closing:
                self.log.append(event)
        response = self.response
        cut = outcome.cutoff if isinstance(outcome, Cancelled) else None
        remembered = self._assembler.remembered
        response.output = self._assembler.output
        if cut is not None:
            response.output, remembered = cut.apply(response.output), cut.apply(remembered)
        response.completed_at = int(time.time())
        response.usage = self._usage()
        self._include()
        self.log.append(self._terminal(outcome))
        if not isinstance(outcome, Failed) and self._entered:
            # Of an answer that was cut afterwards it is not known which tokens are left.
            known = cut is None and not isinstance(outcome, Interrupted)
            self.turn = self._new_turn(remembered, self._token_ids if known else array("I"))

    def _new_turn(self, said: Sequence[OutputItem], token_ids: array[int]) -> Turn:
        """What has been said so far, as something to continue."""
        return Turn(
            response_id=self.response_id,
            parent=self._parent if self._compacted is None else None,  # nothing before a compaction is needed again
            input=tuple(self.request.items),
            output=tuple(said),
            prompt=self._prompt,
            token_ids=token_ids,
        )

    def _log_trouble(self) -> None:
        if self._parser is not None and self._parser.trouble is not None:
            trouble = repr(self._parser.trouble)
            logger.warning("malformed output response_id=%s trouble=%s", self.response_id, trouble)

    def _include(self) -> None:
        """What the client wants to have besides."""
        include = self.request.include or ()
        if HARMONY_MESSAGES in include:
            items = self._history()
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
            case Steered():
                response.status = "incomplete"
                response.incomplete_details = IncompleteDetails("steered")
                return events.ResponseIncomplete(response=response)
            case Interrupted():
                response.status = "incomplete"
                response.incomplete_details = IncompleteDetails("interrupted")
                response.end_turn = False
                return events.ResponseIncomplete(response=response)
            case FinishReason.LENGTH if self.request.generate is not False:
                response.status = "incomplete"
                response.incomplete_details = IncompleteDetails("max_output_tokens")
                return events.ResponseIncomplete(response=response)
            case _:
                response.status = "completed"
                return events.ResponseCompleted(response=response)

    def _usage(self) -> Usage:
        """Of all generations, and of the summary if the history was compacted."""
        earlier, compactor = self._earlier, self._compactor
        read = earlier.num_input_tokens + self._num_input_tokens + compactor.num_input_tokens
        cached = earlier.num_cached_tokens + self._num_cached_tokens + compactor.num_cached_tokens
        output = earlier.num_output_tokens + compactor.num_output_tokens
        output += len(self._token_ids) if self.request.generate is not False else 0
        reasoning = earlier.num_reasoning_tokens + compactor.num_reasoning_tokens
        reasoning += self._parser.num_reasoning_tokens if self._parser is not None else 0
        return Usage(
            input_tokens=read,
            input_tokens_details=InputTokensDetails(cached_tokens=cached),
            output_tokens=output,
            output_tokens_details=OutputTokensDetails(reasoning_tokens=reasoning),
            total_tokens=read + output,
        )

    def _receipt(self, cancelled: Cancelled) -> CancelReceipt:
        index = bisect_right(self._marks_tip, cancelled.delivered or 0)
        return CancelReceipt(
            tokens_generated=self._earlier.num_output_tokens + len(self._token_ids),
            tokens_delivered=self._marks_tokens[index - 1] if index else 0,
            abort_ms=round(self._abort_ms, 3),
            through=UNSET if cancelled.cutoff is None else cancelled.cutoff.through,
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
