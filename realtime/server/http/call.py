"""A call: one request to one operation, with the principal that asks, and the parts of the request, checked."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request

from realtime.observability.origin import Origin
from realtime.server.gateway import Gateway
from realtime.service.principal import Principal
from realtime.wire.errors import ErrorCode, WireError

from .request_body import read_body
from .transport import EXTENSION, Peer

Q = TypeVar("Q", bound=msgspec.Struct)


class Query(msgspec.Struct):
    """Base class of query parameters: the members of a struct. Unknown ones are ignored."""


class Call(msgspec.Struct, frozen=True, eq=False):
    """One request to one operation."""

    gateway: Gateway
    request: Request
    principal: Principal
    name: str = ""  # its `x-request-id`

    @property
    def origin(self) -> Origin:
        """Return the origin of the request, for what it asks for."""
        return Origin.of(self.name, self.request.headers)

    @property
    def peer(self) -> Peer:
        """The client's end of the connection."""
        peer: Peer = self.request.scope["extensions"][EXTENSION]["peer"]
        return peer

    def revoke(self) -> None:
        """See Opened."""
        self.peer.revoke()

    def path(self, name: str) -> str:
        """Return a part of the path."""
        value: str = self.request.path_params[name]
        return value

    def query(self, kind: type[Q]) -> Q:
        """Return the query parameters. Raises WireError."""
        given = self.request.query_params
        values = {}
        for field in _fields(kind):
            name = field.encode_name
            several = given.getlist(name) + given.getlist(f"{name}[]")  # OpenAI's SDKs put brackets behind lists
            if members := dict(_members(name, given)):
                values[field.name] = _convert(members, field.type, name)
            elif several:
                value = several if field.default_factory is list else several[-1]
                values[field.name] = _convert(value, field.type, name)
        return kind(**values)

    def header(self, name: str, kind: Any) -> Any:
        """Return a header's value as this type; None when it is missing. Raises WireError, also for several values that
        differ: a proxy that reads the first and a server that reads the last would not do the same.
        """
        values = {value.strip() for value in self.request.headers.getlist(name)} - {""}
        if len(values) > 1:
            raise WireError(ErrorCode.INVALID_REQUEST, f"The header {name} has several values: send one.", param=name)
        return _convert(values.pop(), kind, name) if values else None

    async def body(self) -> bytes:
        """Return the whole body, to be decoded before the next `await`. Raises WireError."""
        state = self.request.state
        if not hasattr(state, "body"):  # it is asked for again when another node is to have it
            state.body = await read_body(self.request, self.gateway.settings.connections)
            await self.gateway.large_messages.wait(len(state.body))
        body: bytes = state.body
        return body


def names_any(kind: type[Query], given: Mapping[str, str]) -> bool:
    """Return whether a request has any of these query parameters."""
    names = [field.encode_name for field in msgspec.structs.fields(kind)]
    return any(re.split(r"[.\[]", key, maxsplit=1)[0] in names for key in given)


def _members(name: str, given: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the members of an object in the query: as `name.key`, or in OpenAPI's deepObject form `name[key]`."""
    for key, value in given.items():
        if key.startswith(f"{name}."):
            yield key[len(name) + 1 :], value
        elif key.startswith(f"{name}[") and key.endswith("]") and len(key) > len(name) + 2:
            yield key[len(name) + 1 : -1], value


@functools.cache
def _fields(kind: type[msgspec.Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    """Return the fields of a struct, whose annotations are evaluated once and not for each request."""
    return msgspec.structs.fields(kind)


def _convert(value: Any, kind: Any, name: str) -> Any:
    try:
        return msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError as error:
        raise WireError(ErrorCode.INVALID_REQUEST, f"`{name}`: {error}.", param=name) from None
