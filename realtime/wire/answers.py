"""Answers over HTTP that are no Response: lists, counts, receipts, and what the server says of itself."""

from __future__ import annotations

from typing import Literal

import msgspec

from .items import Item


class InputItemList(msgspec.Struct, kw_only=True):
    """One page of a response's input items."""

    object: Literal["list"] = "list"
    data: list[Item]  # of the types in ITEM_TYPES
    first_id: str | None
    last_id: str | None
    has_more: bool


class ResponseDeleted(msgspec.Struct, kw_only=True):
    id: str
    object: Literal["response"] = "response"
    deleted: bool = True


class InputTokens(msgspec.Struct, kw_only=True):
    object: Literal["response.input_tokens"] = "response.input_tokens"
    input_tokens: int


class Model(msgspec.Struct, kw_only=True):
    id: str
    object: Literal["model"] = "model"
    created: int  # unix seconds
    owned_by: str = "realtime"


class ModelList(msgspec.Struct, kw_only=True):
    object: Literal["list"] = "list"
    data: list[Model]


class Health(msgspec.Struct):
    status: Literal["ok"] = "ok"


class Readiness(msgspec.Struct, kw_only=True):
    """Whether a response can be created now, and what the server holds."""

    ready: bool
    engine: str
    since: float
    draining: bool
    num_restarts: int
    engine_running: int
    engine_waiting: int
    responses: int
    connections: int
    requests: int
