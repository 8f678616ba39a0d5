"""The prompts of one response: its history, shortened if that was asked for, in the form that the model is given.

The run asks for a prompt before each generation. It sets the items of a conversation when its turn has come, and the
replacement of a history by a compaction.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from itertools import pairwise

from msgspec import UNSET

from realtime.context.tools import ToolSet
from realtime.context.truncation import FewestLeftOut
from realtime.context.turns import Prompt, Turn, exchanges, history, without_oldest
from realtime.dialects.base import PromptTooLong, RenderError
from realtime.engine.base import Seen
from realtime.wire.items import InputItem, OutputItem
from realtime.wire.requests import HARMONY_MESSAGES, TOKEN_IDS, ResponseCreate
from realtime.wire.response import Response

from .renderer import Renderer
from .rendering_cost import item_cost

_ROOM = 256  # tokens of answer that `truncation: auto` and a compaction make room for at least
_LIKELY = 4  # characters of a token, of most texts


class Prompts:
    """The prompts of one response.

    tools: those of the next prompt. parent: the turn that is continued. latest: the turn made of the response's own
    generations; None before there is one. prompt: the newest one. room: the least number of tokens that the answer
    needs.
    """

    def __init__(self, renderer: Renderer, request: ResponseCreate, tools: ToolSet, parent: Turn | None) -> None:
        self.tools = tools
        self.parent = parent
        self.latest: Turn | None = None
        self.prompt: Prompt | None = None
        self.room = min(request.max_output_tokens or _ROOM, _ROOM)
        self._renderer = renderer
        self._request = request
        self._compacted: list[InputItem] | None = None  # what the history was replaced by
        self._measured: Prompt | None = None  # of the history as it is, when it has been rendered already

    @property
    def items(self) -> list[InputItem]:
        """Return the history, oldest first."""
        return self._compacted if self._compacted is not None else history(self.parent, self._request.items)

    @property
    def reaches_back(self) -> Turn | None:
        """Return the parent, unless a compaction stands for it: nothing before a compaction is needed again."""
        return self.parent if self._compacted is None else None

    async def measure(self) -> Prompt:
        """Render the whole history. Raises as `Renderer.render`."""
        self._measured = await self._render(self.items)
        return self._measured

    async def render_compacted(self, items: list[InputItem]) -> Prompt:
        """Render these items, as if the history were replaced by them. Raises as `measure`."""
        return await self._renderer.render(self._request, self.tools, items, None)

    def replace(self, items: list[InputItem], measured: Prompt) -> None:
        """Replace the history by these items; `measured` is their prompt."""
        self._compacted, self._measured = items, measured

    def next_generation(self, latest: Turn, tools: ToolSet) -> None:
        """Add what was said so far to what the next generation continues."""
        self.latest, self.tools, self._measured = latest, tools, None

    async def render(self, items: list[InputItem] | None) -> Prompt:
        """Render the next prompt, of these items or of the history. With `truncation: auto`, leave out as many of the
        oldest exchanges as it takes to fit. Raises as `measure`.
        """
        prompt = self._measured if items is None else None
        items = self.items if items is None else items
        if self._request.truncation == "auto" and not self._fits(prompt):
            prompt = await self._truncate(items)
        elif prompt is None:
            prompt = await self._render(items)
        self.prompt = prompt
        return prompt

    async def look_again(self, prompt: Prompt) -> Seen | None:
        """Show the images of a prompt to the next engine. Raises EngineError, and WireError as the pool does."""
        return (await self._renderer.look(prompt)).seen

    def include(self, response: Response, said: Sequence[OutputItem], token_ids: Sequence[int] | None) -> None:
        """Add to the Response what the client asked to include of the model's input and output. `token_ids`: of the
        output; None: they are not known.
        """
        include = self._request.include or ()
        if HARMONY_MESSAGES in include:
            with contextlib.suppress(RenderError):  # then there was no prompt either, which the response's error says
                response.input_messages, response.output_messages = self._renderer.serving.dialect.transcript(
                    self._request, self.tools, self.items, said
                )
        if TOKEN_IDS in include:
            response.input_token_ids = list(self.prompt.given) if self.prompt is not None else []
            response.output_token_ids = UNSET if token_ids is None else list(token_ids)

    async def _truncate(self, items: list[InputItem]) -> Prompt:
        """Leave out the fewest of the oldest exchanges, or all but the newest if nothing fits."""
        sizes = _sizes_without_oldest(items)
        search = FewestLeftOut(sizes, _LIKELY * self._limit)
        fitting: Prompt | None = None
        least: Prompt | PromptTooLong = PromptTooLong(self._limit)
        while (count := search.next) is not None:
            least = await self._attempt(without_oldest(items, count))
            if isinstance(least, Prompt) and self._fits(least):
                fitting = least
            search.tell(fits=fitting is least)
            await asyncio.sleep(0)  # short ones are rendered at once; others must not wait for all of them
        if fitting is not None:
            return fitting
        if isinstance(least, PromptTooLong):
            raise least
        return least

    async def _attempt(self, items: list[InputItem]) -> Prompt | PromptTooLong:
        try:
            return await self._render(items)
        except PromptTooLong as error:
            return error

    @property
    def _limit(self) -> int:
        return self._renderer.serving.model.max_model_len - self.room

    def _fits(self, prompt: Prompt | None) -> bool:
        """Return whether a prompt leaves room for an answer."""
        return prompt is not None and prompt.num_tokens <= self._limit

    async def _render(self, items: list[InputItem]) -> Prompt:
        # After a compaction the parent's tokens are not those of what is left.
        return await self._renderer.render(self._request, self.tools, items, self.latest or self.reaches_back)


def _sizes_without_oldest(items: list[InputItem]) -> list[int]:
    """Return the cost of what is left without the 0, 1, 2 ... oldest exchanges, the newest excepted."""
    starts = exchanges(items) or [0]
    costs = list(map(item_cost, items))
    left = sum(costs)
    sizes = [left]
    for start, end in pairwise(starts):
        left -= sum(costs[start:end])
        sizes.append(left)
    return sizes
