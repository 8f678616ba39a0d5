"""The stages of one response, from its history to the end of its last generation (`answering`).

The stages are states of `life`. Each does its part, or raises `Ended` with the response's outcome.
"""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Sequence
from functools import partial

from realtime.context.compaction import Policy, encrypt_compaction
from realtime.context.outputs import check_no_output_missing, check_no_second_output, needs_outputs
from realtime.context.tools import ToolSet
from realtime.context.turns import ExpandedCompaction, Turn, history
from realtime.engine.base import FinishReason
from realtime.store.conversations import Conversation
from realtime.wire.calls import no_call_found
from realtime.wire.errors import WireError
from realtime.wire.ids import ids_of
from realtime.wire.items import InputItem, OutputItem
from realtime.wire.response import Usage

from .answering import Answering
from .assembler import Assembler
from .compactor import Compactor
from .endings import Ended, Failed, conversation_deleted
from .going_on import GoingOn
from .image_loader import ImageLoader
from .life import State
from .mcp.stage import McpStage, Unsure
from .prompts import Prompts
from .renderer import Renderer
from .shared import Shared, refuse
from .usage import Used


class Stages:
    """The stages of one response. `go_through` must be called at most once, and `close` at the end.

    assembler: makes the output; the run closes what is open after the last stage. prompts: the model's input, and what
    the response continues. usage: of the response's own generations (`answering`); `compactor` has its own.
    """

    def __init__(self, shared: Shared) -> None:
        job, past = shared.job, shared.past
        shown = job.shown if past is None else past.shown(job.shown)
        self.assembler = Assembler(ids_of(job.response_id), shown, job.mcp.max_calls if job.mcp is not None else 0)
        renderer = Renderer(shared.serving, job.tenant, job.cache_salt)
        self.prompts = Prompts(renderer, job.request, job.tools, job.parent)
        self.compactor = Compactor(renderer, job.response_id, shared.stopping, job.service_class)
        self.going_on = GoingOn(
            shared.serving.continuity, shared.serving.observer, shared.response, shared.log, shared.note, past
        )
        self.answering = Answering(shared, self.going_on, self.prompts, self.assembler, self.compactor.tokens)
        self.usage = self.answering.usage
        self._job = job
        self._images = shared.serving.images
        self._response = shared.response
        self._life = shared.life
        self._append = shared.append
        self._past = past
        self._mcp = self._mcp_stage(shared)

    def _mcp_stage(self, shared: Shared) -> McpStage | None:
        job, past = shared.job, shared.past
        if job.mcp is None:
            return None
        return McpStage(
            job.response_id,
            job.mcp,
            self.assembler,
            shared.append,
            shared.serving.observer.service.tool_seconds,
            shared.watch.headers,
            past.answered if past is not None else (),
        )

    @property
    def abort_ms(self) -> float:
        """Return how long the engine took to abort the latest generation, if it was asked to."""
        latest = self.answering.latest
        return latest.abort_ms if latest is not None else self.compactor.abort_ms

    @property
    def used(self) -> Usage | None:
        """The usage so far; None before the first token."""
        if self.answering.latest is None or not self.answering.num_generated:
            return None
        return self.usage.total(self.compactor.tokens, self.answering.num_reasoning, generates=True)

    @property
    def used_until_now(self) -> Used:
        """Return the tokens so far. Called often for every running response."""
        usage, compaction, generation = self.usage, self.compactor.tokens, self.answering.latest
        earlier, latest = usage.earlier, usage.latest
        return Used(
            earlier.num_input + latest.num_input + compaction.num_input,
            earlier.num_cached + latest.num_cached + compaction.num_cached,
            earlier.num_output + len(latest.token_ids) + compaction.num_output,
            generation.num_reading if generation is not None else 0,
        )

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
            finished = await self.answering.generate(number, self._said)
            if self._mcp is None or finished is not FinishReason.STOP:
                break
            self._mcp.unsure = self.answering.was_replayed
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
        if self._images is not None:
            await self._load_images(self._images)
        if job.compaction is not None and job.generates:
            await self._compact(job.compaction)
        # After the compaction, which stands for everything before it: what is listed and called now stays.
        if self._mcp is not None:
            await self._list_tools(self._mcp)

    async def close(self) -> None:
        """Close the MCP sessions and drop the references to the run, which is then freed without the garbage
        collector.
        """
        mcp, self._mcp, self._append, self._past = self._mcp, None, refuse, None
        self.answering.close()
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
        self.answering.next_generation()
