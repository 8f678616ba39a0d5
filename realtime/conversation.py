"""What was said before: an immutable chain of turns. Pure.

A turn points to its parent and is never changed, so continuing and forking cost nothing and can't disturb anybody:
any number of children may share one parent. `instructions` are not part of a turn: each request brings its own.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import msgspec

from realtime.pictures import Picture, image_parts
from realtime.wire.harmony import HarmonyMessage
from realtime.wire.items import (
    ApplyPatchCall,
    ApplyPatchCallOutput,
    CustomToolCall,
    CustomToolCallOutput,
    FunctionCall,
    FunctionCallOutput,
    InputItem,
    LocalShellCall,
    LocalShellCallOutput,
    McpApprovalRequest,
    McpApprovalResponse,
    Message,
    OutputItem,
    ShellCall,
    ShellCallOutput,
    ToolSearchCall,
    ToolSearchOutput,
)


class Prompt(msgspec.Struct, frozen=True):
    """What the model is given. `text` is what `token_ids` decode to; empty where a dialect renders tokens directly.
    An image is one marker there, which the engine expands; `pictures` has them in the order of their markers.
    """

    text: str
    token_ids: array[int]
    pictures: tuple[Picture, ...] = ()


class Turn(msgspec.Struct, frozen=True):
    """One finished exchange: what the client sent and what the model answered, after everything in `parent`."""

    response_id: str
    parent: Turn | None
    input: tuple[InputItem, ...]
    output: tuple[OutputItem, ...]
    prompt: Prompt | None = None  # what it was generated from ...
    token_ids: array[int] = array("I")  # ... and what was generated, for continuing with exactly these tokens
    pictures: tuple[Picture, ...] = ()  # of the image parts of `input`, in order; none where the model can't see

    @property
    def num_bytes(self) -> int:
        """About what it holds beside its items."""
        tokens = 4 * len(self.token_ids)
        if self.prompt is not None:
            tokens += len(self.prompt.text) + 4 * len(self.prompt.token_ids)
        files = sum(len(picture.data) for picture in self.pictures)
        return tokens + files + sum(len(part.image_url or "") for _, part in image_parts(self.input))

    def own_items(self) -> tuple[InputItem, ...]:
        """What this turn added."""
        return (*self.input, *self.output)

    def items(self) -> list[InputItem]:
        """The whole history, oldest first, including this turn's answer."""
        chain: list[Turn] = []
        turn: Turn | None = self
        while turn is not None:
            chain.append(turn)
            turn = turn.parent
        return [item for link in reversed(chain) for item in link.own_items()]


def pictures_by_part(
    parent: Turn | None, items: Sequence[InputItem], pictures: Sequence[Picture]
) -> dict[int, Picture]:
    """The picture of each image part, by the part's `id()`, of all that a request with these items is to be shown."""
    found = {id(part): picture for (_, part), picture in zip(image_parts(items), pictures, strict=False)}
    turn = parent
    while turn is not None:
        shown = zip(image_parts(turn.input), turn.pictures, strict=False)
        found.update({id(part): picture for (_, part), picture in shown})
        turn = turn.parent
    return found


def exchanges(items: list[InputItem]) -> list[int]:
    """Where each exchange begins: the indexes of the user's messages."""
    return [
        index for index, item in enumerate(items) if isinstance(item, Message | HarmonyMessage) and item.role == "user"
    ]


def without_oldest(items: list[InputItem], count: int) -> list[InputItem]:
    """The items less the `count` oldest exchanges, each from its user message up to the next one; the newest is not to
    be among them. What was told before the first user message (system, developer) stays.
    """
    starts = exchanges(items)
    return [*items[: starts[0]], *items[starts[count] :]] if count else items


def unknown_call(items: list[InputItem]) -> str | None:
    """The `call_id` of the first output that belongs to no call before it, or the id of a request that an approval
    answers and nobody made.
    """
    known: set[str] = set()
    num_nameless = 0  # calls in held messages that have no call_id: one output each is theirs
    for item in items:
        wanted: str | None = None
        match item:
            case FunctionCall() | CustomToolCall() | ShellCall() | ApplyPatchCall() | ToolSearchCall():
                known.add(item.call_id or "")
            case LocalShellCall():
                known.update((item.call_id, item.id or ""))  # see LocalShellCallOutput
            case HarmonyMessage(is_call=True):
                known.update([item.call_id] if isinstance(item.call_id, str) else [])
                num_nameless += not isinstance(item.call_id, str)
            case McpApprovalRequest():
                known.add(item.id or "")
            case FunctionCallOutput() | CustomToolCallOutput() if item.call_id not in known and num_nameless:
                num_nameless -= 1
            case FunctionCallOutput() | CustomToolCallOutput() | ShellCallOutput() | ApplyPatchCallOutput():
                wanted = item.call_id
            case LocalShellCallOutput():
                wanted = item.call_id or item.id or ""
            case ToolSearchOutput():
                wanted = item.call_id or None  # OpenAI's own search has no ids
            case McpApprovalResponse():
                wanted = item.approval_request_id
            case _:
                pass
        if wanted is not None and wanted not in known:
            return wanted
    return None


def history(parent: Turn | None, items: list[InputItem]) -> list[InputItem]:
    """Everything that the model is to see for a request with these items after `parent`, oldest first."""
    return [*parent.items(), *items] if parent is not None else list(items)
