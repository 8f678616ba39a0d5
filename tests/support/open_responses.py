"""The contract of Open Responses (openresponses.org, version 2026-04-24) as JSON schemas, stricter than its own.

A stream has the 24 event types of that contract and no other. Members that may be null are there; members that may be
absent are never null. Beyond the contract only the members in the tables OURS are let through, so that a new one
is a decision and not an accident.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

import jsonschema
from jsonschema.protocols import Validator

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
INT: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
BOOL: Schema = {"type": "boolean"}
MAP: Schema = {"type": "object"}
LIST: Schema = {"type": "array"}


def one_of(*values: str) -> Schema:
    """One of these strings."""
    return {"type": "string", "enum": list(values)}


def some(*schemas: Schema) -> Schema:
    """Whatever fits one of these."""
    return {"anyOf": list(schemas)}


def or_null(schema: Schema) -> Schema:
    """This, or null; the member is there either way."""
    return some(schema, {"type": "null"})


def listed(schema: Schema) -> Schema:
    """A list of these."""
    return {"type": "array", "items": schema}


def record(members: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    """An object with all of these members, perhaps some of those, and nothing else."""
    properties = {**members, **(optional or {})}
    return {"type": "object", "properties": properties, "required": list(members), "additionalProperties": False}


# -- items

_OUTPUT_TEXT = record({"type": one_of("output_text"), "text": TEXT, "annotations": LIST, "logprobs": LIST})
_REFUSAL = record({"type": one_of("refusal"), "refusal": TEXT})
_REASONING_TEXT = record({"type": one_of("reasoning_text"), "text": TEXT})
_SUMMARY_TEXT = record({"type": one_of("summary_text"), "text": TEXT})
_INPUT_TEXT = record({"type": one_of("input_text"), "text": TEXT})
_STATUS = one_of("in_progress", "completed", "incomplete")

_MESSAGE = record(
    {
        "type": one_of("message"),
        "id": TEXT,
        "status": _STATUS,
        "role": one_of("user", "assistant", "system", "developer"),
        "content": listed(some(_OUTPUT_TEXT, _REFUSAL, _INPUT_TEXT)),
    },
    {"phase": one_of("commentary", "final_answer")},
)
_REASONING = record(
    {"type": one_of("reasoning"), "id": TEXT, "summary": listed(_SUMMARY_TEXT)},
    {"content": listed(_REASONING_TEXT), "encrypted_content": TEXT, "status": _STATUS},
)
_FUNCTION_CALL = record(
    {"type": one_of("function_call"), "id": TEXT, "call_id": TEXT, "name": TEXT, "arguments": TEXT, "status": _STATUS}
)
_COMPACTION = record({"type": one_of("compaction"), "id": TEXT, "encrypted_content": TEXT}, {"status": _STATUS})
ITEM = some(_MESSAGE, _REASONING, _FUNCTION_CALL, _COMPACTION)

# -- the Response

USAGE = record(
    {
        "input_tokens": INT,
        "input_tokens_details": record({"cached_tokens": INT, "cache_write_tokens": INT}),
        "output_tokens": INT,
        "output_tokens_details": record({"reasoning_tokens": INT}),
        "total_tokens": INT,
    }
)
_FUNCTION = record(
    {
        "type": one_of("function"),
        "name": TEXT,
        "description": or_null(TEXT),
        "parameters": or_null(MAP),
        "strict": or_null(BOOL),
    }
)
_JSON_SCHEMA = record(
    {"type": one_of("json_schema"), "name": TEXT, "description": or_null(TEXT), "schema": MAP, "strict": BOOL}
)
_FORMAT = some(record({"type": one_of("text")}), record({"type": one_of("json_object")}), _JSON_SCHEMA)
_NAMED = record({"type": one_of("function"), "name": TEXT})
_CHOICE = one_of("none", "auto", "required")
RESPONSE_OURS = {"prompt_cache_retention": or_null(TEXT), "moderation": {"type": "null"}, "user": or_null(TEXT)}
RESPONSE = record(
    {
        "id": TEXT,
        "object": one_of("response"),
        "created_at": INT,
        "completed_at": or_null(INT),
        "status": one_of("queued", "in_progress", "completed", "incomplete", "failed", "cancelled"),
        "incomplete_details": or_null(record({"reason": TEXT})),
        "model": TEXT,
        "previous_response_id": or_null(TEXT),
        "instructions": or_null(TEXT),
        "output": listed(ITEM),
        "error": or_null(record({"code": TEXT, "message": TEXT})),
        "tools": listed(_FUNCTION),
        "tool_choice": some(
            _CHOICE,
            _NAMED,
            record({"type": one_of("allowed_tools"), "mode": _CHOICE, "tools": listed(_NAMED)}),
        ),
        "truncation": one_of("auto", "disabled"),
        "parallel_tool_calls": BOOL,
        "text": record({"format": _FORMAT}, {"verbosity": one_of("low", "medium", "high")}),
        "top_p": NUMBER,
        "presence_penalty": NUMBER,
        "frequency_penalty": NUMBER,
        "top_logprobs": INT,
        "temperature": NUMBER,
        "reasoning": or_null(record({"effort": or_null(TEXT), "summary": or_null(TEXT)})),
        "usage": or_null(USAGE),
        "max_output_tokens": or_null(INT),
        "max_tool_calls": or_null(INT),
        "store": BOOL,
        "background": BOOL,
        "service_tier": TEXT,
        "metadata": MAP,
        "safety_identifier": or_null(TEXT),
        "prompt_cache_key": or_null(TEXT),
        **RESPONSE_OURS,
    }
)
COMPACTED = record(
    {
        "id": TEXT,
        "object": one_of("response.compaction"),
        "created_at": INT,
        "output": listed(ITEM),
        "usage": USAGE,
    }
)

# -- the closed set of events

_IN_ITEM = {"item_id": TEXT, "output_index": INT}
_IN_PART = {**_IN_ITEM, "content_index": INT}
_IN_SUMMARY = {**_IN_ITEM, "summary_index": INT}
_IN_ITEM_ITSELF = {"output_index": INT, "item": ITEM}
_PART = some(_OUTPUT_TEXT, _REFUSAL, _REASONING_TEXT)
_ERROR = {"type": TEXT, "code": TEXT, "message": TEXT, "param": or_null(TEXT)}

EVENTS: dict[str, dict[str, Schema]] = {
    "response.created": {"response": RESPONSE, "epoch": TEXT},
    "response.queued": {"response": RESPONSE},
    "response.in_progress": {"response": RESPONSE},
    "response.completed": {"response": RESPONSE},
    "response.incomplete": {"response": RESPONSE},
    "response.failed": {"response": RESPONSE},
    "response.output_item.added": _IN_ITEM_ITSELF,
    "response.output_item.done": _IN_ITEM_ITSELF,
    "response.content_part.added": {**_IN_PART, "part": _PART},
    "response.content_part.done": {**_IN_PART, "part": _PART},
    "response.output_text.delta": {**_IN_PART, "delta": TEXT, "logprobs": LIST},
    "response.output_text.done": {**_IN_PART, "text": TEXT, "logprobs": LIST},
    "response.output_text.annotation.added": {**_IN_PART, "annotation_index": INT, "annotation": MAP},
    "response.refusal.delta": {**_IN_PART, "delta": TEXT},
    "response.refusal.done": {**_IN_PART, "refusal": TEXT},
    "response.function_call_arguments.delta": {**_IN_ITEM, "delta": TEXT},
    "response.function_call_arguments.done": {**_IN_ITEM, "name": TEXT, "arguments": TEXT},
    "response.reasoning_summary_part.added": {**_IN_SUMMARY, "part": _SUMMARY_TEXT},
    "response.reasoning_summary_part.done": {**_IN_SUMMARY, "part": _SUMMARY_TEXT},
    "response.reasoning_summary_text.delta": {**_IN_SUMMARY, "delta": TEXT},
    "response.reasoning_summary_text.done": {**_IN_SUMMARY, "text": TEXT},
    "response.reasoning.delta": {**_IN_PART, "delta": TEXT},
    "response.reasoning.done": {**_IN_PART, "text": TEXT},
    "error": {"status": INT, "error": record({**_ERROR, "retry": BOOL}, {"retry_after": NUMBER, "response_id": TEXT})},
}
EVENT_OURS = {"done": BOOL}


# -- the order, as a regular expression over types

_MESSAGE_PARTS = (
    "(content_part.added (output_text.delta |output_text.annotation.added )*output_text.done content_part.done "
    "|content_part.added (refusal.delta )*refusal.done content_part.done )+"
)
_SUMMARIES = (
    "(reasoning_summary_part.added (reasoning_summary_text.delta )*"
    "reasoning_summary_text.done reasoning_summary_part.done )*"
)
_RAW = "(content_part.added (reasoning.delta )*reasoning.done content_part.done )*"
_ARGUMENTS = "(function_call_arguments.delta )*function_call_arguments.done "
_ITEM = f"output_item.added (({_MESSAGE_PARTS}|{_SUMMARIES}{_RAW}|{_ARGUMENTS}))output_item.done "
_STREAM = f"created (queued )?in_progress ({_ITEM})*(completed|incomplete|failed) "
_ORDER = re.compile(_STREAM.replace(".", r"\."))


def check_stream(events: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """All events of one response: each of the contract, in its order, saying the same; the terminal's Response."""
    for event in events:
        check_event(event)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    kinds = [event["type"].removeprefix("response.") for event in events]
    assert _ORDER.fullmatch("".join(f"{kind} " for kind in kinds)), kinds
    final: dict[str, Any] = events[-1]["response"]
    done = [event for event in events if event["type"] == "response.output_item.done"]
    assert [event["output_index"] for event in done] == list(range(len(done)))
    assert [event["item"] for event in done] == final["output"]
    for event in done:
        assert _said(events, event["item"]["id"]) == _text(event["item"])
    assert final["usage"]["total_tokens"] == final["usage"]["input_tokens"] + final["usage"]["output_tokens"]
    return final


def _said(events: Sequence[dict[str, Any]], item_id: str) -> str:
    return "".join(event["delta"] for event in events if event.get("item_id") == item_id and "delta" in event)


def _text(item: dict[str, Any]) -> str:
    """What the deltas of this item must add up to. Raw reasoning has none here: its events are not in the contract."""
    match item["type"]:
        case "message":
            return "".join(part.get("text", part.get("refusal")) for part in item["content"])
        case "reasoning":
            return "".join(part["text"] for part in item["summary"])
        case "function_call":
            return str(item["arguments"])
        case _:
            return ""


def check_event(event: dict[str, Any]) -> None:
    """It is one of the 24, with all of its members."""
    kind = event["type"]
    assert kind in EVENTS, f"{kind} is not an event of Open Responses"
    _event(kind).validate(event)


def check_response(response: Any) -> dict[str, Any]:
    """A Response; returned, so that a test can go on with it."""
    _validator("response").validate(response)
    assert isinstance(response, dict)
    return response


def check_compacted(body: Any) -> dict[str, Any]:
    """What the compaction endpoint answers."""
    _validator("compacted").validate(body)
    assert isinstance(body, dict)
    return body


@cache
def _event(kind: str) -> Validator:
    ours = EVENT_OURS if kind == "error" else {**EVENT_OURS, "response_id": TEXT}
    return _strict(record({"type": one_of(kind), "sequence_number": INT, **EVENTS[kind], **ours}))


@cache
def _validator(name: str) -> Validator:
    return _strict({"response": RESPONSE, "compacted": COMPACTED}[name])


def _strict(schema: Schema) -> Validator:
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)
