"""Limits on what a client may constrain sampling to, as an operator sets them; `bounds` measures by them. Pure."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

KIB = 1 << 10


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits: how much a request may have, and have sampling held to.

    Those of schemas count what is reached from the root, each definition once. The defaults are OpenAI's where the
    compiler of grammars takes that much in about a second, and smaller elsewhere.
    """

    max_tools: Annotated[int, Meta(ge=1, le=10_000, description="tools of one request")] = 1024
    max_schema_bytes: Annotated[int, Meta(ge=KIB, description="size of one JSON schema that is held to")] = 256 * KIB
    max_request_schema_bytes: Annotated[
        int, Meta(ge=KIB, description="size of all schemas of one request that are held to")
    ] = 1024 * KIB
    max_schema_depth: Annotated[
        int, Meta(ge=8, le=512, description="levels of a schema, with its references followed")
    ] = 64
    max_recursive_schema_depth: Annotated[
        int, Meta(ge=8, le=4096, description="levels in definitions of a schema that refer to each other")
    ] = 512
    max_schema_properties: Annotated[int, Meta(ge=1, description="properties in one schema")] = 5000
    max_optional_properties: Annotated[int, Meta(ge=1, description="optional properties in one schema")] = 300
    max_counted_properties: Annotated[
        int, Meta(ge=1, description="optional properties beside `minProperties` or `maxProperties` in one request")
    ] = 64
    max_enum_values: Annotated[int, Meta(ge=1, description="values in the enums of one schema")] = 1000
    max_enum_chars: Annotated[int, Meta(ge=1, description="characters in the values of enums of one schema")] = 60_000
    max_pattern_chars: Annotated[int, Meta(ge=1, description="characters in one `pattern` of a schema")] = 4096
    max_pattern_groups: Annotated[int, Meta(ge=1, le=512, description="levels of groups in a `pattern`")] = 32
    max_pattern_repeat: Annotated[int, Meta(ge=1, description="repeats in a `pattern`")] = 128
    max_pattern_steps: Annotated[
        int, Meta(ge=1, description="characters in all patterns of one request, with repeats written out")
    ] = 16_384
    max_grammar_chars: Annotated[int, Meta(ge=1, description="characters in all grammars of one request")] = 131_072
    max_grammar_groups: Annotated[int, Meta(ge=1, le=512, description="levels of groups in a grammar")] = 64
    max_grammar_repeat: Annotated[int, Meta(ge=1, description="repeats in a grammar")] = 1024
    max_grammar_steps: Annotated[int, Meta(ge=1, description="elements in a grammar with all repeats written out")] = (
        16_384
    )


DEFAULT = Limits()
