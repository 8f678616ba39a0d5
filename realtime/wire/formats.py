"""The format of an answer, as it is requested and echoed: `text.format`, and the reasoning's effort."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta


class Format(msgspec.Struct, tag_field="type", kw_only=True):
    """Base class of formats."""


class PlainFormat(Format, tag="text"):
    """Free text."""


class JsonObjectFormat(Format, tag="json_object"):
    """One JSON object of any content."""


class JsonSchemaFormat(Format, tag="json_schema"):
    """JSON by a schema. The schema is enforced whatever `strict` says."""

    name: Annotated[str, Meta(min_length=1, max_length=512)]
    schema: dict[str, Any]
    description: str | None = None
    strict: bool | None = None


TextFormat = PlainFormat | JsonObjectFormat | JsonSchemaFormat

ReasoningEffort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
