"""All that is decided about a response before it starts. Pure."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence

import msgspec

from realtime.context.compaction import Policy
from realtime.context.tools import ToolSet
from realtime.context.turns import Turn
from realtime.observability.origin import NOWHERE, Origin
from realtime.store.conversations import Conversation
from realtime.wire.events import RequestWarning
from realtime.wire.requests import OnDisconnect, ResponseCreate
from realtime.wire.response import Response

from .mcp.plan import McpPlan
from .open_items import ReasoningShown


class ServiceClass(enum.IntEnum):
    """How urgent a response is; the value is the engine's priority, lower is sooner."""

    INTERACTIVE = -1
    DEFAULT = 0
    BATCH = 1

    @property
    def label(self) -> str:
        """Its name in metrics."""
        return self.name.lower()


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One response to be made. Nothing in it is written to; a run works on a copy of `response`.

    request: with its items as the model is to see them, and the settings that hold.
    digest: of the request as it came, if it has a `request_id`; two with the same one are the same request.
    response: as `response.created` shows it.
    parent: the turn that it continues. In a conversation that is known when the response starts.
    compaction: when the history is to be made shorter; None: never.
    encrypt_compaction: encrypts the content of a compaction for this tenant.
    cache_salt: its requests to the engine share the prefix cache only with those of the same salt; None: with any
        that have none.
    mcp: what is wanted of MCP servers; None: nothing.
    warnings: what its client is told of the request.
    origin: where it was asked for.
    service_class: how urgent it is.
    """

    response_id: str
    tenant: str
    request: ResponseCreate
    digest: bytes
    tools: ToolSet
    shown: ReasoningShown
    response: Response
    parent: Turn | None = None
    conversation: Conversation | None = None
    compaction: Policy | None = None
    encrypt_compaction: Callable[[str], str]
    on_disconnect: OnDisconnect
    cache_salt: str | None = None
    mcp: McpPlan | None = None
    warnings: Sequence[RequestWarning] = ()
    origin: Origin = NOWHERE
    service_class: ServiceClass = ServiceClass.DEFAULT

    @property
    def stream_id(self) -> str | None:
        """The lane of the connection that it was asked for on."""
        stream_id: str | None = self.request.stream_id
        return stream_id

    @property
    def generates(self) -> bool:
        """Return whether an answer is wanted; otherwise the prompt is only brought into the engine's cache."""
        return self.request.generate is not False
