"""Functions as tools: their schema from their signature, and the loop that calls them until the model has its answer.

Needs `msgspec` (`pip install 'realtime-llm-client[tools]'`), which also checks the model's arguments.
"""

from __future__ import annotations

import asyncio
import inspect
import typing
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from .errors import ToolLoopTooLong
from .response import Response
from .track import FinalResponse
from .wire import FunctionCall
from .wire import ResponseEvent as Event

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class Tool:
    """One function. `declared` is its definition in a request; the first line of its docstring is the description."""

    def __init__(self, function: Callable[..., Any]) -> None:
        try:
            import msgspec
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError("tools need msgspec: pip install 'realtime-llm-client[tools]'") from error
        self.name = function.__name__
        self._function = function
        hints = typing.get_type_hints(function, include_extras=True)
        parameters = inspect.signature(function).parameters.values()
        fields: list[Any] = []
        for one in parameters:
            if one.kind not in _NAMED:
                raise TypeError(f"the tool {self.name} can't have the parameter *{one.name}: give each a name")
            kind = hints.get(one.name, Any)
            fields.append((one.name, kind) if one.default is one.empty else (one.name, kind, one.default))
        self._arguments = msgspec.defstruct(f"{self.name}_arguments", fields, kw_only=True, forbid_unknown_fields=True)
        self._decode = msgspec.json.Decoder(self._arguments).decode
        self._encode = msgspec.json.encode
        self.declared: dict[str, Any] = {
            "type": "function",
            "name": self.name,
            "description": inspect.getdoc(function) or "",
            "parameters": _inlined(msgspec.json.schema(self._arguments)),
        }

    async def call(self, arguments: str) -> str:
        """Call the function with the JSON that the model wrote. Return the text for the model.

        Raises what the function raises, and ValueError when the arguments do not fit.
        """
        given = self._decode(arguments)
        named = {name: getattr(given, name) for name in given.__struct_fields__}
        if inspect.iscoroutinefunction(self._function):
            result = await self._function(**named)
        else:
            result = await asyncio.to_thread(self._function, **named)
        return result if isinstance(result, str) else self._encode(result).decode()


async def run(
    create: Callable[..., Awaitable[Response]],
    input: Any,
    *,
    tools: Sequence[Callable[..., Any] | Tool],
    tool_timeout_seconds: float,
    max_turns: int,
    on_event: Callable[[Event], None] | None,
    **body: Any,
) -> FinalResponse:
    """See `Client.run`. `create`: as `Client.create`."""
    known = {tool.name: tool for tool in (one if isinstance(one, Tool) else Tool(one) for one in tools)}
    body["tools"] = [tool.declared for tool in known.values()]
    for _ in range(max_turns):
        async with await create(input=input, **body) as response:
            async for event in response:
                if on_event is not None:
                    on_event(event)
            final = await response.result()
        calls = _calls(final)
        if not calls or any(call["name"] not in known for call in calls):
            return final
        input = await _outputs(calls, known, tool_timeout_seconds)
        if "conversation" not in body:
            body["previous_response_id"] = response.id
        body.pop("tool_choice", None)  # was for the first turn: a model that must call never ends
    raise ToolLoopTooLong(f"the model still calls tools after {max_turns} turns")


def _calls(final: FinalResponse) -> list[FunctionCall]:
    """Return the calls to make; none, if the answer was cut."""
    if final.get("status") != "completed":
        return []
    return [item for item in final["output"] if item["type"] == "function_call" and item["status"] == "completed"]


async def _outputs(calls: list[FunctionCall], known: Mapping[str, Tool], timeout: float) -> list[dict[str, Any]]:
    """Make all calls concurrently. Cancelling this cancels them."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_told(known[call["name"]], call["arguments"], timeout)) for call in calls]
    outputs = zip(calls, tasks, strict=True)
    return [
        {"type": "function_call_output", "call_id": call["call_id"], "output": task.result()} for call, task in outputs
    ]


async def _told(tool: Tool, arguments: str, timeout: float) -> str:
    """Return the text for the model, also for a failure: the model may try again, or do without."""
    try:
        async with asyncio.timeout(timeout):
            return await tool.call(arguments)
    except TimeoutError:
        return f"error: {tool.name} gave no result in {timeout:g} s"
    except Exception as error:
        return f"error: {type(error).__name__}: {error}"


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema with its root in place, as tools have it."""
    definitions: dict[str, Any] = dict(schema.get("$defs", {}))
    root: dict[str, Any] = definitions.pop(schema["$ref"].rpartition("/")[2])
    root.pop("title", None)
    return {**root, "$defs": definitions} if definitions else root
