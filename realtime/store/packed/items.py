"""Items as bytes, with what they have besides their members: the contents of compactions, the pictures of images. Pure.

The JSON is that of the wire, so that whatever could be sent can be stored.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from realtime.context.turns import ExpandedCompaction
from realtime.engine.pictures import Picture, attach, image_parts, picture_of
from realtime.wire import data_urls
from realtime.wire.harmony import HarmonyMessage
from realtime.wire.items import AdditionalTools, AnyItem, Compaction, InputImage, InputItem, ToolSearchOutput


class PackedPicture(msgspec.Struct, array_like=True):
    """A picture; `data` is empty where the URL of its part holds it."""

    index: int  # among the image parts
    digest: str
    width: int
    height: int
    data: bytes


class PackedItems(msgspec.Struct, array_like=True):
    """Items as bytes. `held`: the indexes of messages in a model's own format. `expanded`: contents of compactions, by
    index.
    """

    items: list[bytes]
    held: list[int] = []
    expanded: dict[int, PackedItems] = {}
    pictures: list[PackedPicture] = []


_SECRETS = frozenset({"authorization", "headers"})

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(AnyItem).decode
_decode_held = msgspec.json.Decoder(HarmonyMessage).decode


def pack_items(items: Sequence[InputItem]) -> PackedItems:
    """Pack items for `unpack_items`."""
    return PackedItems(
        [_encode(_without_secrets(item)) for item in items],
        [index for index, item in enumerate(items) if isinstance(item, HarmonyMessage)],
        {index: pack_items(item.content) for index, item in enumerate(items) if isinstance(item, ExpandedCompaction)},
        list(_pack_pictures(items)),
    )


def unpack_items(packed: PackedItems) -> list[InputItem]:
    """Unpack items. Raises ValueError for invalid ones."""
    held = frozenset(packed.held)
    items: list[InputItem] = [
        _decode_held(data) if index in held else _decode(data) for index, data in enumerate(packed.items)
    ]
    for index, content in packed.expanded.items():
        item = items[index]
        assert isinstance(item, Compaction)
        items[index] = ExpandedCompaction.of(item, unpack_items(content))
    parts = [part for _, part in image_parts(items)] if packed.pictures else []
    for one in packed.pictures:
        picture = _picture(one, parts[one.index])
        if picture is not None:
            attach(parts[one.index], picture)
    return items


def pictures_in(items: Iterable[InputItem]) -> Iterator[Picture]:
    """Yield the loaded pictures of these items."""
    for _, part in image_parts(list(items)):
        picture = picture_of(part)
        if picture is not None:
            yield picture


def tools_without_secrets(tools: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return tools as they may be stored: without credentials for MCP servers."""
    return [
        {name: value for name, value in tool.items() if name not in _SECRETS} if tool.get("type") == "mcp" else tool
        for tool in tools
    ]


def _without_secrets(item: InputItem) -> InputItem:
    if not isinstance(item, AdditionalTools | ToolSearchOutput) or not isinstance(item.tools, list):
        return item
    return msgspec.structs.replace(item, tools=tools_without_secrets(item.tools))


def _pack_pictures(items: Sequence[InputItem]) -> Iterator[PackedPicture]:
    for index, (_, part) in enumerate(image_parts(items)):
        picture = picture_of(part)
        if picture is not None:
            data = b"" if data_urls.is_data_url(part.image_url or "") else picture.data
            yield PackedPicture(index, picture.digest, picture.width, picture.height, data)


def _picture(packed: PackedPicture, part: InputImage) -> Picture | None:
    data = packed.data
    if not data:
        url = part.image_url or ""
        head = data_urls.parse(url)
        with contextlib.suppress(ValueError):
            data = head.decode(url) if head is not None else b""
    return Picture(packed.digest, data, packed.width, packed.height) if data else None
