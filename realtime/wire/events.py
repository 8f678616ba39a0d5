"""Server events: what the server sends, in OpenAI's wire format, plus `done`, `response_id` and our own types.

`sequence_number` and `done` are stamped by the log (events of a response) or by the connection (the others); until then
they hold their defaults. Events are encoded once. Only `runs/cutoff.py` and `store/merging.py` decode some of them
again, and `codec.type_of` finds an event's type where the encoding puts it.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from .errors import WireError
from .items import AnyItem, OutputItem, OutputText, ReasoningText, Refusal, SummaryText
from .response import Recovery, Response, Truncated, Usage


class Event(msgspec.Struct, tag_field="type", kw_only=True, gc=False):
    """Base class of events. `gc=False`: events live for microseconds and hold no cycles."""

    sequence_number: int = -1
    done: bool = False
    response_id: str | UnsetType = UNSET
    stream_id: str | UnsetType = UNSET


# -- the life of a response


class RequestWarning(msgspec.Struct, frozen=True):
    """A warning about something in a request that was ignored, for a native client. `param`: its place."""

    param: str
    message: str


class ResponseCreated(Event, tag="response.created"):
    response: Response
    epoch: str
    warnings: list[RequestWarning] | UnsetType = UNSET


class QueuePlace(msgspec.Struct, kw_only=True):
    """A place in the queue. `num_ahead`: responses that are likely to run before it. `estimated_seconds`: until it
    runs, a guess; None while there is nothing to guess from.
    """

    num_ahead: int
    estimated_seconds: int | None


class ResponseQueued(Event, tag="response.queued"):
    response: Response
    queue: QueuePlace | UnsetType = UNSET  # of one that waits; not of one that runs at once in the background


class ResponseInProgress(Event, tag="response.in_progress"):
    response: Response


class ResponseCompleted(Event, tag="response.completed"):
    response: Response


class ResponseIncomplete(Event, tag="response.incomplete"):
    response: Response


class ResponseFailed(Event, tag="response.failed"):
    response: Response


TERMINALS = (ResponseCompleted, ResponseIncomplete, ResponseFailed)


# -- items and parts


class OutputItemAdded(Event, tag="response.output_item.added"):
    output_index: int
    item: OutputItem


class OutputItemDone(Event, tag="response.output_item.done"):
    output_index: int
    item: OutputItem


class InItem(Event):
    """Base class of the events inside an item."""

    item_id: str
    output_index: int


class ContentPartAdded(InItem, tag="response.content_part.added"):
    content_index: int
    part: OutputText | Refusal | ReasoningText


class ContentPartDone(InItem, tag="response.content_part.done"):
    content_index: int
    part: OutputText | Refusal | ReasoningText


class Delta(InItem, kw_only=True):
    """Base class of the events that add to a part; subclasses have the addition as `delta`. An event that stands for
    several, for a reader that takes them merged, covers the numbers from `first_sequence_number` to `sequence_number`.
    """

    first_sequence_number: int | UnsetType = UNSET


class OutputTextDelta(Delta, tag="response.output_text.delta"):
    content_index: int
    delta: str
    logprobs: list[Any] = []


class OutputTextDone(InItem, tag="response.output_text.done"):
    content_index: int
    text: str
    logprobs: list[Any] = []


class ReasoningTextDelta(Delta, tag="response.reasoning_text.delta"):
    content_index: int
    delta: str


class ReasoningTextDone(InItem, tag="response.reasoning_text.done"):
    content_index: int
    text: str


class ReasoningSummaryPartAdded(InItem, tag="response.reasoning_summary_part.added"):
    summary_index: int
    part: SummaryText


class ReasoningSummaryPartDone(InItem, tag="response.reasoning_summary_part.done"):
    summary_index: int
    part: SummaryText


class ReasoningSummaryTextDelta(Delta, tag="response.reasoning_summary_text.delta"):
    summary_index: int
    delta: str


class ReasoningSummaryTextDone(InItem, tag="response.reasoning_summary_text.done"):
    summary_index: int
    text: str


class FunctionCallArgumentsDelta(Delta, tag="response.function_call_arguments.delta"):
    delta: str


class FunctionCallArgumentsDone(InItem, tag="response.function_call_arguments.done"):
    arguments: str
    name: str


class CustomToolCallInputDelta(Delta, tag="response.custom_tool_call_input.delta"):
    delta: str


class CustomToolCallInputDone(InItem, tag="response.custom_tool_call_input.done"):
    input: str


class CompactionCompacting(InItem, tag="response.compaction.compacting"):
    """A summary is being written; its text is not shown."""


class ShellCallCommandAdded(InItem, tag="response.shell_call_command.added"):
    """`item_id` is ours in the events of commands; OpenAI's have the index alone."""

    command_index: int
    command: str


class ShellCallCommandDelta(Delta, tag="response.shell_call_command.delta"):
    command_index: int
    delta: str


class ShellCallCommandDone(InItem, tag="response.shell_call_command.done"):
    command_index: int
    command: str


class McpListToolsInProgress(InItem, tag="response.mcp_list_tools.in_progress"):
    """An MCP server is being asked."""


class McpListToolsCompleted(InItem, tag="response.mcp_list_tools.completed"):
    """The server has answered."""


class McpListToolsFailed(InItem, tag="response.mcp_list_tools.failed"):
    """The server has not answered; the item says why."""


class McpCallInProgress(InItem, tag="response.mcp_call.in_progress"):
    """A call of an MCP server's tool begins."""


class McpCallArgumentsDelta(Delta, tag="response.mcp_call_arguments.delta"):
    delta: str


DELTAS = (
    OutputTextDelta,
    ReasoningTextDelta,
    ReasoningSummaryTextDelta,
    FunctionCallArgumentsDelta,
    CustomToolCallInputDelta,
    ShellCallCommandDelta,
    McpCallArgumentsDelta,
)


class McpCallArgumentsDone(InItem, tag="response.mcp_call_arguments.done"):
    """The arguments are complete; from here on the server works."""

    arguments: str


class McpCallCompleted(InItem, tag="response.mcp_call.completed"):
    """The item has the result."""


class McpCallFailed(InItem, tag="response.mcp_call.failed"):
    """The item has the error, or the call was cut off."""


# -- the connection


class ErrorBody(msgspec.Struct, kw_only=True):
    """An error. `retry`: the same request may succeed if it is sent again, after `retry_after` seconds if that is
    given.

    `response_id`: the response of a refused cancel, truncate, resume or detach, or the one that is not followed any
    more. `item`: the item of the conversation that stands in the way.
    """

    type: str
    code: str
    message: str
    param: str | None = None
    retry: bool = False
    retry_after: float | UnsetType = UNSET
    response_id: str | UnsetType = UNSET
    item: AnyItem | UnsetType = UNSET


def error_body(error: WireError) -> ErrorBody:
    """Return a refusal as clients see it, over any transport."""
    spec = error.spec
    return ErrorBody(
        type=spec.fault.value,
        code=spec.code,
        message=error.message,
        param=error.param,
        retry=spec.retry,
        retry_after=UNSET if error.retry_after is None else error.retry_after,
        response_id=UNSET if error.response_id is None else error.response_id,
        item=UNSET if error.item is None else error.item,
    )


class Error(Event, tag="error"):
    """The refusal of a client event. `event_id`: the one that the client gave that event."""

    status: int
    error: ErrorBody
    event_id: str | UnsetType = UNSET


# -- what is given into a response that runs


class SteerRef(msgspec.Struct, kw_only=True):
    """The steered response. `previous_response_id`: its id, as the client named it."""

    id: str
    previous_response_id: str


class ResponseSteerAccepted(Event, tag="response.steer.accepted"):
    """The server holds the input; the successor's `response.created` says that it is applied."""

    steer: SteerRef


class ResponseSteerPending(Event, tag="response.steer.pending"):
    """The response waits for its client: the next create that continues it in its lane gets the input too."""

    steer: SteerRef
    required_input: list[dict[str, Any]]
    reason: str = "waiting_for_required_input"


class SteerError(msgspec.Struct, kw_only=True):
    code: str
    message: str
    type: str = "invalid_request_error"


class FailedSteer(msgspec.Struct, kw_only=True):
    """The refused input. `input`: as it came. `id`: if it had been accepted."""

    id: str | UnsetType = UNSET
    input: msgspec.Raw
    previous_response_id: str


class ResponseSteerFailed(Event, tag="response.steer.failed"):
    error: SteerError
    steer: FailedSteer


class ResponseInjectCreated(Event, tag="response.inject.created"):
    """The acceptance of an injection. Numbered by the connection although it has a top-level `response_id`: that is
    OpenAI's form.
    """


class InjectError(msgspec.Struct, kw_only=True):
    code: str
    message: str


class ResponseInjectFailed(Event, tag="response.inject.failed"):
    input: msgspec.Raw
    error: InjectError


class StreamError(Event, tag="error"):
    """An error in a stream over HTTP, for both kinds of readers: OpenAI's take the flat members, others the nested."""

    code: str
    message: str
    param: str | None
    error: ErrorBody


class SessionLimits(msgspec.Struct, kw_only=True):
    max_message_bytes: int
    max_in_flight: int
    max_streams: int
    lifetime_seconds: float


class Session(msgspec.Struct, kw_only=True):
    id: str
    model: str
    limits: SessionLimits


class SessionCreated(Event, tag="session.created"):
    session: Session


class SessionDraining(Event, tag="session.draining"):
    """The server is shutting down: running answers may finish until `grace_seconds` from now; new ones are refused.
    `resume_after_seconds`: how long its last start took, after which the next one should serve.
    """

    grace_seconds: float
    resume_after_seconds: float | UnsetType = UNSET


class PrefillTokens(msgspec.Struct, kw_only=True):
    """The tokens of a prompt that the engine has read, cached ones included, and all of them."""

    computed: int
    total: int


class Pulse(msgspec.Struct, kw_only=True):
    """The progress of one response. `num_ahead`, `estimated_seconds`: as in QueuePlace; the first is None, and the
    other absent, when it does not wait. `put_aside`: it waits in the middle of its answer; absent when it does not.
    `prefill_tokens`: while a prompt is read, in several steps. `usage`: its tokens so far, from its first token on.
    """

    response_id: str
    status: str
    num_ahead: int | None
    idle_seconds: float  # since its newest event
    estimated_seconds: int | UnsetType | None = UNSET
    put_aside: bool | UnsetType = UNSET
    prefill_tokens: PrefillTokens | UnsetType = UNSET
    usage: Usage | UnsetType = UNSET


class Heartbeat(msgspec.Struct, kw_only=True):
    """The state of the server. `engine`: `ready`, or why it can't serve. `responses`: those that the connection
    follows.
    """

    engine: str
    responses: list[Pulse]


class SessionHeartbeat(Event, tag="session.heartbeat"):
    heartbeat: Heartbeat


class SessionState(msgspec.Struct, kw_only=True):
    heartbeat_seconds: float  # 0: never
    catch_up: str | UnsetType = UNSET  # where the client has said how it wants to catch up


class SessionUpdated(Event, tag="session.updated"):
    session: SessionState


class PendingCall(msgspec.Struct, kw_only=True):
    """A call that waits for its client. `type` is that of the item; `call_id` is the one that the answer must name."""

    call_id: str
    type: str
    name: str


class Resumed(msgspec.Struct, kw_only=True):
    """The start of a resume. It is nested because a top-level `response_id` means: numbered by that response."""

    response_id: str
    epoch: str
    starting_after: int
    tip: int  # the number that the response's next event will get
    status: str
    pending_calls: list[PendingCall]
    truncated: Truncated | UnsetType = UNSET
    recovery: Recovery | UnsetType = UNSET


class ResponseResumed(Event, tag="response.resumed"):
    """The answer to `response.resume`; the response's own events follow, from `starting_after` + 1 on. It is also sent
    unasked, when a followed response goes on in another epoch.
    """

    resumed: Resumed


class ResponseTruncated(Event, tag="response.truncated"):
    """The answer to `response.truncate`: the response as it is retrieved from now on."""

    response: Response
    event_id: str | UnsetType = UNSET
