"""JSON Schemas of types as clients see them: what a request may hold, and what an answer always holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache, reduce
from operator import or_
from typing import Annotated, Any, Literal

import msgspec

from realtime.wire import events
from realtime.wire.bodies import CompactRequest, ItemList, ItemOrigin
from realtime.wire.items import AnyItem, Message
from realtime.wire.requests import AnyClientEvent, ClientEvent, Metadata, ResponseCreate

REF = "#/components/schemas/{name}"
STREAM_EVENT = "ResponseStreamEvent"  # the name of the union of `stream_events`

_NOT_OF_THE_BODY = {
    "input",
    "items",
    "num_before",
    "unknown",
    "response",
    "event_id",
    "catch_up",
    "stream",
    "stream_id",
}  # decoded otherwise, or the socket's


def _optional(kind: type[msgspec.Struct], without: Iterable[str] = ()) -> list[tuple[str, Any, Any]]:
    """Return a struct's members for another struct, each with its default."""
    fields = [field for field in msgspec.structs.fields(kind) if field.name not in without]
    return [(field.name, field.type, _default(field)) for field in fields]


def _default(field: msgspec.structs.FieldInfo) -> Any:
    if field.default_factory is not msgspec.NODEFAULT:
        return msgspec.field(default_factory=field.default_factory)
    return msgspec.field() if field.default is msgspec.NODEFAULT else field.default


EasyMessage = msgspec.defstruct(
    "EasyMessage", _optional(Message), kw_only=True, namespace={"__doc__": "A message without a type."}
)
CreateResponse = msgspec.defstruct(
    "CreateResponse",
    [
        ("input", str | list[AnyItem] | None, None),
        ("stream", bool | None, None),
        *_optional(ResponseCreate, without=_NOT_OF_THE_BODY),
    ],
    kw_only=True,
    namespace={"__doc__": "What a create may say; further members are ignored."},
)

CreateConversation = msgspec.defstruct(
    "CreateConversation",
    [("items", list[AnyItem] | None, None), ("metadata", Metadata | None, None)],
    kw_only=True,
    namespace={"__doc__": "What a new conversation begins with: up to 20 items."},
)
ConversationItem = Annotated[
    msgspec.Raw,
    msgspec.Meta(
        description="An item of a conversation, with where it comes from.",
        extra_json_schema={
            "allOf": [
                msgspec.json.schema_components([AnyItem], ref_template=REF)[0][0],
                {"$ref": REF.format(name="ItemOrigin")},
            ]
        },
    ),
]
ConversationItems = msgspec.defstruct(
    "ConversationItems",
    [
        ("object", Literal["list"]),
        ("data", list[ConversationItem]),
        ("first_id", str | None),
        ("last_id", str | None),
        ("has_more", bool),
    ],
    kw_only=True,
    namespace={"__doc__": "A page of the items of a conversation."},
)
CreateItems = msgspec.defstruct(
    "CreateItems",
    [("items", list[AnyItem])],
    kw_only=True,
    namespace={"__doc__": "Up to 20 items to append to a conversation."},
)
CompactResponse = msgspec.defstruct(
    "CompactResponse",
    [("input", str | list[AnyItem] | None, None), *_optional(CompactRequest, without=("input",))],
    kw_only=True,
    namespace={
        "__doc__": "The history that is to be made shorter: `input`, after a previous response if one is named."
    },
)


def client_events() -> list[type[msgspec.Struct]]:
    """List the events that a socket takes, with inputs as clients see them."""
    return [_with_input(kind) for kind in AnyClientEvent.__args__]


def _with_input(kind: type[ClientEvent]) -> type[msgspec.Struct]:
    if not any(field.type is msgspec.Raw for field in msgspec.structs.fields(kind)) or kind is ResponseCreate:
        return kind
    return msgspec.defstruct(
        kind.__name__,
        [("input", str | list[AnyItem]), *_optional(kind, without=("input",))],
        kw_only=True,
        tag_field="type",
        tag=kind.__struct_config__.tag,
        namespace={"__doc__": kind.__doc__},
    )


def socket_events() -> list[type[events.Event]]:
    """List the events that a socket may be sent."""
    return [kind for kind in _leaves(events.Event) if kind is not events.StreamError]


def stream_events() -> Any:
    """Return the union of the events that a stream may hold."""
    of_sockets = (events.Error, events.SessionCreated, events.SessionDraining, events.ResponseResumed)
    return reduce(or_, [kind for kind in _leaves(events.Event) if kind not in of_sockets])


def components(requests: Iterable[Any], answers: Iterable[Any]) -> dict[str, Any]:
    """Return the schemas of all these types and of what they are made of, by name."""
    requests, answers = [*requests, EasyMessage], [*answers, ItemList, ItemOrigin]
    _, asked = msgspec.json.schema_components(requests, ref_template=REF)
    _, found = msgspec.json.schema_components([*requests, *answers], ref_template=REF)
    types = {kind.__name__: kind for kind in _structs(answers)}
    for name in found.keys() - asked.keys():
        if name in types:
            _always_there(found[name], types[name])
    items = next(one for one in found["CreateResponse"]["properties"]["input"]["anyOf"] if one.get("type") == "array")
    items["items"] = {"anyOf": [items["items"], {"$ref": REF.format(name="EasyMessage")}]}
    return found


@cache
def schema_of(kind: Any) -> dict[str, Any]:
    """Return the schema of one type: a reference if it is a struct. It is found once, and nobody may change it."""
    (schema,), _ = msgspec.json.schema_components([kind], ref_template=REF)
    return schema


def _always_there(schema: dict[str, Any], kind: type[msgspec.Struct]) -> None:
    """Require every member that an answer always has, including defaults, unless it may be unset."""
    optional = {field.encode_name for field in msgspec.structs.fields(kind) if field.default is msgspec.UNSET}
    schema["required"] = [name for name in schema["properties"] if name not in optional]
    for member in schema["properties"].values():
        member.pop("default", None)  # nothing is filled in by a reader


def _structs(kinds: Iterable[Any]) -> Iterator[type[msgspec.Struct]]:
    """Yield every struct in these types and in their members."""
    seen: set[Any] = set()
    todo: list[Any] = [msgspec.inspect.type_info(kind) for kind in kinds]
    while todo:
        info = todo.pop()
        if isinstance(info, msgspec.inspect.StructType):
            if info.cls in seen:
                continue
            seen.add(info.cls)
            yield info.cls
            todo += [field.type for field in info.fields]
        for name in ("types", "item_types"):
            todo += getattr(info, name, ())
        for name in ("type", "item_type", "key_type", "value_type"):
            inner = getattr(info, name, None)
            if isinstance(inner, msgspec.inspect.Type):
                todo.append(inner)


def _leaves(base: type[events.Event]) -> Iterator[type[events.Event]]:
    for kind in base.__subclasses__():
        if kind.__subclasses__():
            yield from _leaves(kind)
        else:
            yield kind
