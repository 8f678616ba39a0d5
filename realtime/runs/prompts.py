"""The prompts of one response: its history, shorter where that is asked for, as what the model is given.

The run asks for a prompt before each generation. It says what is in a conversation when its turn has come, and what a
compaction has replaced the history by. Much of it is rendered in a thread, so that the event loop is not held up.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from realtime.context.tools import ToolSet
from realtime.context.turns import Prompt, Turn, exchanges, history, without_oldest
from realtime.dialects.base import RenderError
from realtime.wire.harmony import HarmonyMessage
from realtime.wire.item_texts import size_of
from realtime.wire.items import InputItem, OutputItem
from realtime.wire.requests import HARMONY_MESSAGES, TOKEN_IDS, ResponseCreate
from realtime.wire.response import Response

from .serving import Serving

_ROOM = 256  # tokens of answer that `truncation: auto` and a compaction make room for at least
_TOOL_CHARS = 500  # about what a tool adds to a prompt
_ITEM_CHARS = 200  # ... and about what an item costs besides its text
_PLACE = re.compile(r"input\[([0-9]+)\](.*)", re.DOTALL)
_THREAD_CHARS = 8192  # prompts longer than this are rendered in a thread; shorter ones cost less than the hop


class Prompts:
    """See the module.

    tools: those that the next prompt is made with.
    parent: the turn that is continued.
    latest: the turn that the response's own generations make up; None before there is one.
    prompt: the newest one.
    room: tokens that the answer needs at least.
    """

    def __init__(self, serving: Serving, request: ResponseCreate, tools: ToolSet, parent: Turn | None) -> None:
        self.tools = tools
        self.parent = parent
        self.latest: Turn | None = None
        self.prompt: Prompt | None = None
        self.room = min(request.max_output_tokens or _ROOM, _ROOM)
        self._serving = serving
        self._request = request
        self._compacted: list[InputItem] | None = None  # what the history was replaced by
        self._measured: Prompt | None = None  # of the history as it is, when it has been rendered already

    @property
    def items(self) -> list[InputItem]:
        """The history, oldest first."""
        return self._compacted if self._compacted is not None else history(self.parent, self._request.items)

    @property
    def reaches_back(self) -> Turn | None:
        """The parent, unless a compaction stands for it: nothing before one is needed again."""
        return self.parent if self._compacted is None else None

    async def measure(self) -> Prompt:
        """Render the whole history. Raises RenderError and EngineError."""
        self._measured = await self._render(self.items)
        return self._measured

    async def render_compacted(self, items: list[InputItem]) -> Prompt:
        """Render these items, as if the history were replaced by them. Raises as `measure`."""
        return await render(self._serving, self._request, self.tools, items, None)

    def replace(self, items: list[InputItem], measured: Prompt) -> None:
        """Replace the history by these items; `measured` is their prompt."""
        self._compacted, self._measured = items, measured

    def next_generation(self, latest: Turn, tools: ToolSet) -> None:
        """Make what was said until now a part of what the next generation continues."""
        self.latest, self.tools, self._measured = latest, tools, None

    async def render(self, items: list[InputItem] | None, is_stopped: Callable[[], bool]) -> Prompt:
        """Render the next prompt, of these items or of the history; with `truncation: auto` without as many of the
        oldest exchanges as it takes to fit, searched for while nobody wants the response to end. Raises as `measure`.
        """
        whole = self._measured if items is None else None
        items = self.items if items is None else items
        prompt = whole if whole is not None else await self._render(items)
        if self._request.truncation == "auto":
            prompt = await self._truncate(items, prompt, is_stopped)
        self.prompt = prompt
        return prompt

    def include(self, response: Response, said: Sequence[OutputItem], token_ids: Sequence[int]) -> None:
        """Show the client what the model was given and generated, as far as it wants to see it."""
        include = self._request.include or ()
        if HARMONY_MESSAGES in include:
            with contextlib.suppress(RenderError):  # then there was no prompt either, which the response's error says
                response.input_messages, response.output_messages = self._serving.dialect.transcript(
                    self._request, self.tools, self.items, said
                )
        if TOKEN_IDS in include:
            response.input_token_ids = list(self.prompt.given) if self.prompt is not None else []
            response.output_token_ids = list(token_ids)

    async def _truncate(self, items: list[InputItem], prompt: Prompt, is_stopped: Callable[[], bool]) -> Prompt:
        limit = self._serving.model.max_model_len - self.room
        few, enough = 0, max(0, len(exchanges(items)) - 1)  # dropping `few` is too few; `enough`, if anything is
        if prompt.num_tokens <= limit or not enough:
            return prompt
        prompt = await self._render(without_oldest(items, enough))
        while enough - few > 1 and not is_stopped():
            middle = (few + enough) // 2
            shorter = await self._render(without_oldest(items, middle))
            if shorter.num_tokens <= limit:
                prompt, enough = shorter, middle
            else:
                few = middle
        return prompt

    async def _render(self, items: list[InputItem]) -> Prompt:
        # After a compaction the parent's tokens are not those of what is left.
        return await render(self._serving, self._request, self.tools, items, self.latest or self.reaches_back)


async def render(
    serving: Serving, request: ResponseCreate, tools: ToolSet, items: list[InputItem], parent: Turn | None
) -> Prompt:
    """Make a prompt of items, as `Dialect.render` does, and have the engine look at its images; in a thread when there
    is much of it. Raises RenderError and EngineError.
    """
    work = partial(serving.dialect.render, request, tools, items, parent)
    try:
        prompt = await asyncio.to_thread(work) if is_long(request, tools, items) else work()
    except RenderError as error:
        raise _in_the_clients_words(error, request, items) from error
    if not prompt.pictures:
        return prompt
    return msgspec.structs.replace(prompt, seen=await serving.engine.look(prompt.token_ids, prompt.pictures))


def _in_the_clients_words(error: RenderError, request: ResponseCreate, items: Sequence[InputItem]) -> RenderError:
    """The same error with the place in the client's own `input`, in the place of that among all items; of an item that
    was there before, it says so.
    """
    found = _PLACE.match(error.param or "")
    if found is None:
        return error
    item = items[int(found.group(1))]
    for index, own in enumerate(request.own_items):
        if own is item:
            return RenderError(str(error), f"input[{index}]{found.group(2)}")
    return RenderError(f"{error} This is about an item that is not in `input`: one of the history.")


def is_long(request: ResponseCreate, tools: ToolSet, items: list[InputItem]) -> bool:
    """Whether the event loop would notice. Held messages may bring tools too."""
    num_tools = len(tools.tools) + sum(item.num_tools for item in items if isinstance(item, HarmonyMessage))
    size = size_of(items) + len(request.instructions or "") + _TOOL_CHARS * num_tools + _ITEM_CHARS * len(items)
    return size >= _THREAD_CHARS
