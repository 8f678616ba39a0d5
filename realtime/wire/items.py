"""Items and content parts: the elements of a conversation, on the wire and in the history.

One struct per item type serves input and output, so that an output item sent back as input is the same value. Optional
members of items are absent rather than null (Open Responses rejects null), hence UNSET. Source of the fields:
`openai/types/responses`.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import msgspec
from msgspec import UNSET, UnsetType

from .formats import ReasoningEffort, TextFormat
from .harmony import HarmonyMessage

ItemStatus = Literal["in_progress", "completed", "incomplete"]
Role = Literal["user", "assistant", "system", "developer"]
Phase = Literal["commentary", "final_answer"]


class Part(msgspec.Struct, tag_field="type", kw_only=True):
    """Base class of content parts."""


class InputText(Part, tag="input_text"):
    text: str


class InputImage(Part, tag="input_image", dict=True):
    """An image. Its picture is attached when it has been loaded (see `engine.pictures`), and is never encoded."""

    image_url: str | UnsetType | None = UNSET
    file_id: str | UnsetType | None = UNSET
    detail: str | UnsetType | None = UNSET


class InputFile(Part, tag="input_file"):
    file_id: str | UnsetType | None = UNSET
    file_data: str | UnsetType | None = UNSET
    file_url: str | UnsetType | None = UNSET
    filename: str | UnsetType | None = UNSET


class OutputText(Part, tag="output_text"):
    text: str
    annotations: list[Any] = []
    logprobs: list[Any] | None = []


class Refusal(Part, tag="refusal"):
    refusal: str


class ReasoningText(Part, tag="reasoning_text"):
    text: str


class SummaryText(Part, tag="summary_text"):
    text: str


class PlainText(Part, tag="text"):
    """A text without a direction: not in OpenAI's schema, but sent by some clients that come from Chat Completions."""

    text: str


ContentPart = InputText | InputImage | InputFile | OutputText | Refusal | ReasoningText | SummaryText | PlainText


class Item(msgspec.Struct, tag_field="type", kw_only=True):
    """Base class of items. `id` is ours on output; on input any id, or none, is accepted. `recovered` is ours: the
    model's markup around the item was malformed, and its text was saved.
    """

    id: str | UnsetType | None = UNSET
    status: str | UnsetType | None = UNSET
    recovered: bool | UnsetType | None = UNSET


class Message(Item, tag="message"):
    role: Role
    content: str | list[ContentPart]
    phase: Phase | UnsetType | None = UNSET


class Reasoning(Item, tag="reasoning"):
    summary: list[SummaryText] = []
    content: list[ReasoningText] | UnsetType | None = UNSET
    encrypted_content: str | UnsetType | None = UNSET


class FunctionCall(Item, tag="function_call"):
    call_id: str
    name: str
    arguments: str
    namespace: str | UnsetType | None = UNSET
    channel: str | UnsetType | None = UNSET  # ours: the Harmony channel of a call, if it is not `commentary`


class FunctionCallOutput(Item, tag="function_call_output"):
    call_id: str
    output: str | list[ContentPart]


class CustomToolCall(Item, tag="custom_tool_call"):
    call_id: str
    name: str
    input: str
    namespace: str | UnsetType | None = UNSET
    channel: str | UnsetType | None = UNSET


class CustomToolCallOutput(Item, tag="custom_tool_call_output"):
    call_id: str
    output: str | list[ContentPart]


# -- calls that the client runs, in item types of their own


class LocalShellAction(msgspec.Struct, tag_field="type", tag="exec", kw_only=True, omit_defaults=True):
    """One command, as its words; no shell interprets it."""

    command: list[str]
    env: dict[str, str] | UnsetType = UNSET  # always there on output: the SDK requires it
    timeout_ms: int | None = None
    user: str | None = None
    working_directory: str | None = None


class LocalShellCall(Item, tag="local_shell_call"):
    call_id: str
    action: LocalShellAction


class LocalShellCallOutput(Item, tag="local_shell_call_output"):
    """The output of a command. OpenAI's types have the call's id in `id`, its guides in `call_id`: both
    are understood.
    """

    output: str
    call_id: str | UnsetType | None = UNSET


class ShellAction(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Commands for a shell, in order."""

    commands: list[str]
    timeout_ms: int | None = None
    max_output_length: int | None = None  # characters of stdout and stderr together


class ShellCall(Item, tag="shell_call"):
    call_id: str
    action: ShellAction
    environment: dict[str, Any] | UnsetType | None = UNSET


class ShellTimeout(msgspec.Struct, tag_field="type", tag="timeout"):
    """The outcome of a command that was stopped at its time limit."""


class ShellExit(msgspec.Struct, tag_field="type", tag="exit", kw_only=True):
    """The outcome of a command that ended."""

    exit_code: int


class ShellOutput(msgspec.Struct, kw_only=True):
    """The output of one command, and its outcome."""

    stdout: str
    stderr: str
    outcome: ShellTimeout | ShellExit


class ShellCallOutput(Item, tag="shell_call_output"):
    call_id: str
    output: list[ShellOutput]
    max_output_length: int | UnsetType | None = UNSET


class PatchOperation(msgspec.Struct, tag_field="type", kw_only=True):
    """Base class of operations on one file. `path` is relative to the workspace."""


class CreateFile(PatchOperation, tag="create_file"):
    path: str
    diff: str


class UpdateFile(PatchOperation, tag="update_file"):
    path: str
    diff: str


class DeleteFile(PatchOperation, tag="delete_file"):
    path: str


class ApplyPatchCall(Item, tag="apply_patch_call"):
    call_id: str
    operation: CreateFile | UpdateFile | DeleteFile


class ApplyPatchCallOutput(Item, tag="apply_patch_call_output"):
    """The result of a patch. `status`: whether it could be applied (`completed`, `failed`). `output`: a
    text about it.
    """

    call_id: str
    output: str | UnsetType | None = UNSET


class ToolSearchCall(Item, tag="tool_search_call"):
    arguments: Any
    call_id: str | UnsetType | None = UNSET
    execution: Literal["server", "client"] | UnsetType = UNSET


class ToolSearchOutput(Item, tag="tool_search_output"):
    """The tools that a search found. From here on the model has them."""

    tools: list[dict[str, Any]]
    call_id: str | UnsetType | None = UNSET
    execution: Literal["server", "client"] | UnsetType = UNSET


# -- MCP


class McpTool(msgspec.Struct, kw_only=True):
    """A tool of an MCP server, as that server describes it."""

    name: str
    input_schema: Any
    description: str | UnsetType | None = UNSET
    annotations: Any = UNSET


class McpListTools(Item, tag="mcp_list_tools"):
    server_label: str
    tools: list[McpTool]
    error: str | UnsetType | None = UNSET


class McpCall(Item, tag="mcp_call"):
    """A call of an MCP server's tool with its result. `error` is one of the SDK's three error objects."""

    server_label: str
    name: str
    arguments: str
    output: str | UnsetType | None = UNSET
    error: Any = UNSET
    approval_request_id: str | UnsetType | None = UNSET


class McpApprovalRequest(Item, tag="mcp_approval_request"):
    """A request for approval, which ends a response: the call waits for the client's `McpApprovalResponse`."""

    server_label: str
    name: str
    arguments: str


class McpApprovalResponse(Item, tag="mcp_approval_response"):
    approval_request_id: str
    approve: bool
    reason: str | UnsetType | None = UNSET


# -- compaction


class Compaction(Item, tag="compaction"):
    """The remains of a conversation that was made shorter."""

    encrypted_content: str


class CompactionTrigger(Item, tag="compaction_trigger"):
    """A request to make the items before it shorter; the last item of an input."""


# -- of the request rather than of the conversation


class ItemReference(Item, tag="item_reference"):
    """A reference to the item with this `id`, which the server has."""


class AdditionalTools(Item, tag="additional_tools"):
    """More tools. From here on the model has them."""

    tools: list[dict[str, Any]]
    role: str | UnsetType | None = UNSET


class ReasoningUpdate(msgspec.Struct, kw_only=True):
    effort: ReasoningEffort | UnsetType | None = UNSET


class TextUpdate(msgspec.Struct, kw_only=True):
    format: TextFormat


class ConfigurationUpdate(Item, tag="configuration_update"):
    """Other settings from here on, until a later update replaces them."""

    reasoning: ReasoningUpdate | UnsetType | None = UNSET
    text: TextUpdate | UnsetType | None = UNSET


# -- what OpenAI's service ran: kept as it came, and no part of what the model is shown


class HostedItem(Item):
    """Base class of items of tools that this server does not have. Their members may hold anything."""


class WebSearchCall(HostedItem, tag="web_search_call"):
    action: Any = UNSET


class FileSearchCall(HostedItem, tag="file_search_call"):
    queries: Any = UNSET
    results: Any = UNSET


class CodeInterpreterCall(HostedItem, tag="code_interpreter_call"):
    code: Any = UNSET
    container_id: Any = UNSET
    outputs: Any = UNSET


class ImageGenerationCall(HostedItem, tag="image_generation_call"):
    result: Any = UNSET
    revised_prompt: Any = UNSET
    action: Any = UNSET
    background: Any = UNSET
    output_format: Any = UNSET
    quality: Any = UNSET
    size: Any = UNSET
    error: Any = UNSET


class ComputerCall(HostedItem, tag="computer_call"):
    call_id: Any = UNSET
    action: Any = UNSET
    actions: Any = UNSET
    pending_safety_checks: Any = UNSET


class ComputerCallOutput(HostedItem, tag="computer_call_output"):
    call_id: Any = UNSET
    output: Any = UNSET
    acknowledged_safety_checks: Any = UNSET


ClientCall = LocalShellCall | ShellCall | ApplyPatchCall | ToolSearchCall
ClientCallOutput = LocalShellCallOutput | ShellCallOutput | ApplyPatchCallOutput | ToolSearchOutput
AnswerableCall = FunctionCall | CustomToolCall | ClientCall | McpApprovalRequest  # the client is to answer it
McpItem = McpListTools | McpCall | McpApprovalRequest | McpApprovalResponse
Hosted = WebSearchCall | FileSearchCall | CodeInterpreterCall | ImageGenerationCall | ComputerCall | ComputerCallOutput
AnyItem = (
    Message | Reasoning | FunctionCall | FunctionCallOutput | CustomToolCall | CustomToolCallOutput
    | ClientCall | ClientCallOutput | McpItem | Compaction | CompactionTrigger
    | ItemReference | AdditionalTools | ConfigurationUpdate | Hosted
)  # fmt: skip
InputItem = AnyItem | HarmonyMessage
OutputItem = (
    Message | Reasoning | FunctionCall | CustomToolCall | ClientCall
    | McpListTools | McpCall | McpApprovalRequest | Compaction
)  # fmt: skip


def kind_of(item: type[InputItem] | InputItem) -> str:
    """Return the `type` that an item, or every item of a class, has on the wire."""
    return str(item.__struct_config__.tag)


_KINDS: tuple[type[AnyItem], ...] = get_args(AnyItem)
ITEM_TYPES = {kind_of(kind): kind for kind in _KINDS}  # what a client may send in a list of items


def id_of(item: InputItem) -> str | None:
    """Return the id by which an item can be referred to; held messages and many items on input have none."""
    return item.id if isinstance(item, Item) and isinstance(item.id, str) else None
