"""The stages of one response, from its history to the end of its last generation.

The stages are states of `life`. Each does its part, or raises `Ended` with the response's outcome.
"""

from __future__ import annotations

import itertools
import logging
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Protocol

from realtime.context.compaction import Policy, encrypt_compaction
from realtime.context.outputs import check_no_output_missing, check_no_second_output, needs_outputs
from realtime.context.tools import ToolSet
from realtime.context.turns import ExpandedCompaction, Prompt, Turn, history
from realtime.dialects.base import Parser, PromptTooLong
from realtime.dialects.stop_strings import StopStrings
from realtime.engine.base import EngineDead, EngineOverloaded, EngineRefused, FinishReason, Sampling, TokenChunk
from realtime.observability.observer import Watch
from realtime.store.conversations import Conversation
from realtime.store.event_log import EventLog
from realtime.store.records import Begun, Note, PastGeneration, digest_of
from realtime.store.restored_log import Diverged
from realtime.wire import events
from realtime.wire.calls import no_call_found
from realtime.wire.errors import WireError
from realtime.wire.ids import ids_of
from realtime.wire.items import InputItem, OutputItem
from realtime.wire.requests import STOP_SEQUENCE
from realtime.wire.response import Response, Usage

from .assembler import Assembler
from .compactor import Compactor
from .endings import Ended, Failed, Steered, conversation_deleted, too_long
from .generation import Generation, PutAside, engine_request
from .going_on import GoingOn
from .image_loader import ImageLoader
from .job import Job
from .life import Life, State
from .mcp.stage import McpStage, Unsure
from .past import Past
from .pause import Pause
from .prompts import Prompts
from .renderer import Renderer
from .response_object import echoed_tools
from .sampling import sampling
from .serving import Serving
from .stop_signal import StopSignal
from .usage import TokenUsage, Used

logger = logging.getLogger("realtime.runs")

_UNLIMITED = 1 << 62  # tokens


class Append(Protocol):
    """A function that takes new events, and the engine's chunks that they were made of."""

    def __call__(self, new: Iterable[events.Event], chunk: TokenChunk | None = None) -> None: ...


class Stages:
    """The stages of one response. `go_through` must be called at most once, and `close` at the end.

    assembler: makes the output; the run closes what is open after the last stage. prompts: the model's input, and what
    the response continues. usage: of the response's own generations; `compactor` has its own.
    """

    def __init__(
        self, job: Job, serving: Serving, response: Response, life: Life, stopping: StopSignal,
        append: Append, watch: Watch, log: EventLog, note: Callable[[Note], None], past: Past | None = None,
    ) -> None:  # fmt: skip
        """`append`: takes the new events. `watch`: gives the trace headers for other servers. `log`, `note`: see
        GoingOn. `past`: what was made before this process began.
        """
        shown = job.shown if past is None else past.shown(job.shown)
        self.assembler = Assembler(ids_of(job.response_id), shown, job.mcp.max_calls if job.mcp is not None else 0)
        renderer = Renderer(serving, job.tenant, job.cache_salt)
        self.prompts = Prompts(renderer, job.request, job.tools, job.parent)
        self.usage = TokenUsage()
        self.compactor = Compactor(renderer, job.response_id, stopping, job.service_class)
        self._job = job
        self._serving = serving
        self._response = response
        self._life = life
        self._stopping = stopping
        self._append = append
        self._note = note
        self._past = past
        self.replaying = False  # what comes now was made before
        self.going_on = GoingOn(serving.continuity, serving.observer, response, log, note, past)
        self._pause = Pause(job, life, stopping, self.going_on, serving.observer, serving.was_put_aside)
        self._pauses = False  # the latest generation can be put aside
        self._times = watch.times
        self._freed = False  # no more tools are held than have to be
        self._generation: Generation[events.Event] | None = None  # the latest, until the next one is prepared
        self._mcp: McpStage | None = None
        if job.mcp is not None:
            self._mcp = McpStage(
                job.response_id,
                job.mcp,
                self.assembler,
                append,
                serving.observer.service.tool_seconds,
                watch.headers,
                past.answered if past is not None else (),
            )

    @property
    def num_reasoning(self) -> int:
        """The reasoning tokens of the latest generation."""
        return self._generation.num_reasoning if self._generation is not None else 0

    @property
    def abort_ms(self) -> float:
        """Return how long the engine took to abort the latest generation, if it was asked to."""
        return self._generation.abort_ms if self._generation is not None else self.compactor.abort_ms

    @property
    def used(self) -> Usage | None:
        """The usage so far; None before the first token."""
        if self._generation is None or not self.num_generated:
            return None
        return self.usage.total(self.compactor.tokens, self.num_reasoning, generates=True)

    def prefilled(self, read: Mapping[str, int]) -> tuple[int, int] | None:
        """Return how many tokens of the prompt are read, and of how many, while it is being read. `read`: from
        EngineStats.
        """
        generation = self._generation
        if generation is None or generation.times.first_at is not None or generation.request_id not in read:
            return None
        return read[generation.request_id], generation.num_prompt

    @property
    def num_generated(self) -> int:
        """The tokens that the engine has generated so far, including those of summaries."""
        return self.usage.num_output + self.compactor.tokens.num_output

    @property
    def used_until_now(self) -> Used:
        """Return the tokens so far. Called often for every running response."""
        usage, compaction, generation = self.usage, self.compactor.tokens, self._generation
        earlier, latest = usage.earlier, usage.latest
        return Used(
            earlier.num_input + latest.num_input + compaction.num_input,
            earlier.num_cached + latest.num_cached + compaction.num_cached,
            earlier.num_output + len(latest.token_ids) + compaction.num_output,
            generation.num_reading if generation is not None else 0,
        )

    def end_if_safe(self) -> None:
        """Request the end for a successor, if this is a safe point. Text and reasoning may be cut anywhere. From its
        first call on, a response is left to end by itself: half a call is useless, and the calls after it belong to the
        same step.
        """
        ended = self._generation is not None and self._generation.ended is not None
        if not self._stopping.stopped and self._life.may_be_steered and not ended and not self.assembler.has_call:
            self._stopping.ask(Steered())

    @property
    def may_be_put_aside(self) -> bool:
        """Return whether the current answer can be put aside now, and continue exactly."""
        generation = self._generation
        is_new = self._past is None or self._past.log.caught_up
        return self._pauses and is_new and generation is not None and generation.may_be_put_aside

    def put_aside(self) -> None:
        """Have the engine abort the answer, until its turn comes again."""
        assert self._generation is not None
        self._generation.put_aside()

    def turn(self, said: Sequence[OutputItem], token_ids: array[int]) -> Turn:
        """Return the output so far as a turn to continue. `token_ids`: of the latest generation, if they are exactly
        its output.
        """
        prompt = self.prompts.prompt
        return Turn(
            response_id=self._job.response_id,
            parent=self.prompts.reaches_back,
            input=tuple(self._job.request.items),
            output=tuple(said),
            prompt=prompt.kept() if prompt is not None else None,
            token_ids=token_ids,
        )

    async def go_through(self) -> FinishReason:
        """Make the response. Raises RenderError, EngineError, Ended and Diverged."""
        past = self._past
        if past is not None:
            self.going_on.check(past)
            if past.has_begun:
                self.going_on.tell(exact=not past.has_said or past.is_exact(self._response.temperature))
        if past is None or past.generation(1) is None:
            await self._prepare()
        else:
            self.prompts.parent = past.parent
            if self._mcp is not None:
                await self._list_tools(self._mcp)
        for number in itertools.count(1):
            finished = await self._generate(number)
            if self._mcp is None or finished is not FinishReason.STOP:
                break
            tools = await self._call_tools(self._mcp)
            if tools is None:
                break
            self._go_on_with(tools)
        return finished

    async def _prepare(self) -> None:
        """See to what the first generation needs."""
        job = self._job
        if job.conversation is not None:
            self._enter(job.conversation)
        if self._serving.images is not None:
            await self._load_images(self._serving.images)
        if job.compaction is not None and job.generates:
            await self._compact(job.compaction)
        # After the compaction, which stands for everything before it: what is listed and called now stays.
        if self._mcp is not None:
            await self._list_tools(self._mcp)

    async def close(self) -> None:
        """Close the MCP sessions and drop the references to the run, which is then freed without the garbage
        collector.
        """
        mcp, self._mcp, self._generation, self._append = self._mcp, None, None, _refuse
        self._past, self._note = None, _note_nothing
        self.going_on.close()
        if mcp is not None:
            await mcp.close()

    def _enter(self, conversation: Conversation) -> None:
        """Take the conversation's current items as the history: it is this response's turn."""
        if conversation.deleted:
            raise Ended(conversation_deleted(conversation.id))
        self.prompts.parent = conversation.turn
        orphaned = no_call_found(self.prompts.items)
        if orphaned is not None:
            raise Ended(Failed("invalid_prompt", orphaned))
        request = self._job.request
        try:
            check_no_second_output(conversation.items(), request.items)
            if needs_outputs(request, self._job.compaction):
                check_no_output_missing(conversation.turn, request.items)
        except WireError as refused:
            raise Ended(Failed(refused.spec.code, refused.message, refused.param)) from None

    async def _load_images(self, images: ImageLoader) -> None:
        """Fetch and decode the images."""
        self._life.enter(State.LOADING_IMAGES)
        try:
            await images.load(self._job.tenant, self.prompts.items, self._job.request.own_items)
        except WireError as error:
            raise Ended(Failed(error.spec.code, error.message, error.param)) from None

    async def _compact(self, policy: Policy) -> None:
        """Compact the history if it is too long."""
        self._life.enter(State.COMPACTING)
        compacted = await self.compactor.compact(
            policy, self.prompts, lambda: self._append(self.assembler.begin_compaction())
        )
        if compacted is not None:
            self._append(
                self.assembler.end_compaction(partial(encrypt_compaction, compacted, self._job.encrypt_compaction))
            )
        if policy.now:
            raise Ended(FinishReason.STOP)

    async def _list_tools(self, mcp: McpStage) -> None:
        """Have MCP servers list their tools, and make the calls that the user has approved."""
        self._life.enter(State.LISTING_TOOLS)
        mcp.unsure = self._past is not None and self._past.has_begun
        whole = history(self.prompts.parent, self._job.request.items)
        try:
            tools = await mcp.prepare(self.prompts.items, whole)
        except Unsure:
            raise Ended(self.going_on.failed("mcp")) from None
        except WireError as error:
            raise Ended(Failed("invalid_prompt", error.message)) from None
        self.prompts.tools = tools

    async def _generate(self, number: int) -> FinishReason:
        """Generate one answer, from its prompt to the engine's finish reason. `number` counts from 1."""
        left = (self._job.request.max_output_tokens or _UNLIMITED) - self.usage.num_output
        if left <= 0:
            return FinishReason.LENGTH
        past = self._past.generation(number) if self._past is not None else None
        self._life.enter(State.RENDERING)
        window = self._serving.model.max_model_len
        try:
            prompt = await self._prompt(past)
            self.usage.latest.num_input = prompt.num_tokens
            if prompt.num_tokens >= window:
                raise Ended(too_long(prompt.num_tokens, window))
        except (Ended, PromptTooLong):
            if number == 1:
                raise
            self.usage.latest.num_input = 0
            return FinishReason.LENGTH  # results of tools have filled it: what was said until now is the response
        room = min(window - prompt.num_tokens, left)
        if past is not None and past.begun.freed:
            self._free_defaults()
        self._stopping.check()
        self._life.enter(State.GENERATING)
        try:
            return await self._answer(number, prompt, room, past)
        except EngineRefused:
            has_begun = past is not None or self.usage.latest.token_ids
            if has_begun or not self._free_defaults():
                raise
        return await self._answer(number, prompt, room, None)

    async def _prompt(self, past: PastGeneration | None) -> Prompt:
        """Render the next prompt, or take the recorded one."""
        if past is None:
            return await self.prompts.render(self._said())
        if past.begun.prompt is not None:
            self.prompts.prompt = past.begun.prompt
            return past.begun.prompt
        if self._serving.images is not None:
            await self._serving.images.load(self._job.tenant, self.prompts.items, self._job.request.own_items)
        prompt = await self.prompts.render(self._said())
        if digest_of(prompt) != past.begun.digest:
            raise Ended(self.going_on.failed("prompt_not_stored"))
        return prompt

    async def _answer(self, number: int, prompt: Prompt, room: int, past: PastGeneration | None) -> FinishReason:
        """Have the engine answer, or the next one continue the answer."""
        generation, wishes = self._new_generation(number, prompt, room, past)
        self._generation, self._pauses = generation, self._pause.allows(wishes, has_pictures=bool(prompt.pictures))
        begun = self._begin(number, prompt, wishes, past)
        if past is not None:
            self._replay(generation, past)
        if self._mcp is not None:
            self._mcp.unsure = generation.ended is not None
        while True:
            given = False
            if self._past is None or self._past.log.caught_up:
                self.going_on.asked(self.num_generated)
            try:
                await generation.submit()
                given = True
                if generation.times not in self._times.generations:
                    self._times.generations.append(generation.times)
                finish = await generation.result()
                said = generation.stop_string
                if said is not None and STOP_SEQUENCE in (self._job.request.include or ()):
                    self._response.stop_sequence = said
                return finish
            except PutAside:
                await self._pause.wait(generation, begun)
            except EngineOverloaded as overloaded:
                await self._pause.try_later(overloaded)
            except EngineDead as dead:
                await self._survive(dead, generation, begun, wishes, given=given)

    def _begin(self, number: int, prompt: Prompt, wishes: Sampling, past: PastGeneration | None) -> Begun:
        """Record what is needed to continue a generation."""
        if past is not None:
            return past.begun
        begun = Begun(
            number=number,
            prompt=prompt.kept(),
            parent=self.prompts.parent,
            seed=wishes.seed,
            fingerprint=self._serving.continuity.fingerprint,
            freed=self._freed,
        )
        self._note(begun)
        return begun

    def _replay(self, generation: Generation[events.Event], past: PastGeneration) -> None:
        """Make the events of a recorded generation again, to restore the state. Raises Diverged."""
        assert self._past is not None
        self.replaying = True
        generation.replay(past.chunks)
        self.replaying = False
        if self._past.log.caught_up:
            self._past.forget(past.begun.number)
        elif generation.ended is None:
            raise Diverged(self._past.log.replayed)

    async def _survive(
        self, dead: EngineDead, generation: Generation[events.Event], begun: Begun, wishes: Sampling, *, given: bool
    ) -> None:
        """Have the next engine continue. `given`: the dead one had the request. Raises Ended, and what
        `Prompts.look_again` raises.
        """
        try:
            await self.going_on.survive(dead, begun, wishes, given=given)
        except Ended as ended:
            if isinstance(ended.outcome, Failed):
                generation.fail(ended.outcome)
            raise
        prompt = self.prompts.prompt
        seen = await self.prompts.look_again(prompt) if prompt is not None and prompt.pictures else None
        generation.again(seen)

    def _free_defaults(self) -> bool:
        """Constrain no more tools than necessary, because a constraint does not compile. Return False if none can be
        freed.
        """
        freed = self.prompts.tools.without_defaults()
        if freed is None:
            return False
        logger.info("tools not held response_id=%s", self._job.response_id)
        self.prompts.tools = freed
        self._freed = True
        self._response.tools = echoed_tools(self._job.request, freed)
        return True

    def _new_generation(
        self, number: int, prompt: Prompt, max_tokens: int, past: PastGeneration | None
    ) -> tuple[Generation[events.Event], Sampling]:
        job, serving = self._job, self._serving
        parser: Parser | None = None
        if job.generates:
            parser = serving.dialect.parser(job.request, self.prompts.tools, prompt)
        request_id = job.response_id if number == 1 else f"{job.response_id}.{number}"
        wishes = sampling(job.request, self._response, max_tokens, parser)
        wishes = self.going_on.seeded(wishes, past.begun if past is not None else None)
        request = engine_request(
            serving, request_id, job.request, prompt, parser, wishes, job.cache_salt, job.tenant, job.service_class
        )
        generation = Generation(
            serving, request, parser, self.usage.latest, self._stopping,
            read=self.assembler.feed, keep=self._append, at_safe_point=self.end_if_safe,
            stops=StopStrings.of(job.request.stop),
        )  # fmt: skip
        return generation, wishes

    def _said(self) -> list[InputItem] | None:
        """Return the history with the results of MCP tools so far; None: it has not changed."""
        if self._mcp is None:
            return None
        said = [item for item in self.assembler.remembered if not isinstance(item, ExpandedCompaction)]
        return [*self.prompts.items, *said]

    async def _call_tools(self, mcp: McpStage) -> ToolSet | None:
        """Make the calls of the latest generation. Return the tools of the next one; None if there is to be none."""
        self._life.enter(State.CALLING_TOOLS)
        try:
            return await mcp.go_on(self.prompts.tools)
        except Unsure:
            raise Ended(self.going_on.failed("mcp")) from None

    def _go_on_with(self, tools: ToolSet) -> None:
        """Add the latest generation to what the next one continues."""
        self.prompts.next_generation(self.turn(self.assembler.remembered, self.usage.latest.token_ids), tools)
        self.usage.next_generation(self.num_reasoning)
        self._generation = None


def _refuse(new: Iterable[events.Event], chunk: TokenChunk | None = None) -> None:
    """Replace the run's `append` once the run is over."""
    raise AssertionError("an event after the end")


def _note_nothing(note: Note) -> None:
    """Replace the run's `note` once the run is over."""
