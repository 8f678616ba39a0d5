"""A conversation through OpenAI's SDK, unmodified, in which every event is checked as it comes in."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import msgspec
import openai
from openai.types.responses import Response, ResponsesServerEvent
from pydantic import TypeAdapter, ValidationError

from tests.support.real import RealServer

_EVENT = TypeAdapter(ResponsesServerEvent)
_TERMINALS = {"response.completed", "response.incomplete", "response.failed"}


class Answer(msgspec.Struct, frozen=True):
    """One response: its events and the final object."""

    events: list[Any]
    final: Response

    @property
    def kinds(self) -> list[str]:
        """The types of its items, in order."""
        return [item.type for item in self.final.output]

    @property
    def id(self) -> str:
        """The response's id."""
        return self.final.id

    @property
    def shown(self) -> dict[str, Any]:
        """The final object as it came, with members that the SDK has no types for."""
        return dict(self.final.to_dict())

    def items(self, kind: str) -> list[Any]:
        """Its items of this type."""
        return [item for item in self.final.output if item.type == kind]

    def calls(self) -> list[Any]:
        """Its calls, of functions and of custom tools."""
        return [item for item in self.final.output if item.type.endswith("_call")]

    def done_items(self) -> list[dict[str, Any]]:
        """Its items as a client that keeps its own history collects them."""
        return [event.item.to_dict() for event in self.events if event.type == "response.output_item.done"]

    def deltas(self, kind: str) -> str:
        """What the deltas of this type (`output_text`, ...) say in all."""
        return "".join(event.delta for event in self.events if event.type == f"response.{kind}.delta")


class Talk:
    """One socket of the SDK's. Temperature is 0 where a turn does not say otherwise."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def send(self, **members: Any) -> None:
        """One `response.create`."""
        self.connection.send({"type": "response.create", "model": "starter", "temperature": 0, **members})

    def turn(self, **members: Any) -> Answer:
        """A response that must come to a terminal event of its own."""
        self.send(**members)
        return self.rest([])

    def rest(self, events: list[Any]) -> Answer:
        """Read on after these events to the terminal one, and check all of them."""
        while not events or events[-1].type not in _TERMINALS:
            event = self.connection.recv()
            assert event.type != "error", event.to_dict()
            events.append(event)
        check(events)
        return Answer(events, events[-1].response)

    def refused(self, **members: Any) -> dict[str, Any]:
        """A request that must be refused before there is a response; the body of the error."""
        self.send(**members)
        event = self.connection.recv()
        assert event.type == "error", event.to_dict()
        error: dict[str, Any] = event.to_dict()["error"]
        return error


@contextlib.contextmanager
def talking(real: RealServer) -> Iterator[Talk]:
    """A socket that the SDK opens as it always does."""
    with openai.OpenAI(base_url=real.base_url, api_key="unused") as client, client.responses.connect() as connection:
        yield Talk(connection)


def check(events: list[Any]) -> None:
    """Numbers without a gap, one terminal, every event strictly valid, items opened and closed once and unchanged."""
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.type in _TERMINALS for event in events] == [False] * (len(events) - 1) + [True]
    for event in events:
        _validate(event.to_dict())
    final: Response = events[-1].response
    _check_items(events, final)
    assert final.usage is not None
    usage = final.usage
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens
    assert usage.input_tokens_details.cached_tokens < max(usage.input_tokens, 1)
    assert usage.output_tokens_details.reasoning_tokens <= usage.output_tokens


def _check_items(events: list[Any], final: Response) -> None:
    added = [event for event in events if event.type == "response.output_item.added"]
    done = [event for event in events if event.type == "response.output_item.done"]
    assert [event.output_index for event in added] == [event.output_index for event in done]
    assert [event.output_index for event in done] == list(range(len(final.output)))
    assert [event.item.id for event in added] == [event.item.id for event in done]
    assert [event.item.to_dict() for event in done] == [item.to_dict() for item in final.output]
    for event in done:
        said = [one for one in events if getattr(one, "item_id", None) == event.item.id and hasattr(one, "delta")]
        assert "".join(one.delta for one in said) == _text_of(event.item)
    incomplete = [getattr(item, "status", None) == "incomplete" for item in final.output]
    assert not any(incomplete[:-1]), "only the last item can be cut"
    assert final.status != "completed" or not any(incomplete)


def _text_of(item: Any) -> str:
    match item.type:
        case "message":
            return "".join(part.text for part in item.content)
        case "reasoning":
            return "".join(part.text for part in item.content or item.summary)
        case "function_call" | "mcp_call":
            return str(item.arguments)
        case "compaction":
            return ""
        case "custom_tool_call":
            return str(item.input)
        case "shell_call":
            return "".join(item.action.commands)
        case _:  # told by the item alone
            return ""


def _validate(event: dict[str, Any]) -> None:
    try:
        _EVENT.validate_python(_without_our_values(event), strict=True)
    except ValidationError as error:  # of all the types of events; of interest is the one that this means to be
        wrong = {str(one["loc"][0]) for one in error.errors() if one["loc"][-1] == "type"}
        said = [f"{one['loc']}: {one['msg']}" for one in error.errors() if str(one["loc"][0]) not in wrong]
        raise AssertionError(f"{event['type']}: {said or error}") from None


def _without_our_values(event: dict[str, Any]) -> dict[str, Any]:
    """What OpenAI's types do not know: the reason of our cancel frame, and a code that Codex knows."""
    response = event.get("response") or {}
    if response.get("status") == "cancelled":
        assert response["incomplete_details"]["reason"] == "cancelled"
        return {**event, "response": {**response, "incomplete_details": None}}
    error = response.get("error") or {}
    if error.get("code") == "context_length_exceeded":
        return {**event, "response": {**response, "error": {**error, "code": "invalid_prompt"}}}
    return event
