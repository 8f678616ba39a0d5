"""Compaction: has the model write the summary of a conversation that is too long.

A run compacts before its own generation, on its own slot, so whatever bounds responses bounds compaction. A history
that does not fit into the window at once is summarized in pieces, oldest first, each with the summary of those before
it. If the model writes nothing, the shortened text itself stands in for its summary. So no length makes compaction
fail.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence

from realtime.context import compaction_plan, transcript
from realtime.context.compaction import Compacted, Policy
from realtime.context.compaction_plan import Budget, Plan
from realtime.context.request_tools import tool_set
from realtime.context.shortening import elide
from realtime.context.turns import Prompt
from realtime.dialects.base import Piece, PromptTooLong, TextDelta
from realtime.engine.base import Sampling
from realtime.wire.item_texts import size_of
from realtime.wire.items import InputItem, Message
from realtime.wire.requests import ReasoningOptions, ResponseCreate

from .endings import NOTHING_TO_COMPACT, Ended
from .generation import Generation, engine_request
from .prompts import Prompts
from .renderer import Renderer
from .rendering_cost import item_cost
from .stop_signal import StopSignal
from .usage import Count, Tokens

_MAX_PIECES = 16  # windows of text that are read in all; of a longer history the middle is left out
_MIN_PIECE_CHARS = 64
_MAX_SUMMARY_TOKENS = 4096
_MIN_SUMMARY_TOKENS = 32
_MAX_SHRINKS = 12
_USUAL_TOKEN = 4.0  # characters
_CHEAPER = 8  # than to render a history it is to plan what is kept of it
_NO_TOOLS = tool_set(None, None, None)


class Compactor:
    """One response's compaction. `tokens`: of all its generations together. `abort_ms`: how long the engine took to
    abort the latest one, if it was asked to.
    """

    def __init__(self, renderer: Renderer, response_id: str, stopping: StopSignal, priority: int = 0) -> None:
        self.tokens = Tokens()
        self.abort_ms = 0.0
        self._renderer = renderer
        self._serving = renderer.serving
        self._response_id = response_id
        self._stopping = stopping
        self._priority = priority
        self._num_generations = 0

    async def compact(self, policy: Policy, prompts: Prompts, begin: Callable[[], None]) -> Compacted | None:
        """Replace the history by a shorter one if it is too long. `begin` is called in that case, before anything is
        written. Return the replacement. Raises RenderError, EngineError and Ended.
        """
        items = prompts.items
        if not items:
            if policy.now:
                raise Ended(NOTHING_TO_COMPACT)
            return None
        limit = self._limit(policy, prompts.room)
        size = sum(map(item_cost, items)) // _CHEAPER
        measured = await _measure(prompts)
        if not policy.now and measured is not None and measured.num_tokens <= limit:
            return None
        plan = await self._renderer.do(size, lambda _: _plan(items, measured, limit, only_open=policy.now))
        if not policy.now and not plan.worthwhile:
            return None
        begin()
        compacted, measured = await self._fit(await self._write(plan, limit), limit, prompts.render_compacted)
        prompts.replace(compacted.items(), measured)
        return compacted

    def _limit(self, policy: Policy, room: int) -> int:
        """Return the most tokens that a prompt may have without being compacted. `room`: the least that the answer
        needs.
        """
        window = self._serving.model.max_model_len
        largest = window - min(room, window // 4)
        return min(policy.threshold or window * 4 // 5, largest)

    async def _write(self, plan: Plan, limit: int) -> Compacted:
        """Return the plan with its summary."""
        if not plan.worthwhile:
            return plan.with_summary(plan.earlier)
        max_tokens = min(max(limit // 8, _MIN_SUMMARY_TOKENS), _MAX_SUMMARY_TOKENS)
        return plan.with_summary(await self._summarize(plan, max_tokens))

    async def _fit(
        self, compacted: Compacted, limit: int, render_compacted: Callable[[list[InputItem]], Awaitable[Prompt]]
    ) -> tuple[Compacted, Prompt]:
        """Shorten the plan until its prompt fits into `limit`, as far as shortening helps."""
        max_chars = max((size_of([item]) for item in compacted.items()), default=0)
        for attempt in range(_MAX_SHRINKS + 1):
            last = attempt == _MAX_SHRINKS
            try:
                prompt = await render_compacted(compacted.items())
                if last or prompt.num_tokens <= limit:
                    break
            except PromptTooLong:
                if last:
                    raise
            max_chars //= 2
            compacted = compacted.shrink(max_chars)
        return compacted, prompt

    async def _summarize(self, plan: Plan, max_tokens: int) -> str:
        window = self._serving.model.max_model_len - max_tokens
        size = 4 * window  # characters of a piece; found out by rendering
        text = await self._text(plan, size)
        summary, at = plan.earlier, 0
        while at < len(text):
            piece = text[at : at + size]
            request = self._request(transcript.question(summary, piece), max_tokens)
            try:
                prompt = await self._renderer.render(request, _NO_TOOLS, request.items, None)
                num_tokens = prompt.num_tokens
            except PromptTooLong:
                num_tokens = 2 * window  # at a guess
            if num_tokens <= window:
                written = await self._generate(request, prompt, max_tokens)
                summary = written or elide(f"{summary}\n{piece}".strip(), 2 * max_tokens)
                at += len(piece)
            elif size > _MIN_PIECE_CHARS:
                size = max(_MIN_PIECE_CHARS, min(len(piece) * window // num_tokens, len(piece) * 7 // 8))
                if not at:
                    text = await self._text(plan, size)
            else:  # the window holds hardly more than the question
                return elide(f"{summary}\n{text[at:]}".strip(), 2 * max_tokens)
        return summary

    async def _text(self, plan: Plan, size: int) -> str:
        """Return the text to summarize, cut into pieces of this size, as many as are read."""
        max_chars = _MAX_PIECES * size
        length = sum(map(len, plan.transcript))
        return await self._renderer.do(length, lambda _: transcript.fit(plan.transcript, max_chars))

    def _request(self, question: str, max_tokens: int) -> ResponseCreate:
        """Return the request for a summary. Thinking is switched off where possible: it would not be kept."""
        return ResponseCreate(
            instructions=transcript.INSTRUCTIONS,
            items=[Message(role="user", content=question)],
            max_output_tokens=max_tokens,
            reasoning=ReasoningOptions(effort="none"),
        )

    async def _generate(self, request: ResponseCreate, prompt: Prompt, max_tokens: int) -> str:
        """Return what the model writes, without its reasoning."""
        self._num_generations += 1
        parser = self._serving.dialect.parser(request, _NO_TOOLS, prompt)
        wishes = Sampling(max_tokens=max_tokens, skip_special_tokens=parser.skip_special_tokens)
        request_id = f"{self._response_id}.compaction{self._num_generations}"
        asked = engine_request(
            self._serving, request_id, request, prompt, parser, wishes, self._renderer.cache_salt,
            priority=self._priority,
        )  # fmt: skip
        count, texts = Count(prompt.num_tokens), list[str]()
        generation = Generation(
            self._serving,
            asked,
            parser,
            count,
            self._stopping,
            read=_texts,
            keep=lambda new, _: texts.extend(new),
        )
        await generation.submit()
        try:
            await generation.result()
        finally:
            self.tokens.add(generation.tokens)
            self.abort_ms = generation.abort_ms
        return "".join(texts).strip()


def _texts(pieces: Sequence[Piece]) -> Iterator[str]:
    return (piece.text for piece in pieces if isinstance(piece, TextDelta))


async def _measure(prompts: Prompts) -> Prompt | None:
    """Render the history; None if it is far too long."""
    try:
        return await prompts.measure()
    except PromptTooLong:
        return None


def _plan(items: Sequence[InputItem], prompt: Prompt | None, limit: int, *, only_open: bool) -> Plan:
    """Plan which part of a history with this prompt to keep, so that with instructions and tools it is well below
    `limit`. If the prompt is not known, tokens are assumed to be of usual length, without instructions and tools.
    """
    size = size_of(items)
    per_token, around = _USUAL_TOKEN, 0.0
    if prompt is not None:
        per_token = max((len(prompt.text) or size) / prompt.num_tokens, 1.0)
        around = prompt.num_tokens - size / per_token  # tokens of instructions, tools and markup: these stay
    quarter = int(max(limit - around, limit / 8) * per_token / 4)
    return compaction_plan.plan(
        items, Budget(head=quarter, words=quarter // 2, kept=quarter, newest=2 * quarter), only_open=only_open
    )
