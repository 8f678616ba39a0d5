"""Directives: items of the input with an effect of their own: they stand for other items, bring tools, change settings.
Pure.

These items stay in the history, so their effect holds for everything that continues it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.formats import JsonSchemaFormat, TextFormat
from realtime.wire.items import AdditionalTools, ConfigurationUpdate, InputItem, ItemReference, ToolSearchOutput, id_of
from realtime.wire.limits import DEFAULT, Limits
from realtime.wire.requests import ReasoningOptions, ResponseCreate, TextOptions
from realtime.wire.schema_bounds import check_schemas

Find = Callable[[str], InputItem | None]
"""The stored item with this id, if there is one that the asker may use."""

MAX_REFERENCES = 1024  # in one request: each is looked up


def resolve_references(items: Sequence[InputItem], before: Sequence[InputItem], find: Find) -> list[InputItem]:
    """Replace each reference by the item that it stands for: one of `before`, which `items` continue, else one that
    `find` knows. Raises WireError for a reference to nothing.
    """
    num_references = sum(isinstance(item, ItemReference) for item in items)
    if not num_references:
        return list(items)
    if num_references > MAX_REFERENCES:
        text = f"`input` has {num_references} items of type 'item_reference'; at most {MAX_REFERENCES} are accepted."
        raise WireError(ErrorCode.INVALID_REQUEST, text, param="input")
    known = {item_id: item for item in before if (item_id := id_of(item)) is not None}
    return [
        _resolve(item, f"input[{index}].id", lambda item_id: known.get(item_id) or find(item_id))
        if isinstance(item, ItemReference)
        else item
        for index, item in enumerate(items)
    ]


def _resolve(item: ItemReference, path: str, find: Find) -> InputItem:
    if not isinstance(item.id, str):
        raise WireError(ErrorCode.INVALID_REQUEST, f"`{path}` is required.", param=path)
    found = find(item.id)
    if found is None:
        text = f"Item with id '{item.id[:128]}' not found: send the item itself."
        raise WireError(ErrorCode.INVALID_REQUEST, text, param=path)
    return found


def brought_tools(before: Sequence[InputItem], items: Sequence[InputItem]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return the tools that came with items, oldest first, each list with its path. `before`: what `items` continue."""
    return [*_brought(before, "previous_response_id"), *_brought(items, None)]


def _brought(items: Sequence[InputItem], path: str | None) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    for index, item in enumerate(items):
        if isinstance(item, AdditionalTools | ToolSearchOutput):
            yield path or f"input[{index}].tools", item.tools


def apply_settings(request: ResponseCreate, before: Sequence[InputItem]) -> ResponseCreate:
    """Give a request the settings in force: from its own items, else its members, else earlier items."""
    old_effort, old_format = _settings(before)
    new_effort, new_format = _settings(request.items)
    reasoning, text = request.reasoning, request.text
    effort = new_effort or (reasoning.effort if reasoning else None) or old_effort
    output_format = new_format or (text.format if text else None) or old_format
    if effort is not None and (reasoning is None or reasoning.effort != effort):
        reasoning = msgspec.structs.replace(reasoning or ReasoningOptions(), effort=effort)
    if output_format is not None and (text is None or text.format is not output_format):
        text = msgspec.structs.replace(text or TextOptions(), format=output_format)
    if reasoning is request.reasoning and text is request.text:
        return request
    return msgspec.structs.replace(request, reasoning=reasoning, text=text)


def check_format(request: ResponseCreate, before: Sequence[InputItem], limits: Limits = DEFAULT) -> None:
    """Check the schema of the format in force (see `apply_settings`), wherever it was given. Raises WireError."""
    text = request.text
    for path, output_format in (
        *_formats(request.own_items, "input[{}].text.format"),
        *((("text.format", text.format),) if text is not None else ()),
        *_formats(before, "previous_response_id"),
    ):
        if output_format is not None:
            if isinstance(output_format, JsonSchemaFormat):
                check_schemas([(output_format.schema, f"{path}.schema")], limits)
            return


def _formats(items: Sequence[InputItem], path: str) -> Iterator[tuple[str, TextFormat | None]]:
    """Yield the formats of configuration updates, newest first, each with its path."""
    for index in reversed(range(len(items))):
        item = items[index]
        if isinstance(item, ConfigurationUpdate) and item.text:
            yield path.format(index), item.text.format


def _settings(items: Sequence[InputItem]) -> tuple[Any, TextFormat | None]:
    """Return the newest effort and format of the configuration updates among the items."""
    effort, output_format = None, None
    for item in items:
        if isinstance(item, ConfigurationUpdate):
            effort = (item.reasoning.effort if item.reasoning else None) or effort
            output_format = item.text.format if item.text else output_format
    return effort, output_format
