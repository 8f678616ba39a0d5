"""The Response object, with every key that OpenAI's and Open Responses' validators expect, always present."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from .formats import TextFormat
from .harmony import HarmonyMessage
from .items import OutputItem
from .requests import ConversationRef

ResponseStatus = Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]


class InputTokensDetails(msgspec.Struct, kw_only=True):
    cached_tokens: int = 0
    cache_write_tokens: int = 0


class OutputTokensDetails(msgspec.Struct, kw_only=True):
    reasoning_tokens: int = 0


class Usage(msgspec.Struct, kw_only=True):
    """Tokens of one response; `output_tokens` includes reasoning."""

    input_tokens: int
    input_tokens_details: InputTokensDetails
    output_tokens: int
    output_tokens_details: OutputTokensDetails
    total_tokens: int


class IncompleteDetails(msgspec.Struct):
    reason: str


def is_stopped(details: IncompleteDetails | None) -> bool:
    """Return whether a client stopped the response, for which other APIs than this one have no word."""
    return details is not None and details.reason != "max_output_tokens"


class ResponseError(msgspec.Struct):
    """The reason why a response failed. `code` is from OpenAI's list where that has one, else from our registry."""

    code: str
    message: str
    param: str | UnsetType = UNSET  # the member at fault, where there is one


class TextConfig(msgspec.Struct, kw_only=True):
    format: TextFormat
    verbosity: str | UnsetType = UNSET


class ReasoningConfig(msgspec.Struct, kw_only=True):
    effort: str | None = None
    summary: str | None = None


class CancelReceipt(msgspec.Struct, kw_only=True):
    """The receipt of a cancel: how much had been generated and sent, and how long the engine took to abort."""

    tokens_generated: int
    tokens_delivered: int  # of these, in events that the canceller's socket had taken when the cancel came
    abort_ms: float
    through: int | UnsetType = UNSET  # the last event that the user saw or heard, where the answer was cut


class Truncated(msgspec.Struct, kw_only=True):
    """The place where an answer was cut. `through`: the last event of which anything is kept."""

    through: int


class RateLimit(msgspec.Struct, kw_only=True):
    """The remainder of a minute's allowance. `reset_seconds`: until all of it is back."""

    name: Literal["requests", "tokens"]
    limit: int
    remaining: int
    reset_seconds: float


class Recovery(msgspec.Struct, kw_only=True):
    """The way in which an answer continued after its server or its engine had ended in the middle of it.

    kind: `exact`: as if nothing had happened; `prefix_exact`: the existing output stands, and the rest is another
    sample of the model; `failed`: it did not continue. attempts: how often it was begun or continued. reason: why it
    did not continue.
    """

    kind: Literal["exact", "prefix_exact", "failed"]
    attempts: int
    reason: str | UnsetType = UNSET


class Response(msgspec.Struct, kw_only=True):
    """One response as clients see it. Nullable members are null, never absent."""

    id: str
    object: Literal["response"] = "response"
    created_at: int  # unix seconds
    completed_at: int | None = None
    status: ResponseStatus
    incomplete_details: IncompleteDetails | None = None
    error: ResponseError | None = None
    model: str
    previous_response_id: str | None = None
    instructions: str | None = None
    output: list[OutputItem] = []
    usage: Usage | None = None
    tools: list[dict[str, Any]] = []
    tool_choice: str | dict[str, Any] = "auto"
    parallel_tool_calls: bool = True
    max_tool_calls: int | None = None
    truncation: str = "disabled"
    text: TextConfig
    reasoning: ReasoningConfig
    temperature: float
    top_p: float
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    top_logprobs: int = 0
    max_output_tokens: int | None = None
    store: bool = True
    background: bool = False
    service_tier: str = "default"
    metadata: dict[str, str] = {}
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    moderation: None = None  # there is no moderation here, and asking for it is refused
    user: str | None = None
    conversation: ConversationRef | UnsetType = UNSET  # absent rather than null where there is none
    cancel: CancelReceipt | UnsetType = UNSET  # ours: only on a cancelled response
    truncated: Truncated | UnsetType = UNSET  # ours: only where the answer was cut
    recovery: Recovery | UnsetType = UNSET  # ours: only where its server or engine ended in the middle of it
    end_turn: bool | UnsetType = UNSET  # false on an interrupted response
    # ours: the string of `stop` that has ended it, of a response that was asked to `include` it
    stop_sequence: str | UnsetType = UNSET
    request_id: str | UnsetType = UNSET  # ours: the request's, if it gave one
    # ours: of one that runs, when it is asked for: where it can be followed from. `tip`: the number of its next event
    epoch: str | UnsetType = UNSET
    tip: int | UnsetType = UNSET
    # ours: in `response.created`, of a tenant that has such limits
    rate_limits: list[RateLimit] | UnsetType = UNSET
    # ours: on the terminal event, of a response that was asked to `include` them
    input_messages: list[HarmonyMessage] | UnsetType = UNSET
    output_messages: list[HarmonyMessage] | UnsetType = UNSET
    input_token_ids: list[int] | UnsetType = UNSET
    output_token_ids: list[int] | UnsetType = UNSET
