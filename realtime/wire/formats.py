"""What an answer must look like: `text.format` and the reasoning's effort, as they are asked for and echoed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta


class Format(msgspec.Struct, tag_field="type", kw_only=True):
    """Base."""


class PlainFormat(Format, tag="text"):
    """Whatever the model writes."""


class JsonObjectFormat(Format, tag="json_object"):
    """One JSON object, whatever is in it."""


class JsonSchemaFormat(Format, tag="json_schema"):
    """JSON by a schema. It is held to the schema whatever `strict` says."""

    name: Annotated[str, Meta(min_length=1, max_length=512)]
    schema: dict[str, Any]
    description: str | None = None
    strict: bool | None = None


TextFormat = PlainFormat | JsonObjectFormat | JsonSchemaFormat

ReasoningEffort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
