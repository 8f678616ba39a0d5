"""From items to a prompt without holding up the event loop."""

from __future__ import annotations

import asyncio
from functools import partial

import msgspec

from realtime.context.tools import ToolSet
from realtime.context.turns import Prompt, Turn
from realtime.dialects.base import Dialect
from realtime.engine.base import Engine
from realtime.wire.harmony import HarmonyMessage
from realtime.wire.item_texts import size_of
from realtime.wire.items import (
    InputItem,
)
from realtime.wire.requests import ResponseCreate

_TOOL_CHARS = 500  # about what a tool adds to a prompt
_ITEM_CHARS = 200  # ... and about what an item costs besides its text
_THREAD_CHARS = 8192  # prompts longer than this are rendered in a thread; shorter ones cost less than the hop


async def rendered(
    engine: Engine,
    dialect: Dialect,
    request: ResponseCreate,
    tools: ToolSet,
    items: list[InputItem],
    parent: Turn | None,
) -> Prompt:
    """See Dialect.render, and Engine.look where there are images; in a thread when there is much of it."""
    render = partial(dialect.render, request, tools, items, parent)
    prompt = await asyncio.to_thread(render) if is_long(request, tools, items) else render()
    if not prompt.pictures:
        return prompt
    return msgspec.structs.replace(prompt, seen=await engine.look(prompt.token_ids, prompt.pictures))


def is_long(request: ResponseCreate, tools: ToolSet, items: list[InputItem]) -> bool:
    """Whether the loop would notice. Held messages may bring tools too."""
    num_tools = len(tools.tools) + sum(item.num_tools for item in items if isinstance(item, HarmonyMessage))
    size = size_of(items) + len(request.instructions or "") + _TOOL_CHARS * num_tools + _ITEM_CHARS * len(items)
    return size >= _THREAD_CHARS
