"""Harmony messages as clients hold them: gpt-oss's own input and output, unchanged.

The JSON is that of `openai_harmony.Message.to_dict`, and `from_dict` reads it; the nested `author` of its constructor
is accepted too. `call_id` is ours: it ties a tool's output to its call, for which Harmony itself has no name.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

Role = Literal["user", "assistant", "system", "developer", "tool"]
Word = Annotated[str, Meta(max_length=256)]  # what stands in a message's header


class HarmonyTool(msgspec.Struct, kw_only=True):
    """A function. `parameters`: its JSON schema."""

    name: Word
    description: str = ""
    parameters: dict[str, Any] | None = None


class HarmonyNamespace(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A namespace: functions under one name."""

    name: Word
    description: str | None = None
    tools: list[HarmonyTool] = []


class ChannelConfig(msgspec.Struct, kw_only=True):
    """The channels that the system message names."""

    valid_channels: list[Word]
    channel_required: bool = True


class HarmonyText(msgspec.Struct, tag_field="type", tag="text", kw_only=True):
    text: str


class SystemContent(msgspec.Struct, tag_field="type", tag="system_content", kw_only=True):
    """The parts of the system message; null leaves a line out."""

    model_identity: str | None = None
    reasoning_effort: Literal["Low", "Medium", "High"] | None = None
    conversation_start_date: str | None = None
    knowledge_cutoff: str | None = None
    channel_config: ChannelConfig | None = None
    tools: dict[str, HarmonyNamespace] | None = None


class DeveloperContent(msgspec.Struct, tag_field="type", tag="developer_content", kw_only=True):
    """Instructions and tools."""

    instructions: str | None = None
    tools: dict[str, HarmonyNamespace] | None = None


class Author(msgspec.Struct):
    role: Role
    name: Word | None = None


class HarmonyMessage(msgspec.Struct, tag_field="type", tag="harmony_message", kw_only=True):
    """One message. It has a place in the history like an item, but only a Harmony model can be shown it."""

    author: Author | UnsetType = UNSET
    role: Role | UnsetType = UNSET
    name: Word | UnsetType | None = UNSET
    channel: Word | UnsetType | None = UNSET
    recipient: Word | UnsetType | None = UNSET
    content_type: Word | UnsetType | None = UNSET
    content: str | list[HarmonyText | SystemContent | DeveloperContent]
    call_id: Word | UnsetType | None = UNSET

    def __post_init__(self) -> None:
        """Convert the nested form to the flat one."""
        if self.author is not UNSET:
            self.role, self.name = self.author.role, self.author.name or UNSET
            self.author = UNSET
        if self.role is UNSET:
            raise ValueError("`role` is required")

    @property
    def is_call(self) -> bool:
        """Return whether the assistant calls a tool here."""
        return self.role == "assistant" and bool(self.recipient) and self.recipient not in ("assistant", "all")

    @property
    def text(self) -> str:
        """Return all of its text."""
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content if isinstance(part, HarmonyText))

    @property
    def instructions(self) -> str:
        """Return the instructions in a developer message."""
        return "".join(part.instructions or "" for part in self.content if isinstance(part, DeveloperContent))

    @property
    def num_tools(self) -> int:
        """Return the number of its functions."""
        told = (part.tools or {} for part in self.content if isinstance(part, SystemContent | DeveloperContent))
        return sum(len(namespace.tools) for tools in told for namespace in tools.values())
