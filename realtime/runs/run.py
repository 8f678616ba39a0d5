"""One response's life: created -> (queued) -> in progress -> items -> exactly one terminal event, whatever happens.

A `Run` is the sink of its generation and the owner of its log. It appends and tells its watchers; it never waits for
a reader. Its task is asleep while tokens flow: the engine calls `on_chunk`, which appends, and nothing is queued.
"""

from __future__ import annotations

import asyncio
import logging
import time
from array import array
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Protocol

from realtime.context.compaction import Policy, encrypt_compaction
from realtime.context.tools import ToolSet
from realtime.context.turns import ExpandedCompaction, Prompt, Turn, history, no_call_found
from realtime.dialects.base import Dialect, Parser, RenderError
from realtime.engine.base import (
    Engine,
    EngineDead,
    EngineError,
    EngineOverloaded,
    EngineRefused,
    EngineRequest,
    FinishReason,
    TokenChunk,
)
from realtime.store.conversations import Conversation
from realtime.store.event_log import EventLog
from realtime.wire import events
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.ids import new_id
from realtime.wire.items import InputItem, ItemStatus, OutputItem
from realtime.wire.requests import OnDisconnect, ResponseCreate
from realtime.wire.response import Response

from .assembler import Assembler
from .audience import Followed
from .compactor import Compactor, Stopped
from .cutoff import Cutoff, cutoff
from .endings import Cancelled, Failed, Interrupted, Outcome, Steered, failure, terminal, too_long
from .image_loader import Images
from .mcp.plan import McpPlan
from .mcp.stage import McpStage
from .open_items import ReasoningShown
from .prompts import Context
from .sampling import sampling
from .stop_signal import Stopping
from .usage import Meter

logger = logging.getLogger("realtime.runner")


class Owner(Protocol):
    """What a run needs of the service."""

    def run_over(self, run: Run) -> None:
        """The log is sealed."""


class Run(Followed):
    """See the module. Created by the service, which calls `start` exactly once."""

    def __init__(
        self, *, owner: Owner, tenant: str, engine: Engine, dialect: Dialect, request: ResponseCreate,
        tools: ToolSet, shown: ReasoningShown, response: Response, log: EventLog, parent: Turn | None, admitted: bool,
        on_disconnect: OnDisconnect, conversation: Conversation | None = None, compact: Policy | None = None,
        encrypt: Callable[[str], str], mcp: McpPlan | None = None, images: Images | None = None,
    ) -> None:  # fmt: skip
        super().__init__(on_disconnect)
        self.stopping = stopping = Stopping()
        self.tenant = tenant
        self.request = request
        self.response = response
        self.log = log
        self.turn: Turn | None = None
        self.conversation = conversation
        self.grown_at = time.monotonic()  # when its newest event came
        self._owner = owner
        self._engine = engine
        self._dialect = dialect
        self.context = Context(engine, dialect, request, tools, parent)
        self._admitted = admitted
        self._entered = conversation is None  # its history is known
        self._compact_when = compact
        self._encrypt = encrypt  # for compactions
        self._compactor = Compactor(engine, dialect, log.response_id, request.cache_salt, stopping)
        self._assembler = Assembler(new_id, shown, mcp.max_calls if mcp is not None else 0)
        self._images = images  # None: the model can't see
        self._mcp: McpStage | None = None
        if mcp is not None:
            self._mcp = McpStage(mcp, self._assembler, stopping, self._append)
        self._num_generations = 0  # begun; a response has several when the server calls tools for it
        self._meter = Meter()
        self._parser: Parser | None = None  # of the latest generation
        self._outcome: Outcome | None = None
        self._steered = False  # there is a successor to come: see _cut_if_safe
        self._abort_ms = 0.0
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
        return self.context.parent

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
        self.stopping.wake()

    def cancel(self, cancelled: Cancelled) -> None:
        """Ask for the end. The terminal event follows when the engine has let go. The first cancel counts; one that
        comes while a successor is about to take over means that as well.
        """
        if not self.over:
            self.stopping.ask(cancelled)

    def cutoff(self, through: int) -> Cutoff:
        """Where to cut if the user has taken in events up to and with this one. Raises WireError."""
        assembler = self._assembler
        return cutoff(self.log, through, len(assembler.output), assembler.open_index)

    def interrupt(self) -> None:
        """As `cancel`, but what is being written is forgotten."""
        if not self.over:
            self.stopping.ask(Interrupted())

    def steer(self) -> None:
        """Ask for the end at the next safe point, for a successor that goes on from there."""
        self._steered = True
        self._cut_if_safe()

    def _cut_if_safe(self) -> None:
        """Text and reasoning are cut anywhere. From its first call on a response is let to its own end: half a call is
        of no use to anybody, and the calls after it belong to the same step.
        """
        stopped = self.stopping.stopped or self._outcome is not None or self.over
        if not stopped and not self._assembler.has_call:
            self.stopping.ask(Steered())

    # -- the sink

    def on_chunk(self, chunk: TokenChunk) -> None:
        """See engine.base.Sink."""
        self._meter.token_ids.extend(chunk.token_ids)
        if chunk.num_cached_tokens:
            self._meter.num_cached = chunk.num_cached_tokens
        try:
            if self._parser is not None and self.stopping.stop is None and self._outcome is None:
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
        self._end(self._failure(error))

    def _append(self, new: Iterable[events.Event]) -> None:
        tip = self.log.tip
        for event in new:
            self.log.append(event)
        grown_to = self.log.tip
        if grown_to == tip:
            return
        self.grown_at = time.monotonic()
        self._meter.mark(grown_to)
        self.notify()

    def _end(self, outcome: Outcome) -> None:
        if self._outcome is None:
            self._outcome = outcome
            self.stopping.wake()

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
        while not self._admitted and self.stopping.stop is None:
            await self.stopping.wait()
        if self.stopping.stop is not None:
            return self.stopping.stop
        if self.request.generate is not False or self.response.status == "queued":
            self.response.status = "in_progress"
            self.log.append(events.ResponseInProgress(response=self.response))
            self.notify()
        if (failed := self._enter_conversation()) is not None:
            return failed
        if self._images is not None and (early := await self._load_images(self._images)) is not None:
            return early
        if self._compact_when is not None and self.request.generate is not False:
            early = await self._compact_first(self._compact_when)
            if early is not None:
                return early
        # After the compaction, which stands for everything before it: what is listed and called now stays.
        if self._mcp is not None and (outcome := await self._prepare_mcp(self._mcp)) is not None:
            return outcome
        while True:
            outcome = await self._generation()
            if self._mcp is None or outcome is not FinishReason.STOP:
                return outcome
            tools = await self._mcp.go_on(self.context.tools)
            if tools is None or self.stopping.stop is not None:
                return self.stopping.stop or outcome
            self._go_on_with(tools)

    async def _load_images(self, images: Images) -> Outcome | None:
        """Fetch and decode what is to be seen; an outcome if the response comes to an end by that."""
        try:
            await self.stopping.unless_stopped(images.load(self.context.items, self.request.items))
        except WireError as error:
            return Failed(error.spec.code, error.message, error.param)
        return self.stopping.stop

    async def _prepare_mcp(self, mcp: McpStage) -> Outcome | None:
        """The tools of MCP servers; an outcome if the response comes to an end by that."""
        try:
            whole = history(self.context.parent, self.request.items)
            tools = await mcp.prepare(self.context.items, whole)
        except WireError as error:
            return Failed("invalid_prompt", error.message)
        if tools is None:
            return self.stopping.stop
        self.context.tools = tools
        return None

    async def _compact_first(self, policy: Policy) -> Outcome | None:
        """Make the history shorter if it is time; an outcome if the response comes to an end by that."""
        try:
            return await self._compact(policy)
        except RenderError as error:
            return Failed("invalid_prompt", str(error))
        except EngineError as error:
            return self._failure(error)

    def _go_on_with(self, tools: ToolSet) -> None:
        """The generation that was is a part of what the next one continues."""
        self._log_trouble()
        latest = self._new_turn(self._assembler.remembered, self._meter.token_ids)
        self.context.next_generation(latest, tools)
        self._meter.next_generation(self._num_reasoning)
        self._outcome = self._parser = None

    async def _generation(self) -> Outcome:
        """One generation, from the prompt to what the engine ends it with."""
        self._num_generations += 1
        if (self.request.max_output_tokens or 1 << 62) <= self._meter.num_output:
            return FinishReason.LENGTH
        try:
            prompt = await self.context.render(self._said(), lambda: self.stopping.stop is not None)
            self._meter.num_input = prompt.num_tokens
            room = self._engine.model.max_model_len - self._meter.num_input
            if room <= 0 and self._num_generations == 1:
                return too_long(self._meter.num_input, self._engine.model.max_model_len)
            if room <= 0:  # results of tools have filled it: what was said until now is the response
                self._meter.num_input = 0
                return FinishReason.LENGTH
            if self.request.generate is not False:
                self._parser = self._dialect.parser(self.request, self.context.tools, prompt)
        except RenderError as error:
            return Failed("invalid_prompt", str(error))
        except EngineError as error:
            return self._failure(error)
        if self.stopping.stop is not None:
            return self.stopping.stop
        return await self._run_engine(prompt, room)

    def _enter_conversation(self) -> Failed | None:
        """It is this response's turn in its conversation: what is in it now is the history."""
        if self.conversation is None:
            return None
        if self.conversation.deleted:
            text = f"Conversation '{self.conversation.id}' was deleted while this response waited for it."
            return Failed(ErrorCode.CONVERSATION_NOT_FOUND.value.code, text)
        self.context.parent = self.conversation.turn
        self._entered = True
        orphaned = no_call_found(self.context.items)
        return Failed("invalid_prompt", orphaned) if orphaned is not None else None

    async def _compact(self, policy: Policy) -> Outcome | None:
        """Make the history shorter if it is time; an outcome when there is nothing else to do. Raises EngineError."""
        compactor, context = self._compactor, self.context
        items = context.items
        if not items:
            nothing = Failed("invalid_prompt", "There is nothing to compact: the conversation is empty.")
            return nothing if policy.now else None
        measured = await context.measure()
        limit = compactor.limit(policy, context.room)
        plan = compactor.plan(items, measured, limit, only_open=policy.now)
        if not policy.now and (measured.num_tokens <= limit or not plan.worthwhile):
            return None
        self._append(self._assembler.begin_compaction())
        try:
            compacted = await compactor.write(plan, limit)
        except Stopped:
            return self.stopping.stop
        compacted, measured = await compactor.fit(compacted, limit, context.render_compacted)
        context.replace(compacted.items(), measured)
        self._append(self._assembler.end_compaction(partial(encrypt_compaction, compacted, self._encrypt)))
        return FinishReason.STOP if policy.now else None

    def _said(self) -> list[InputItem] | None:
        """The history with what MCP tools have brought to it until now; None: as it is."""
        if self._mcp is None:
            return None
        said = [item for item in self._assembler.remembered if not isinstance(item, ExpandedCompaction)]
        return [*self.context.items, *said]

    @property
    def _engine_id(self) -> str:
        """What the engine knows this generation by."""
        return self.response_id if self._num_generations == 1 else f"{self.response_id}.{self._num_generations}"

    async def _run_engine(self, prompt: Prompt, room: int) -> Outcome:
        parser = self._parser
        if self.request.max_output_tokens is not None:
            room = min(room, self.request.max_output_tokens - self._meter.num_output)
        request = EngineRequest(
            request_id=self._engine_id,
            prompt_token_ids=prompt.token_ids,
            seen=prompt.seen,
            sampling=sampling(self.request, self.response, room, parser),
            cache_salt=self.request.cache_salt,
            constraint=parser.constraint if parser is not None else None,
            reasoning_ended=parser.reasoning_ended if parser is not None else None,
            template_kwargs=self._dialect.template_kwargs(self.request),
        )
        try:
            await self._engine.submit(request, self)
        except EngineError as error:
            return self._failure(error)
        try:
            while self._outcome is None and self.stopping.stop is None:
                await self.stopping.wait()
        finally:
            # Also when this task is cancelled, and after a failure of ours: the engine must hold nothing of it.
            if not isinstance(self._outcome, FinishReason):
                asked_at = time.perf_counter()
                await self._engine.abort(self._engine_id)
                self._abort_ms = (time.perf_counter() - asked_at) * 1e3
        outcome = self.stopping.stop or self._outcome
        assert outcome is not None
        if outcome is FinishReason.ABORT:  # not by us: then there is a cancel
            return Failed("server_error", "The engine gave up this response: send the request again.")
        if isinstance(outcome, FinishReason) and self._parser is not None:
            self._append(self._assembler.feed(self._parser.close()))
        return outcome

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
        response.usage = self._meter.usage(
            self._compactor.tokens, self._num_reasoning, generated=self.request.generate is not False
        )
        self.context.include(response, self._assembler.remembered, self._meter.token_ids)
        self.log.append(self._terminal(outcome))
        if not isinstance(outcome, Failed) and self._entered:
            # Of an answer that was cut afterwards it is not known which tokens are left.
            known = cut is None and not isinstance(outcome, Interrupted)
            self.turn = self._new_turn(remembered, self._meter.token_ids if known else array("I"))

    def _new_turn(self, said: Sequence[OutputItem], token_ids: array[int]) -> Turn:
        """What has been said so far, as something to continue."""
        prompt = self.context.prompt
        return Turn(
            response_id=self.response_id,
            parent=self.context.reaches_back,
            input=tuple(self.request.items),
            output=tuple(said),
            prompt=prompt.kept() if prompt is not None else None,
            token_ids=token_ids,
        )

    def _log_trouble(self) -> None:
        if self._parser is not None and self._parser.trouble is not None:
            trouble = repr(self._parser.trouble)
            logger.warning("malformed output response_id=%s trouble=%s", self.response_id, trouble)

    def _seal_anyhow(self) -> None:
        """After a bug of ours in the regular end: a reader may get an item that is never closed, but it gets an end."""
        failed = Failed("server_error", "The server failed while ending this response.")
        self.turn = None
        if not self.log.sealed:
            self.log.append_last(self._terminal(failed))

    def _terminal(self, outcome: Outcome) -> events.Event:
        receipt = self._meter.receipt(outcome, self._abort_ms) if isinstance(outcome, Cancelled) else None
        return terminal(self.response, outcome, receipt, complete=self.request.generate is False)

    @property
    def _num_reasoning(self) -> int:
        """Tokens of the latest generation."""
        return self._parser.num_reasoning_tokens if self._parser is not None else 0

    def _failure(self, error: EngineError) -> Failed:
        if not isinstance(error, EngineRefused | EngineOverloaded | EngineDead):  # these are in order
            logger.warning("generation failed in the engine: %s", error)
        return failure(error)
