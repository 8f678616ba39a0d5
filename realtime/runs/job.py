"""A job: every decision about a response before it starts. Pure."""

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
    """The urgency of a response. The value is the engine's priority; a lower one is served sooner."""

    INTERACTIVE = -1
    DEFAULT = 0
    BATCH = 1

    @property
    def label(self) -> str:
        """The label of the class in metrics."""
        return self.name.lower()


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One response to be made. Nothing in it is changed; a run works on a copy of `response`.

    request: with its items as the model will see them, and the settings in force. digest: of the request as it came, if
    it has a `request_id`; two requests with the same digest are the same. response: as `response.created` shows it.
    parent: the turn that it continues; in a conversation that is known when the response starts. compaction: when to
    make the history shorter; None: never. encrypt_compaction: encrypts the content of a compaction for this tenant.
    cache_salt: its requests to the engine share the prefix cache only with those of the same salt; None: with all
    others that have none. mcp: its use of MCP servers; None: nothing. warnings: warnings about the request, for its
    client. origin: where it was asked for. service_class: its urgency.
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
        """The stream of the connection on which it was asked for."""
        stream_id: str | None = self.request.stream_id
        return stream_id

    @property
    def generates(self) -> bool:
        """Return whether an answer is wanted; otherwise the prompt is only read into the engine's cache."""
        return self.request.generate is not False
