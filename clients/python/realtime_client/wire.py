"""The types of the wire, from the server's OpenAPI document by scripts/python_types.py. Do not edit."""

# ruff: noqa: E501
from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict


class AdditionalTools(TypedDict):
    """More tools. From here on the model has them."""

    type: Literal["additional_tools"]
    tools: list[dict[str, Any]]
    role: NotRequired[str | None]
    id: NotRequired[str | None]
    status: NotRequired[str | None]
    recovered: NotRequired[bool | None]


class ApplyPatchCall(TypedDict):
    type: Literal["apply_patch_call"]
    call_id: str
    operation: CreateFile | UpdateFile | DeleteFile
    id: NotRequired[str | None]
    status: NotRequired[str | None]
    recovered: NotRequired[bool | None]


class ApplyPatchCallOutput(TypedDict):
    """The result of a patch. `status`: whether it could be applied (`completed`, `failed`). `output`: a     text
    about it.
    """

    type: Literal["apply_patch_call_output"]
    call_id: str
    output: NotRequired[str | None]
    id: NotRequired[str | None]
    status: NotRequired[str | None]
    recovered: NotRequired[bool | None]


class Author(TypedDict):
    role: Literal["assistant", "developer", "system", "tool", "user"]
    name: NotRequired[str | None]


class CancelReceipt(TypedDict):
    """The receipt of a cancel: how much had been generated and sent, and how long the engine took to abort."""

    tokens_generated: int
    tokens_delivered: int
    abort_ms: float
    through: NotRequired[int]


class ChannelConfig(TypedDict):
    """The channels that the system message names."""

    valid_channels: list[str]
    channel_required: NotRequired[bool]


class CodeInterpreterCall(TypedDict):
    type: Literal["code_interpreter_call"]
    code: NotRequired[Any]
    container_id: NotRequired[Any]
    outputs: NotRequired[Any]
    id: NotRequired[str | None]
    status: NotRequired[str | None]
    recovered: NotRequired[bool | None]


class CompactedResponse(TypedDict):
    """The answer of `POST /v1/responses/compact`: `output` is the `input` of a new chain."""

    id: str
    object: Literal["response.compaction"]
    created_at: int
    output: list[Message | Reasoning | FunctionCall | CustomToolCall | LocalShellCall | ShellCall | ApplyPatchCall | ToolSearchCall | McpListTools | McpCall | McpApprovalRequest | Compaction]
    usage: Usage


class Compaction(TypedDict):
    """The remains of a conversation that was made shorter."""

    type: Literal["compaction"]
    encrypted_content: str
    id: NotRequired[str | None]
    status: NotRequired[str | None]
    recovered: NotRequired[bool | None]


class CompactionCompacting(TypedDict):
    """A summary is being written; its text is not shown."""

    type: Literal["response.compaction.compacting"]
    item_id: str
    output_index: int
    sequence_number: int
    done: bool
    response_id: str
    stream_id: NotRequired[str]


class CompactionTrigger(TypedDict):
    """A request to make the items before it shorter; the last item of an input."""

    type: Literal["compaction_trigger"]
    id: NotRequired[str | None]
    status: NotRequired[str | None]
    recovered: NotRequired[bool | None]


class ComputerCall(TypedDict):
    type: Literal["computer_call"]
    call_id: NotRequired[Any]
    action: NotRequired[Any]
    actions: NotRequired[Any]
    pending_safety_checks: NotRequired[Any]
    id: NotRequired[str | None]
    status: NotRequired[str | None]
    recovered: NotRequired[bool | None]


class ComputerCallOutput(TypedDict):
    type: Literal["computer_call_output"]
    call_id: NotRequired[Any]
    output: NotRequired[Any]
    acknowledged_safety_checks: NotRequired[Any]
    id: NotRequired[str | None]
    status: NotRequired[str | None]
    recovered: NotRequired[bool | None]


class ConfigurationUpdate(TypedDict):
    """Other settings from here on, until a later update replaces them."""

    type: Literal["configuration_update"]
    reasoning: NotRequired[ReasoningUpdate | None]
    text: NotRequired[TextUpdate | None]
    id: NotRequired[str | None]
    status: NotRequired[str | None]
    recovered: NotRequired[bool | None]


class ContentPartAdded(TypedDict):
    type: Literal["response.content_part.added"]
    item_id: str
    output_index: int
    content_index: int
    part: OutputText | Refusal | ReasoningText
    sequence_number: int
    done: bool
    response_id: str
    stream_id: NotRequired[str]


class ContentPartDone(TypedDict):
    type: Literal["response.content_part.done"]
    item_id: str
    output_index: int
    content_index: int
    part: OutputText | Refusal | ReasoningText
    sequence_number: int
    done: bool
    response_id: str
    stream_id: NotRequired[str]


class ConversationDeleted(TypedDict):
    """The receipt of a conversation that was deleted."""

    id: str
    object: Literal["conversation.deleted"]
    deleted: bool


class ConversationItems(TypedDict):
    """A page of the items of a conversation."""

    object: Literal["list"]
    data: list[Any]
    first_id: str | None
    last_id: str | None
    has_more: bool


class ConversationList(TypedDict):
    """A page of conversations."""

    object: Literal["list"]
    data: list[ConversationObject]
    first_id: str | None
    last_id: str | None
    has_more: bool


class ConversationObject(TypedDict):
    """A conversation as clients see it."""

    id: str
    object: Literal["conversation"]
    created_at: int
    metadata: dict[str, str]
    running_responses: NotRequired[list[str]]


class ConversationRef(TypedDict):
    """The conversation that a response belongs to."""

    id: str


class CreateFile(TypedDict):
    type: Literal["create_file"]
    path: str
    diff: str


class CustomToolCall(TypedDict):
    type: Literal["custom_tool_call"]
    call_id: str
    name: str
    input: str
    namespace: NotRequired[str | None]
    channel: NotRequired[str | None]
    id: NotRequired[str | None]
    status: NotRequired[str | None]
    recovered: NotRequired[bool | None]


class CustomToolCallInputDelta(TypedDict):
    type: Literal["response.custom_tool_call_input.delta"]
    item_id: str
    output_index: int
    delta: str
    sequence_number: int
    done: bool
    response_id: str
    stream_id: NotRequired[str]
    first_sequence_number: NotRequired[int]


class CustomToolCallInputDone(TypedDict):
    type: Literal["response.custom_tool_call_input.done"]
    item_id: str
    output_index: int
    input: str
    sequence_number: int
    done: bool
    response_id: str
    stream_id: NotRequired[str]


class CustomToolCallOutput(TypedDict):
    type: Literal["custom_tool_call_output"]
    call_id: str
    output: str | list[InputText | InputImage | InputFile | OutputText | Refusal | ReasoningText | SummaryText | PlainText]
    id: NotRequired[str | None]
    status: NotRequired[str | None]
    recovered: NotRequired[bool | None]


class DeleteFile(TypedDict):
    type: Literal["delete_file"]
    path: str


class DeveloperContent(TypedDict):
    """Instructions and tools."""

    type: Literal["developer_content"]
    instructions: NotRequired[str | None]
    tools: NotRequired[dict[str, HarmonyNamespace] | None]


class ErrorBody(TypedDict):
    """An error. `retry`: the same request may succeed if it is sent again, after `retry_after` seconds if that is
    given.      `response_id`: the response of a refused cancel, truncate, resume or detach, or the one that is
    not followed any     more. `item`: the item of the conversation that stands in the way.
    """

    type: str
    code: str
    message: str
    param: str | None
    retry: bool
    retry_after: NotRequired[float]
    response_id: NotRequired[str]
    item: NotRequired[Message | Reasoning | FunctionCall | FunctionCallOutput | CustomToolCall | CustomToolCallOutput | LocalShellCall | ShellCall | ApplyPatchCall | ToolSearchCall | LocalShellCallOutput | ShellCallOutput | ApplyPatchCallOutput | ToolSearchOutput | McpListTools | McpCall | McpApprovalRequest | McpApprovalResponse | Compaction | CompactionTrigger | ItemReference | AdditionalTools | ConfigurationUpdate | WebSearchCall | FileSearchCall | CodeInterpreterCall | ImageGenerationCall | ComputerCall | ComputerCallOutput]


class FailedSteer(TypedDict):
    """The refused input. `input`: as it came. `id`: if it had been accepted."""

    id: NotRequired[str]
    input: Any
    previous_response_id: str


class FileSearchCall(TypedDict):
    type: Literal["file_search_call"]
    queries: NotRequired[Any]
    results: NotRequired[Any]
    id: NotRequired[str | None]
    status: NotRequired[str | None]
    recovered: NotRequired[bool | None]


class FunctionCall(TypedDict):
    type: Literal["function_call"]
    call_id: str
    name: str
    arguments: str
    namespace: NotRequired[str | None]
    channel: NotRequired[str | None]
    id: NotRequired[str | None]
    status: NotRequired[str | None]
    recovered: NotRequired[bool | None]


class FunctionCallArgumentsDelta(TypedDict):
    type: Literal["response.function_call_arguments.delta"]
    item_id: str
    output_index: int
    delta: str
    sequence_number: int
    done: bool
    response_id: str
    stream_id: NotRequired[str]
    first_sequence_number: NotRequired[int]


class FunctionCallArgumentsDone(TypedDict):
    type: Literal["response.function_call_arguments.done"]
    item_id: str
    output_index: int
    arguments: str
    name: str
    sequence_number: int
    done: bool
    response_id: str
    stream_id: NotRequired[str]


class FunctionCallOutput(TypedDict):
    type: Literal["function_call_output"]
    call_id: str
    output: str | list[InputText | InputImage | InputFile | OutputText | Refusal | ReasoningText | SummaryText | PlainText]
    id: NotRequired[str | None]
    status: NotRequired[str | None]
    recovered: NotRequired[bool | None]


class HarmonyMessage(TypedDict):
    """One message. It has a place in the history like an item, but only a Harmony model can be shown it."""

    type: Literal["harmony_message"]
    author: NotRequired[Author]
    role: NotRequired[Literal["assistant", "developer", "system", "tool", "user"]]
    name: NotRequired[str | None]
    channel: NotRequired[str | None]
    recipient: NotRequired[str | None]
    content_type: NotRequired[str | None]
    content: str | list[HarmonyText | SystemContent | DeveloperContent]
    call_id: NotRequired[str | None]


class HarmonyNamespace(TypedDict):
    """A namespace: functions under one name."""

    name: str
    description: NotRequired[str | None]
    tools: NotRequired[list[HarmonyTool]]


class HarmonyText(TypedDict):
    type: Literal["text"]
    text: str


class HarmonyTool(TypedDict):
    """A function. `parameters`: its JSON schema."""

    name: str
    description: NotRequired[str]
    parameters: NotRequired[dict[str, Any] | None]


class Heartbeat(TypedDict):
    """The state of the server. `engine`: `ready`, or why it can't serve. `responses`: those that the connection
    follows.
    """

    engine: str
    responses: list[Pulse]


class ImageGenerationCall(TypedDict):
    type: Literal["image_generation_call"]
    result: NotRequired[Any]
    revised_prompt: NotRequired[Any]
    action: NotRequired[Any]
    background: NotRequired[Any]
    output_format: NotRequired[Any]
    quality: NotRequired[Any]
    size: NotRequired[Any]
    error: NotRequired[Any]
    id: NotRequired[str | None]
    status: NotRequired[str | None]
    recovered: NotRequired[bool | None]


class IncompleteDetails(TypedDict):
    reason: str


class InjectError(TypedDict):
    code: str
    message: str


class InputFile(TypedDict):
    type: Literal["input_file"]
    file_id: NotRequired[str | None]
    file_data: NotRequired[str | None]
    file_url: NotRequired[str | None]
    filename: NotRequired[str | None]


class InputImage(TypedDict):
    """An image. Its picture is attached when it has been loaded (see `engine.pictures`), and is never encoded."""

    type: Literal["input_image"]
    image_url: NotRequired[str | None]
    file_id: NotRequired[str | None]
    detail: NotRequired[str | None]


class InputText(TypedDict):
    type: Literal["input_text"]
    text: str


class InputTokens(TypedDict):
    object: Literal["response.input_tokens"]
    input_tokens: int


class InputTokensDetails(TypedDict):
    cached_tokens: int
    cache_write_tokens: int


class ItemList(TypedDict):
    """A page of a list of items: a response's input items, or the items of a conversation."""

    object: Literal["list"]
    data: list[Message | Reasoning | FunctionCall | FunctionCallOutput | CustomToolCall | CustomToolCallOutput | LocalShellCall | ShellCall | ApplyPatchCall | ToolSearchCall | LocalShellCallOutput | ShellCallOutput | ApplyPatchCallOutput | ToolSearchOutput | McpListTools | McpCall | McpApprovalRequest | McpApprovalResponse | Compaction | CompactionTrigger | ItemReference | AdditionalTools | ConfigurationUpdate | WebSearchCall | FileSearchCall | CodeInterpreterCall | ImageGenerationCall | ComputerCall | ComputerCallOutput]
    first_id: str | None
    last_id: str | None
    has_more: bool


class ItemOrigin(TypedDict):
    """The origin of a conversation's item. `response_id`: the response that it was the input or the output of; null:
    it     was posted.
    """

    response_id: str | None
    created_at: int


class ItemReference(TypedDict):
    """A reference to the item with this `id`, which the server has."""

    type: Literal["item_reference"]
    id: NotRequired[str | None]
    status: NotRequired[str | None]
    recovered: NotRequired[bool | None]


class JsonObjectFormat(TypedDict):
    """One JSON object of any content."""

    type: Literal["json_object"]


class JsonSchemaFormat(TypedDict):
    """JSON by a schema. The schema is enforced whatever `strict` says."""

    type: Literal["json_schema"]
    name: str
    schema: dict[str, Any]
    description: NotRequired[str | None]
    strict: NotRequired[bool | None]


class ListedResponse(TypedDict):
    """A Response in a list: without what may be long."""

    id: str
    object: Literal["response"]
    created_at: int
    completed_at: int | None
    status: Literal["cancelled", "completed", "failed", "in_progress", "incomplete", "queued"]
    incomplete_details: IncompleteDetails | None
    error: ResponseError | None
    model: str
    previous_response_id: str | None
    usage: Usage | None
    tool_choice: str | dict[str, Any]
    parallel_tool_calls: bool
    max_tool_calls: int | None
    truncation: str
    text: TextConfig
    reasoning: ReasoningConfig
    temperature: float
    top_p: float
    presence_penalty: float
    frequency_penalty: float
    top_logprobs: int
    max_output_tokens: int | None
    store: bool
    background: bool
    service_tier: str
    metadata: dict[str, str]
    safety_identifier: str | None
    prompt_cache_key: str | None
    prompt_cache_retention: str | None
    moderation: None
    user: str | None
    conversation: NotRequired[ConversationRef]
    cancel: NotRequired[CancelReceipt]
    truncated: NotRequired[Truncated]
    recovery: NotRequired[Recovery]
    end_turn: NotRequired[bool]
    stop_sequence: NotRequired[str]
    request_id: NotRequired[str]
    rate_limits: NotRequired[list[RateLimit]]


class LocalShellAction(TypedDict):
    """One command, as its words; no shell interprets it."""

    type: Literal["exec"]
    command: list[str]
    env: NotRequired[dict[str, str]]
    timeout_ms: NotRequired[int | None]
    user: NotRequired[str | None]
    working_directory: NotRequired[str | None]


class LocalShellCall(TypedDict):
    type: Literal["local_shell_call"]
    call_id: str
    action: LocalShellAction
    id: NotRequired[str | None]
    status: NotRequired[str | None]
    recovered: NotRequired[bool | None]


class LocalShellCallOutput(TypedDict):
    """The output of a command. OpenAI's types have the call's id in `id`, its guides in `call_id`: both     are
    understood.
    """

    type: Literal["local_shell_call_output"]
    output: str
    call_id: NotRequired[str | None]
    id: NotRequired[str | None]
    status: NotRequired[str | None]
    recovered: NotRequired[bool | None]


class McpApprovalRequest(TypedDict):
    """A request for approval, which ends a response: the call waits for the client's `McpApprovalResponse`."""

    type: Literal["mcp_approval_request"]
    server_label: str
    name: str
    arguments: str
    id: NotRequired[str | None]
    status: NotRequired[str | None]
    recovered: NotRequired[bool | None]


class McpApprovalResponse(TypedDict):
    type: Literal["mcp_approval_response"]
    approval_request_id: str
    approve: bool
    reason: NotRequired[str | None]
    id: NotRequired[str | None]
    status: NotRequired[str | None]
    recovered: NotRequired[bool | None]


class McpCall(TypedDict):
    """A call of an MCP server's tool with its result. `error` is one of the SDK's three error objects."""

    type: Literal["mcp_call"]
    server_label: str
    name: str
    arguments: str
    output: NotRequired[str | None]
    error: NotRequired[Any]
    approval_request_id: NotRequired[str | None]
    id: NotRequired[str | None]
    status: NotRequired[str | None]
    recovered: NotRequired[bool | None]


class McpCallArgumentsDelta(TypedDict):
    type: Literal["response.mcp_call_arguments.delta"]
    item_id: str
    output_index: int
    delta: str
    sequence_number: int
    done: bool
    response_id: str
    stream_id: NotRequired[str]
    first_sequence_number: NotRequired[int]


class McpCallArgumentsDone(TypedDict):
    """The arguments are complete; from here on the server works."""

    type: Literal["response.mcp_call_arguments.done"]
    item_id: str
    output_index: int
    arguments: str
    sequence_number: int
    done: bool
    response_id: str
    stream_id: NotRequired[str]


class McpCallCompleted(TypedDict):
    """The item has the result."""

    type: Literal["response.mcp_call.completed"]
    item_id: str
    output_index: int
    sequence_number: int
    done: bool
    response_id: str
    stream_id: NotRequired[str]


class McpCallFailed(TypedDict):
    """The item has the error, or the call was cut off."""

    type: Literal["response.mcp_call.failed"]
    item_id: str
    output_index: int
    sequence_number: int
    done: bool
    response_id: str
    stream_id: NotRequired[str]


class McpCallInProgress(TypedDict):
    """A call of an MCP server's tool begins."""

    type: Literal["response.mcp_call.in_progress"]
    item_id: str
    output_index: int
    sequence_number: int
    done: bool
    response_id: str
    stream_id: NotRequired[str]


class McpListTools(TypedDict):
    type: Literal["mcp_list_tools"]
    server_label: str
    tools: list[McpTool]
    error: NotRequired[str | None]
    id: NotRequired[str | None]
    status: NotRequired[str | None]
    recovered: NotRequired[bool | None]


class McpListToolsCompleted(TypedDict):
    """The server has answered."""

    type: Literal["response.mcp_list_tools.completed"]
    item_id: str
    output_index: int
    sequence_number: int
    done: bool
    response_id: str
    stream_id: NotRequired[str]


class McpListToolsFailed(TypedDict):
    """The server has not answered; the item says why."""

    type: Literal["response.mcp_list_tools.failed"]
    item_id: str
    output_index: int
    sequence_number: int
    done: bool
    response_id: str
    stream_id: NotRequired[str]


class McpListToolsInProgress(TypedDict):
    """An MCP server is being asked."""

    type: Literal["response.mcp_list_tools.in_progress"]
    item_id: str
    output_index: int
    sequence_number: int
    done: bool
    response_id: str
    stream_id: NotRequired[str]


class McpTool(TypedDict):
    """A tool of an MCP server, as that server describes it."""

    name: str
    input_schema: Any
    description: NotRequired[str | None]
    annotations: NotRequired[Any]


class Message(TypedDict):
    type: Literal["message"]
    role: Literal["assistant", "developer", "system", "user"]
    content: str | list[InputText | InputImage | InputFile | OutputText | Refusal | ReasoningText | SummaryText | PlainText]
    phase: NotRequired[Literal["commentary", "final_answer"] | None]
    id: NotRequired[str | None]
    status: NotRequired[str | None]
    recovered: NotRequired[bool | None]


class OutputItemAdded(TypedDict):
    type: Literal["response.output_item.added"]
    output_index: int
    item: Message | Reasoning | FunctionCall | CustomToolCall | LocalShellCall | ShellCall | ApplyPatchCall | ToolSearchCall | McpListTools | McpCall | McpApprovalRequest | Compaction
    sequence_number: int
    done: bool
    response_id: str
    stream_id: NotRequired[str]


class OutputItemDone(TypedDict):
    type: Literal["response.output_item.done"]
    output_index: int
    item: Message | Reasoning | FunctionCall | CustomToolCall | LocalShellCall | ShellCall | ApplyPatchCall | ToolSearchCall | McpListTools | McpCall | McpApprovalRequest | Compaction
    sequence_number: int
    done: bool
    response_id: str
    stream_id: NotRequired[str]


class OutputText(TypedDict):
    type: Literal["output_text"]
    text: str
    annotations: NotRequired[list[Any]]
    logprobs: NotRequired[list[Any] | None]


class OutputTextDelta(TypedDict):
    type: Literal["response.output_text.delta"]
    item_id: str
    output_index: int
    content_index: int
    delta: str
    logprobs: list[Any]
    sequence_number: int
    done: bool
    response_id: str
    stream_id: NotRequired[str]
    first_sequence_number: NotRequired[int]


class OutputTextDone(TypedDict):
    type: Literal["response.output_text.done"]
    item_id: str
    output_index: int
    content_index: int
    text: str
    logprobs: list[Any]
    sequence_number: int
    done: bool
    response_id: str
    stream_id: NotRequired[str]


class OutputTokensDetails(TypedDict):
    reasoning_tokens: int


class PlainFormat(TypedDict):
    """Free text."""

    type: Literal["text"]


class PlainText(TypedDict):
    """A text without a direction: not in OpenAI's schema, but sent by some clients that come from Chat Completions."""

    type: Literal["text"]
    text: str


class PrefillTokens(TypedDict):
    """The tokens of a prompt that the engine has read, cached ones included, and all of them."""

    computed: int
    total: int


class Pulse(TypedDict):
    """The progress of one response. `num_ahead`, `estimated_seconds`: as in QueuePlace; the first is None, and the
    other absent, when it does not wait. `put_aside`: it waits in the middle of its answer; absent when it does
    not.     `prefill_tokens`: while a prompt is read, in several steps. `usage`: its tokens so far, from its
    first token on.
    """

    response_id: str
    status: str
    num_ahead: int | None
    idle_seconds: float
    estimated_seconds: NotRequired[int | None]
    put_aside: NotRequired[bool]
    prefill_tokens: NotRequired[PrefillTokens]
    usage: NotRequired[Usage]


class QueuePlace(TypedDict):
    """A place in the queue. `num_ahead`: responses that are likely to run before it. `estimated_seconds`: until it
    runs, a guess; None while there is nothing to guess from.
    """

    num_ahead: int
    estimated_seconds: int | None


class RateLimit(TypedDict):
    """The remainder of a minute's allowance. `reset_seconds`: until all of it is back."""

    name: Literal["requests", "tokens"]
    limit: int
    remaining: int
    reset_seconds: float


class Reasoning(TypedDict):
    type: Literal["reasoning"]
    summary: NotRequired[list[SummaryText]]
    content: NotRequired[list[ReasoningText] | None]
    encrypted_content: NotRequired[str | None]
    id: NotRequired[str | None]
    status: NotRequired[str | None]
    recovered: NotRequired[bool | None]


class ReasoningConfig(TypedDict):
    effort: str | None
    summary: str | None


class ReasoningSummaryPartAdded(TypedDict):
    type: Literal["response.reasoning_summary_part.added"]
    item_id: str
    output_index: int
    summary_index: int
    part: SummaryText
    sequence_number: int
    done: bool
    response_id: str
    stream_id: NotRequired[str]


class ReasoningSummaryPartDone(TypedDict):
    type: Literal["response.reasoning_summary_part.done"]
    item_id: str
    output_index: int
    summary_index: int
    part: SummaryText
    sequence_number: int
    done: bool
    response_id: str
    stream_id: NotRequired[str]


class ReasoningSummaryTextDelta(TypedDict):
    type: Literal["response.reasoning_summary_text.delta"]
    item_id: str
    output_index: int
    summary_index: int
    delta: str
    sequence_number: int
    done: bool
    response_id: str
    stream_id: NotRequired[str]
    first_sequence_number: NotRequired[int]


class ReasoningSummaryTextDone(TypedDict):
    type: Literal["response.reasoning_summary_text.done"]
    item_id: str
    output_index: int
    summary_index: int
    text: str
    sequence_number: int
    done: bool
    response_id: str
    stream_id: NotRequired[str]


class ReasoningText(TypedDict):
    type: Literal["reasoning_text"]
    text: str


class ReasoningTextDelta(TypedDict):
    type: Literal["response.reasoning_text.delta"]
    item_id: str
    output_index: int
    content_index: int
    delta: str
    sequence_number: int
    done: bool
    response_id: str
    stream_id: NotRequired[str]
    first_sequence_number: NotRequired[int]


class ReasoningTextDone(TypedDict):
    type: Literal["response.reasoning_text.done"]
    item_id: str
    output_index: int
    content_index: int
    text: str
    sequence_number: int
    done: bool
    response_id: str
    stream_id: NotRequired[str]


class ReasoningUpdate(TypedDict):
    effort: NotRequired[Literal["high", "low", "max", "medium", "minimal", "none", "xhigh"] | None]


class Recovery(TypedDict):
    """The way in which an answer continued after its server or its engine had ended in the middle of it.      kind:
    `exact`: as if nothing had happened; `prefix_exact`: the existing output stands, and the rest is another
    sample of the model; `failed`: it did not continue. attempts: how often it was begun or continued. reason: why
    it     did not continue.
    """

    kind: Literal["exact", "failed", "prefix_exact"]
    attempts: int
    reason: NotRequired[str]


class Refusal(TypedDict):
    type: Literal["refusal"]
    refusal: str


class RequestWarning(TypedDict):
    """A warning about something in a request that was ignored, for a native client. `param`: its place."""

    param: str
    message: str


class Response(TypedDict):
    """One response as clients see it. Nullable members are null, never absent."""

    id: str
    object: Literal["response"]
    created_at: int
    completed_at: int | None
    status: Literal["cancelled", "completed", "failed", "in_progress", "incomplete", "queued"]
    incomplete_details: IncompleteDetails | None
    error: ResponseError | None
    model: str
    previous_response_id: str | None
    instructions: str | None
    output: list[Message | Reasoning | FunctionCall | CustomToolCall | LocalShellCall | ShellCall | ApplyPatchCall | ToolSearchCall | McpListTools | McpCall | McpApprovalRequest | Compaction]
    usage: Usage | None
    tools: list[dict[str, Any]]
    tool_choice: str | dict[str, Any]
    parallel_tool_calls: bool
    max_tool_calls: int | None
    truncation: str
    text: TextConfig
    reasoning: ReasoningConfig
    temperature: float
    top_p: float
    presence_penalty: float
    frequency_penalty: float
    top_logprobs: int
    max_output_tokens: int | None
    store: bool
    background: bool
    service_tier: str
    metadata: dict[str, str]
    safety_identifier: str | None
    prompt_cache_key: str | None
    prompt_cache_retention: str | None
    moderation: None
    user: str | None
    conversation: NotRequired[ConversationRef]
    cancel: NotRequired[CancelReceipt]
    truncated: NotRequired[Truncated]
    recovery: NotRequired[Recovery]
    end_turn: NotRequired[bool]
    stop_sequence: NotRequired[str]
    request_id: NotRequired[str]
    epoch: NotRequired[str]
    tip: NotRequired[int]
    rate_limits: NotRequired[list[RateLimit]]
    input_messages: NotRequired[list[HarmonyMessage]]
    output_messages: NotRequired[list[HarmonyMessage]]
    input_token_ids: NotRequired[list[int]]
    output_token_ids: NotRequired[list[int]]


class ResponseCompleted(TypedDict):
    type: Literal["response.completed"]
    response: Response
    sequence_number: int
    done: bool
    response_id: str
    stream_id: NotRequired[str]


class ResponseCreated(TypedDict):
    type: Literal["response.created"]
    response: Response
    epoch: str
    warnings: NotRequired[list[RequestWarning]]
    sequence_number: int
    done: bool
    response_id: str
    stream_id: NotRequired[str]


class ResponseDeleted(TypedDict):
    id: str
    object: Literal["response"]
    deleted: bool


class ResponseError(TypedDict):
    """The reason why a response failed. `code` is from OpenAI's list where that has one, else from our registry."""

    code: str
    message: str
    param: NotRequired[str]


class ResponseFailed(TypedDict):
    type: Literal["response.failed"]
    response: Response
    sequence_number: int
    done: bool
    response_id: str
    stream_id: NotRequired[str]


class ResponseInProgress(TypedDict):
    type: Literal["response.in_progress"]
    response: Response
    sequence_number: int
    done: bool
    response_id: str
    stream_id: NotRequired[str]


class ResponseIncomplete(TypedDict):
    type: Literal["response.incomplete"]
    response: Response
    sequence_number: int
    done: bool
    response_id: str
    stream_id: NotRequired[str]


class ResponseInjectCreated(TypedDict):
    """The acceptance of an injection. Numbered by the connection although it has a top-level `response_id`: that is
    OpenAI's form.
    """

    type: Literal["response.inject.created"]
    sequence_number: int
    done: bool
    response_id: NotRequired[str]
    stream_id: NotRequired[str]


class ResponseInjectFailed(TypedDict):
    type: Literal["response.inject.failed"]
    input: Any
    error: InjectError
    sequence_number: int
    done: bool
    response_id: NotRequired[str]
    stream_id: NotRequired[str]


class ResponseList(TypedDict):
    """A page of responses."""

    object: Literal["list"]
    data: list[ListedResponse]
    first_id: str | None
    last_id: str | None
    has_more: bool


class ResponseQueued(TypedDict):
    type: Literal["response.queued"]
    response: Response
    queue: NotRequired[QueuePlace]
    sequence_number: int
    done: bool
    response_id: str
    stream_id: NotRequired[str]


class ResponseSteerAccepted(TypedDict):
    """The server holds the input; the successor's `response.created` says that it is applied."""

    type: Literal["response.steer.accepted"]
    steer: SteerRef
    sequence_number: int
    done: bool
    response_id: NotRequired[str]
    stream_id: NotRequired[str]


class ResponseSteerFailed(TypedDict):
    type: Literal["response.steer.failed"]
    error: SteerError
    steer: FailedSteer
    sequence_number: int
    done: bool
    response_id: NotRequired[str]
    stream_id: NotRequired[str]


class ResponseSteerPending(TypedDict):
    """The response waits for its client: the next create that continues it in its lane gets the input too."""

    type: Literal["response.steer.pending"]
    steer: SteerRef
    required_input: list[dict[str, Any]]
    reason: str
    sequence_number: int
    done: bool
    response_id: NotRequired[str]
    stream_id: NotRequired[str]


class ResponseTruncated(TypedDict):
    """The answer to `response.truncate`: the response as it is retrieved from now on."""

    type: Literal["response.truncated"]
    response: Response
    event_id: NotRequired[str]
    sequence_number: int
    done: bool
    response_id: NotRequired[str]
    stream_id: NotRequired[str]


class SessionHeartbeat(TypedDict):
    type: Literal["session.heartbeat"]
    heartbeat: Heartbeat
    sequence_number: int
    done: bool
    response_id: NotRequired[str]
    stream_id: NotRequired[str]


class SessionState(TypedDict):
    heartbeat_seconds: float
    catch_up: NotRequired[str]


class SessionUpdated(TypedDict):
    type: Literal["session.updated"]
    session: SessionState
    sequence_number: int
    done: bool
    response_id: NotRequired[str]
    stream_id: NotRequired[str]


class ShellAction(TypedDict):
    """Commands for a shell, in order."""

    commands: list[str]
    timeout_ms: NotRequired[int | None]
    max_output_length: NotRequired[int | None]


class ShellCall(TypedDict):
    type: Literal["shell_call"]
    call_id: str
    action: ShellAction
    environment: NotRequired[dict[str, Any] | None]
    id: NotRequired[str | None]
    status: NotRequired[str | None]
    recovered: NotRequired[bool | None]


class ShellCallCommandAdded(TypedDict):
    """`item_id` is ours in the events of commands; OpenAI's have the index alone."""

    type: Literal["response.shell_call_command.added"]
    item_id: str
    output_index: int
    command_index: int
    command: str
    sequence_number: int
    done: bool
    response_id: str
    stream_id: NotRequired[str]


class ShellCallCommandDelta(TypedDict):
    type: Literal["response.shell_call_command.delta"]
    item_id: str
    output_index: int
    command_index: int
    delta: str
    sequence_number: int
    done: bool
    response_id: str
    stream_id: NotRequired[str]
    first_sequence_number: NotRequired[int]


class ShellCallCommandDone(TypedDict):
    type: Literal["response.shell_call_command.done"]
    item_id: str
    output_index: int
    command_index: int
    command: str
    sequence_number: int
    done: bool
    response_id: str
    stream_id: NotRequired[str]


class ShellCallOutput(TypedDict):
    type: Literal["shell_call_output"]
    call_id: str
    output: list[ShellOutput]
    max_output_length: NotRequired[int | None]
    id: NotRequired[str | None]
    status: NotRequired[str | None]
    recovered: NotRequired[bool | None]


class ShellExit(TypedDict):
    """The outcome of a command that ended."""

    type: Literal["exit"]
    exit_code: int


class ShellOutput(TypedDict):
    """The output of one command, and its outcome."""

    stdout: str
    stderr: str
    outcome: ShellTimeout | ShellExit


class ShellTimeout(TypedDict):
    """The outcome of a command that was stopped at its time limit."""

    type: Literal["timeout"]


class SteerError(TypedDict):
    code: str
    message: str
    type: str


class SteerRef(TypedDict):
    """The steered response. `previous_response_id`: its id, as the client named it."""

    id: str
    previous_response_id: str


class StreamError(TypedDict):
    """An error in a stream over HTTP, for both kinds of readers: OpenAI's take the flat members, others the nested."""

    type: Literal["error"]
    code: str
    message: str
    param: str | None
    error: ErrorBody
    sequence_number: int
    done: bool
    response_id: str
    stream_id: NotRequired[str]


class SummaryText(TypedDict):
    type: Literal["summary_text"]
    text: str


class SystemContent(TypedDict):
    """The parts of the system message; null leaves a line out."""

    type: Literal["system_content"]
    model_identity: NotRequired[str | None]
    reasoning_effort: NotRequired[Literal["High", "Low", "Medium"] | None]
    conversation_start_date: NotRequired[str | None]
    knowledge_cutoff: NotRequired[str | None]
    channel_config: NotRequired[ChannelConfig | None]
    tools: NotRequired[dict[str, HarmonyNamespace] | None]


class TextConfig(TypedDict):
    format: PlainFormat | JsonObjectFormat | JsonSchemaFormat
    verbosity: NotRequired[str]


class TextUpdate(TypedDict):
    format: PlainFormat | JsonObjectFormat | JsonSchemaFormat


class Ticket(TypedDict):
    """A ticket with which a page can follow one response. `sub_protocol`: to be offered next to `realtime.v1`."""

    object: Literal["response.ticket"]
    ticket: str
    role: Literal["full", "viewer"]
    expires_at: int
    sub_protocol: str


class ToolSearchCall(TypedDict):
    type: Literal["tool_search_call"]
    arguments: Any
    call_id: NotRequired[str | None]
    execution: NotRequired[Literal["client", "server"]]
    id: NotRequired[str | None]
    status: NotRequired[str | None]
    recovered: NotRequired[bool | None]


class ToolSearchOutput(TypedDict):
    """The tools that a search found. From here on the model has them."""

    type: Literal["tool_search_output"]
    tools: list[dict[str, Any]]
    call_id: NotRequired[str | None]
    execution: NotRequired[Literal["client", "server"]]
    id: NotRequired[str | None]
    status: NotRequired[str | None]
    recovered: NotRequired[bool | None]


class Truncated(TypedDict):
    """The place where an answer was cut. `through`: the last event of which anything is kept."""

    through: int


class UpdateFile(TypedDict):
    type: Literal["update_file"]
    path: str
    diff: str


class Usage(TypedDict):
    """Tokens of one response; `output_tokens` includes reasoning."""

    input_tokens: int
    input_tokens_details: InputTokensDetails
    output_tokens: int
    output_tokens_details: OutputTokensDetails
    total_tokens: int


class WebSearchCall(TypedDict):
    type: Literal["web_search_call"]
    action: NotRequired[Any]
    id: NotRequired[str | None]
    status: NotRequired[str | None]
    recovered: NotRequired[bool | None]


ResponseEvent = (
    ResponseCreated
    | ResponseQueued
    | ResponseInProgress
    | ResponseCompleted
    | ResponseIncomplete
    | ResponseFailed
    | OutputItemAdded
    | OutputItemDone
    | ContentPartAdded
    | ContentPartDone
    | OutputTextDelta
    | ReasoningTextDelta
    | ReasoningSummaryTextDelta
    | FunctionCallArgumentsDelta
    | CustomToolCallInputDelta
    | ShellCallCommandDelta
    | McpCallArgumentsDelta
    | OutputTextDone
    | ReasoningTextDone
    | ReasoningSummaryPartAdded
    | ReasoningSummaryPartDone
    | ReasoningSummaryTextDone
    | FunctionCallArgumentsDone
    | CustomToolCallInputDone
    | CompactionCompacting
    | ShellCallCommandAdded
    | ShellCallCommandDone
    | McpListToolsInProgress
    | McpListToolsCompleted
    | McpListToolsFailed
    | McpCallInProgress
    | McpCallArgumentsDone
    | McpCallCompleted
    | McpCallFailed
    | StreamError
)


OutputItem = (
    Message
    | Reasoning
    | FunctionCall
    | CustomToolCall
    | LocalShellCall
    | ShellCall
    | ApplyPatchCall
    | ToolSearchCall
    | McpListTools
    | McpCall
    | McpApprovalRequest
    | Compaction
)
