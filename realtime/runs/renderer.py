"""Rendering prompts for one tenant: a short one at once, a long one in the pool, images with the engine's help."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeVar

import msgspec

from realtime.context.tools import ToolSet
from realtime.context.turns import Prompt, Turn
from realtime.dialects.base import RenderError, always
from realtime.wire.items import InputItem
from realtime.wire.requests import ResponseCreate

from .rendering_cost import cost
from .serving import Serving
from .work_pool import Work

T = TypeVar("T")

_PLACE = re.compile(r"input\[([0-9]+)\](.*)", re.DOTALL)

LONG = 8192  # characters from which rendering is work for the pool; less costs less than the hop
HEAVY = 1 << 18  # ... and from which others are not to wait for it


class Renderer:
    """The renderer of one response's prompts. cache_salt: of the job; other salts must not share what is known of
    images.
    """

    def __init__(self, serving: Serving, tenant: str, cache_salt: str | None) -> None:
        self.serving = serving
        self.tenant = tenant
        self.cache_salt = cache_salt

    async def render(
        self, request: ResponseCreate, tools: ToolSet, items: list[InputItem], parent: Turn | None
    ) -> Prompt:
        """Render items into a prompt, as `Dialect.render` does, and have the engine process its images. Raises
        RenderError, EngineError, and WireError as the pool does.
        """
        dialect = self.serving.dialect
        try:
            prompt = await self.do(
                cost(request, tools, items, HEAVY),
                lambda is_wanted: dialect.render(request, tools, items, parent, is_wanted),
            )
        except RenderError as error:
            if (found := _PLACE.match(error.param or "")) is None:
                raise
            raise _in_the_clients_words(error, found, request, items) from error
        return await self.look(prompt) if prompt.pictures else prompt

    async def do(self, size: int, work: Work[T]) -> T:
        """Do work that takes about as long as rendering `size` characters. Raises WireError, and what the
        work raises.
        """
        if size < LONG:
            return work(always)
        return await self.serving.work.run(self.tenant, work, heavy=size >= HEAVY)

    async def look(self, prompt: Prompt) -> Prompt:
        """Show the images of a prompt to the engine. Their pixels take memory, so this takes a place in the pool."""
        async with self.serving.work.place(self.tenant, heavy=True) as place:
            views = [
                await place.run(lambda _, picture=picture: picture.view(self.cache_salt))  # type: ignore[misc]
                for picture in prompt.pictures
            ]
            seen = await self.serving.engine.look(prompt.token_ids, views)
        return msgspec.structs.replace(prompt, seen=seen)


def _in_the_clients_words(
    error: RenderError, found: re.Match[str], request: ResponseCreate, items: Sequence[InputItem]
) -> RenderError:
    """Return the error with a path in the client's own `input` instead of one among all items. For an item from before
    the request, the error says so.
    """
    item = items[int(found.group(1))]
    for index, own in enumerate(request.own_items):
        if own is item:
            return RenderError(str(error), f"input[{index}]{found.group(2)}")
    return RenderError(f"{error} This is about an item that is not in `input`: one of the history.")
