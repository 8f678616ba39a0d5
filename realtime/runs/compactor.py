"""Has the model write the summary of a conversation that is too long: the engine's side of `compaction`.

A run calls it before its own generation, on its own slot, so compacting is bounded by what bounds responses. What does
not fit into the window at once is summarized in pieces, oldest first, each with the summary of those before it; when
the model writes nothing, the text itself, cut, stands for its summary. So no length makes it fail.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from realtime.context import compaction
from realtime.context.compaction import Budget, Compacted, Plan, Policy
from realtime.context.tools import tool_set
from realtime.context.turns import Prompt
from realtime.dialects.base import Dialect, Parser, TextDelta
from realtime.engine.base import Engine, EngineError, EngineRequest, Sampling, TokenChunk
from realtime.wire.item_texts import size_of
from realtime.wire.items import (
    InputItem,
    Message,
)
from realtime.wire.requests import ReasoningOptions, ResponseCreate

from .rendering import rendered
from .stop_signal import Stopping
from .usage import Tokens

_MAX_PIECES = 16  # windows of text that are read in all; of a longer history the middle is left out
_MIN_PIECE_CHARS = 64
_MAX_SUMMARY_TOKENS = 4096
_MIN_SUMMARY_TOKENS = 32
_MAX_SHRINKS = 12


class Stopped(Exception):
    """The response was cancelled meanwhile."""


class Compactor:
    """One response's compaction. `tokens`: of all generations together."""

    def __init__(
        self, engine: Engine, dialect: Dialect, response_id: str, cache_salt: str | None, stopping: Stopping
    ) -> None:
        self._engine = engine
        self._dialect = dialect
        self._response_id = response_id
        self._cache_salt = cache_salt
        self._stopping = stopping
        self._num_generations = 0
        self.tokens = Tokens()

    def limit(self, policy: Policy, room: int) -> int:
        """Tokens that a prompt may have without being compacted; `room` is what the answer needs at least."""
        window = self._engine.model.max_model_len
        largest = window - min(room, window // 4)
        return min(policy.threshold or window * 4 // 5, largest)

    def plan(self, items: Sequence[InputItem], prompt: Prompt, limit: int, *, only_open: bool) -> Plan:
        """What is kept of a history with this prompt, so that with instructions and tools it is well below `limit`."""
        num_tokens, size = prompt.num_tokens, size_of(items)
        per_token = max((len(prompt.text) or size) / num_tokens, 1.0)  # characters
        around = num_tokens - size / per_token  # tokens of instructions, tools and markup: these stay
        quarter = int(max(limit - around, limit / 8) * per_token / 4)
        return compaction.plan(
            items, Budget(head=quarter, words=quarter // 2, kept=quarter, newest=2 * quarter), only_open=only_open
        )

    async def write(self, plan: Plan, limit: int) -> Compacted:
        """The plan with its summary. Raises EngineError and Stopped."""
        if not plan.worthwhile:
            return plan.with_summary(plan.earlier)
        max_tokens = min(max(limit // 8, _MIN_SUMMARY_TOKENS), _MAX_SUMMARY_TOKENS)
        return plan.with_summary(await self._summarize(plan, max_tokens))

    async def fit(
        self, compacted: Compacted, limit: int, render: Callable[[list[InputItem]], Awaitable[Prompt]]
    ) -> tuple[Compacted, Prompt]:
        """Cut it until its prompt fits into `limit`, as far as cutting helps."""
        prompt = await render(compacted.items())
        max_chars = max((size_of([item]) for item in compacted.items()), default=0)
        for _ in range(_MAX_SHRINKS):
            if prompt.num_tokens <= limit or self._stopping.stopped:
                break
            max_chars //= 2
            compacted = compacted.shrink(max_chars)
            prompt = await render(compacted.items())
        return compacted, prompt

    async def _summarize(self, plan: Plan, max_tokens: int) -> str:
        window = self._engine.model.max_model_len - max_tokens
        size = 4 * window  # characters of a piece; found out by rendering
        text = compaction.fit(plan.transcript, _MAX_PIECES * size)
        summary, at = plan.earlier, 0
        while at < len(text):
            piece = text[at : at + size]
            request = _request(compaction.question(summary, piece), max_tokens)
            prompt = await rendered(self._engine, self._dialect, request, _NO_TOOLS, request.items, None)
            num_tokens = prompt.num_tokens
            if num_tokens <= window:
                written = await self._generate(request, prompt)
                summary = written or compaction.elide(f"{summary}\n{piece}".strip(), 2 * max_tokens)
                at += len(piece)
            elif size > _MIN_PIECE_CHARS:
                size = max(_MIN_PIECE_CHARS, min(len(piece) * window // num_tokens, len(piece) * 7 // 8))
                if not at:
                    text = compaction.fit(plan.transcript, _MAX_PIECES * size)
            else:  # the window holds hardly more than the question
                return compaction.elide(f"{summary}\n{text[at:]}".strip(), 2 * max_tokens)
        return summary

    async def _generate(self, request: ResponseCreate, prompt: Prompt) -> str:
        """What the model writes, without what it thinks. Raises EngineError and Stopped."""
        self._num_generations += 1
        parser = self._dialect.parser(request, _NO_TOOLS, prompt)
        writing = _Writing(parser, self._stopping.wake)
        request_id = f"{self._response_id}.compaction{self._num_generations}"
        await self._engine.submit(
            EngineRequest(
                request_id=request_id,
                prompt_token_ids=prompt.token_ids,
                sampling=Sampling(
                    max_tokens=request.max_output_tokens or 1, skip_special_tokens=parser.skip_special_tokens
                ),
                cache_salt=self._cache_salt,
                constraint=parser.constraint,
                reasoning_ended=parser.reasoning_ended,
                template_kwargs=self._dialect.template_kwargs(request),
            ),
            writing,
        )
        try:
            while not writing.over and not self._stopping.stopped:
                await self._stopping.wait()
        finally:  # also when the task is cancelled: the engine must hold nothing of it
            if not writing.over:
                await self._engine.abort(request_id)
            self.tokens.add(
                Tokens(
                    num_input=prompt.num_tokens,
                    num_cached=writing.num_cached_tokens,
                    num_output=writing.num_tokens,
                    num_reasoning=parser.num_reasoning_tokens,
                )
            )
        if self._stopping.stopped:
            raise Stopped
        if writing.error is not None:
            raise writing.error
        return "".join(writing.texts).strip()


class _Writing:
    """The sink of one generation: keeps the text."""

    def __init__(self, parser: Parser, wake: Callable[[], None]) -> None:
        self.texts: list[str] = []
        self.num_tokens = 0
        self.num_cached_tokens = 0
        self.error: EngineError | None = None
        self.over = False
        self._parser = parser
        self._wake = wake

    def on_chunk(self, chunk: TokenChunk) -> None:
        """See engine.base.Sink."""
        self.num_tokens += len(chunk.token_ids)
        self.num_cached_tokens = chunk.num_cached_tokens or self.num_cached_tokens
        pieces = list(self._parser.feed(chunk))
        if chunk.finish is not None:
            pieces += self._parser.close()
        self.texts += [piece.text for piece in pieces if isinstance(piece, TextDelta)]
        if chunk.finish is not None:
            self._end()

    def on_error(self, error: EngineError) -> None:
        """See engine.base.Sink."""
        self.error = error
        self._end()

    def _end(self) -> None:
        self.over = True
        self._wake()


_NO_TOOLS = tool_set(None, None, None)


def _request(question: str, max_tokens: int) -> ResponseCreate:
    """The request that asks for a summary. Thinking is switched off where it can be: it would not be kept."""
    return ResponseCreate(
        instructions=compaction.INSTRUCTIONS,
        items=[Message(role="user", content=question)],
        max_output_tokens=max_tokens,
        reasoning=ReasoningOptions(effort="none"),
    )
