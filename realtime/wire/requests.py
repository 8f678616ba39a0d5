"""Client events: the messages that a client may send on the socket.

`ResponseCreate` has every body field of `POST /v1/responses` (OpenAI's reference) and the members that exist on the
socket only. Unknown members are never refused, because real clients send them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from .errors import ErrorCode, WireError
from .formats import ReasoningEffort, TextFormat
from .harmony import HarmonyMessage
from .items import InputItem

Count = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Penalty = Annotated[float, Meta(ge=-2.0, le=2.0)]
Name = Annotated[str, Meta(max_length=512)]
Integer = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
TemplateValue = bool | Integer | float | Annotated[str, Meta(max_length=1024)] | None
StopString = Annotated[str, Meta(min_length=1, max_length=1024)]
Key = Annotated[str, Meta(max_length=64)]
TokenId = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Bias = Annotated[float, Meta(ge=-100.0, le=100.0)]
OpaqueId = Annotated[str, Meta(max_length=256)]
SequenceNumber = Annotated[int, Meta(ge=-1, le=2**53)]  # -1: before the first
CatchUp = Literal["events", "merged"]  # each event as it was, or each run of deltas as one
Metadata = Annotated[dict[Key, Annotated[str, Meta(max_length=512)]], Meta(max_length=16)]

# ours, in `include`
HARMONY_MESSAGES = "harmony.messages"  # the prompt and the answer as Harmony messages
TOKEN_IDS = "token_ids"  # the same as tokens
STOP_SEQUENCE = "stop_sequence"  # which string of `stop` has ended the answer


class ClientEvent(msgspec.Struct, tag_field="type", kw_only=True):
    """Base class of client events. `event_id`: the client's own name for this event, which an `error` that answers it
    repeats.
    """

    event_id: OpaqueId | None = None


class OnDisconnect(msgspec.Struct, kw_only=True):
    """The fate of the response when nobody follows it any more."""

    policy: Literal["cancel", "linger", "continue"]
    seconds: Annotated[float, Meta(ge=0)] | None = None  # how long to linger before the cancel


class TextOptions(msgspec.Struct, kw_only=True):
    format: TextFormat | None = None
    verbosity: Literal["low", "medium", "high"] | None = None


class ReasoningOptions(msgspec.Struct, kw_only=True):
    effort: ReasoningEffort | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None
    generate_summary: Literal["auto", "concise", "detailed"] | None = None
    context: Name | None = None  # which reasoning the model sees again is its template's rule
    mode: Name | None = None  # there is one


class PromptCacheOptions(msgspec.Struct, kw_only=True):
    """Options of the prompt cache. `prewarm`: as `generate: false`. The others describe OpenAI's cache; this one is
    always implicit.
    """

    prewarm: bool | None = None
    mode: Name | None = None
    ttl: Name | None = None
    comparison_response_id: OpaqueId | None = None


class ConversationRef(msgspec.Struct, kw_only=True):
    """The conversation that a response belongs to."""

    id: OpaqueId


class ContextManagement(msgspec.Struct, kw_only=True):
    """The action when the context grows. `compact_threshold`: in tokens; absent: near the end of the window."""

    type: Literal["compaction"]
    compact_threshold: Count | None = None


class ResponseCreate(ClientEvent, tag="response.create"):
    """Start a response. docs/protocol.md describes each member."""

    # OpenAI's body
    model: Name | None = None
    input: msgspec.Raw = msgspec.Raw()  # a string or a list of items; decoded into `items` by the codec
    instructions: str | None = None
    previous_response_id: OpaqueId | None = None
    store: bool | None = None
    max_output_tokens: Count | None = None
    temperature: Annotated[float, Meta(ge=0.0, le=2.0)] | None = None
    top_p: Annotated[float, Meta(gt=0.0, le=1.0)] | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    text: TextOptions | None = None
    reasoning: ReasoningOptions | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    max_tool_calls: Count | None = None
    truncation: Literal["auto", "disabled"] | None = None
    include: Annotated[list[str], Meta(max_length=64)] | None = None
    metadata: Metadata | None = None
    user: Name | None = None
    safety_identifier: Name | None = None
    prompt_cache_key: Name | None = None
    prompt_cache_retention: Name | None = None
    prompt_cache_options: PromptCacheOptions | None = None
    service_tier: Name | None = None
    background: bool | None = None
    conversation: OpaqueId | ConversationRef | None = None
    context_management: Annotated[list[ContextManagement], Meta(max_length=4)] | None = None
    prompt: Any = None  # refused by name: to ignore it would answer something else
    moderation: Any = None  # refused by name: to ignore it would leave unguarded what is to be guarded
    stream: Any = None  # meaningless on a socket, yet real clients send it: any value is accepted
    stream_options: Any = None  # of `include_obfuscation`: events are never padded here
    # the socket's own
    stream_id: Any = None  # checked by the connection, which has its own error for a bad one
    generate: bool | None = None
    # vLLM's extras
    top_k: Annotated[int, Meta(ge=-1)] | None = None
    min_p: Annotated[float, Meta(ge=0.0, le=1.0)] | None = None
    repetition_penalty: Annotated[float, Meta(gt=0.0, le=10.0)] | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    stop: StopString | Annotated[list[StopString], Meta(max_length=16)] | None = None
    stop_token_ids: Annotated[list[TokenId], Meta(max_length=64)] | None = None
    logit_bias: Annotated[dict[TokenId, Bias], Meta(max_length=1024)] | None = None
    ignore_eos: bool | None = None
    cache_salt: Name | None = None
    chat_template_kwargs: Annotated[dict[Name, TemplateValue], Meta(max_length=32)] | None = None
    # ours
    allow_missing_outputs: bool | None = None  # continue though calls of the newest turn are not answered
    request_id: OpaqueId | None = None
    on_disconnect: OnDisconnect | None = None
    max_queue_seconds: Annotated[float, Meta(ge=0, le=1e9)] | None = None  # that it waits for its turn at most
    catch_up: CatchUp | None = None
    previous_input_messages: Annotated[list[HarmonyMessage], Meta(max_length=10_000)] | None = (
        None  # the history, held by the client
    )
    # the nested form of the Realtime API, which some proxies send
    response: msgspec.Raw | UnsetType = UNSET

    @property
    def conversation_id(self) -> str | None:
        """The conversation that it names, in either form."""
        ref = self.conversation
        return ref.id if isinstance(ref, ConversationRef) else ref

    @property
    def own_items(self) -> list[InputItem]:
        """The items of the client's own `input`."""
        return self.items[self.num_before :]

    # what `input` holds, set by the codec; not a member of the wire, where `items` is as unknown as any other name
    items: list[InputItem] = msgspec.field(default_factory=list, name=" items")
    # how many of them were put before the client's own, likewise
    num_before: int = msgspec.field(default=0, name=" num_before")
    # the paths of members that nobody knows, likewise
    unknown: tuple[str, ...] = msgspec.field(default=(), name=" unknown")


# The ways in which a client ends a response before its own end: keep what was generated; forget the item that is being
# written; wait for a safe point, because a successor is to go on from there.
StopKind = Literal["cancel", "interrupt", "steer"]


class ResponseCancel(ClientEvent, tag="response.cancel"):
    """Stop a response: by its id, else the running one of the lane `stream_id` (absent: the default lane)."""

    response_id: OpaqueId | None = None
    stream_id: Any = None
    through: SequenceNumber | None = None  # the last event that the user saw or heard


# -- where an answer is cut


class Through(msgspec.Struct, frozen=True):
    """A place after an event; -1: before the first."""

    number: int


class Characters(msgspec.Struct, frozen=True):
    """A place after so many characters (code points) of a part of a message."""

    item_id: str
    content_index: int
    num_characters: int


Place = Through | Characters


class Truncation(msgspec.Struct, kw_only=True):
    """Body of `POST /v1/responses/{id}/truncate`: `through`, or `item_id` and `num_characters`."""

    through: SequenceNumber | None = None
    item_id: OpaqueId | None = None
    content_index: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 0
    num_characters: Annotated[int, Meta(ge=0, le=2**53)] | None = None


class ResponseTruncate(ClientEvent, tag="response.truncate"):
    """Cut the answer of a response, running or finished. The other members are those of `Truncation`."""

    response_id: OpaqueId
    through: SequenceNumber | None = None
    item_id: OpaqueId | None = None
    content_index: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 0
    num_characters: Annotated[int, Meta(ge=0, le=2**53)] | None = None


def place_of(asked: Truncation | ResponseTruncate) -> Place:
    """Return the requested place. Raises WireError unless it is given in exactly one of the two ways."""
    if asked.through is not None and asked.item_id is None and asked.num_characters is None:
        return Through(asked.through)
    if asked.through is None and asked.item_id is not None and asked.num_characters is not None:
        return Characters(asked.item_id, asked.content_index, asked.num_characters)
    text = "Say where to cut: by `through`, the number of an event, or by `item_id` and `num_characters`."
    param = "through" if asked.item_id is None else "num_characters" if asked.num_characters is None else "item_id"
    raise WireError(ErrorCode.INVALID_REQUEST, text, param=param)


class ResponseInterrupt(ClientEvent, tag="response.interrupt"):
    """Stop a response and drop the item that is being written."""

    response_id: OpaqueId
    mode: Literal["discard_partial_items"] = "discard_partial_items"


class ResponseSteer(ClientEvent, tag="response.steer"):
    """Give user input to a running response. The connection checks `input`, and gives a bad one back."""

    previous_response_id: OpaqueId
    input: msgspec.Raw = msgspec.Raw()


class ResponseInject(ClientEvent, tag="response.inject"):
    """Give tool outputs to a running response."""

    response_id: OpaqueId
    input: msgspec.Raw = msgspec.Raw()


class ResponseAck(ClientEvent, tag="response.ack"):
    """Acknowledge that the user has seen or heard everything of this response up to and including number `through`."""

    response_id: OpaqueId
    through: SequenceNumber


class ResponseProcessed(ClientEvent, tag="response.processed"):
    """Sent by older coding agents; has no effect here."""


class SessionUpdate(ClientEvent, tag="session.update"):
    """Change the settings of this connection. An absent member stays as it is."""

    api_key: Annotated[str, Meta(min_length=1, max_length=512)] | None = None
    heartbeat_seconds: Annotated[float, Meta(ge=0, le=3600)] | None = None
    catch_up: CatchUp | None = None  # of what is created and resumed from now on


class ResponseResume(ClientEvent, tag="response.resume"):
    """Follow a response from after `starting_after` (-1: from its first event)."""

    response_id: OpaqueId
    starting_after: SequenceNumber = -1
    epoch: OpaqueId | None = None
    catch_up: CatchUp | None = None


class ResponseDetach(ClientEvent, tag="response.detach"):
    """Stop following a response, which continues."""

    response_id: OpaqueId


AnyClientEvent = (
    ResponseCreate
    | ResponseCancel
    | ResponseInterrupt
    | ResponseSteer
    | ResponseInject
    | ResponseAck
    | ResponseProcessed
    | ResponseResume
    | ResponseDetach
    | ResponseTruncate
    | SessionUpdate
)
