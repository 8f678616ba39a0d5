"""Calls and their answers: one table, and the questions that are asked of it. Pure.

A call waits for another item: the output of a tool, or the user's decision on a request for approval. The answer names
its call by an id, and `ANSWERS` says which members of the two items hold it. Only ids decide: an output of one type may
answer a call of another. An absent member counts as an empty id. Harmony messages are calls too (see
`HarmonyMessage.is_call`), and outputs of functions answer them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from .errors import ErrorCode, WireError
from .harmony import HarmonyMessage
from .items import (
    AnswerableCall,
    ApplyPatchCall,
    ApplyPatchCallOutput,
    ComputerCall,
    ComputerCallOutput,
    CustomToolCall,
    CustomToolCallOutput,
    FunctionCall,
    FunctionCallOutput,
    InputItem,
    LocalShellCall,
    LocalShellCallOutput,
    McpApprovalRequest,
    McpApprovalResponse,
    OutputItem,
    ShellCall,
    ShellCallOutput,
    ToolSearchCall,
    ToolSearchOutput,
    kind_of,
)


class Answer(NamedTuple):
    """The way in which calls of one type are answered.

    kind: the class of the answering item. names: members of the call whose ids an answer may give, the usual one first.
    refers: members of the answer that give it; the first that has an id counts. stub: what a client is told of the
    answer besides its type and the id: members that repeat the call's, and constants.
    """

    kind: type[InputItem]
    names: tuple[str, ...] = ("call_id",)
    refers: tuple[str, ...] = ("call_id",)
    repeats: tuple[str, ...] = ()
    constants: tuple[tuple[str, str], ...] = ()


ANSWERS: dict[type[InputItem], Answer] = {
    FunctionCall: Answer(FunctionCallOutput, repeats=("name",)),
    CustomToolCall: Answer(CustomToolCallOutput),
    ComputerCall: Answer(ComputerCallOutput),
    ShellCall: Answer(ShellCallOutput),
    LocalShellCall: Answer(LocalShellCallOutput, names=("call_id", "id"), refers=("call_id", "id")),
    ApplyPatchCall: Answer(ApplyPatchCallOutput),
    ToolSearchCall: Answer(ToolSearchOutput, constants=(("execution", "client"),)),
    McpApprovalRequest: Answer(McpApprovalResponse, names=("id",), refers=("approval_request_id",)),
}
_BY_ANSWER = {answer.kind: answer for answer in ANSWERS.values()}


def names_of(item: InputItem) -> tuple[str, ...]:
    """Return the ids by which an answer may name this call; none for an item that is not a call."""
    if isinstance(item, HarmonyMessage):
        return (item.call_id,) if item.is_call and isinstance(item.call_id, str) else ()
    answer = ANSWERS.get(type(item))
    return tuple(_id(item, name) for name in answer.names) if answer is not None else ()


def answered_call(item: InputItem) -> str | None:
    """Return the id of the call that an item answers; None for an item that is not an answer.

    OpenAI's own search of tools has no ids, so its output answers no call either.
    """
    answer = _BY_ANSWER.get(type(item))
    if answer is None:
        return None
    call_id = next((value for name in answer.refers if (value := _id(item, name))), "")
    return None if isinstance(item, ToolSearchOutput) and not call_id else call_id


def call_id_of(item: InputItem) -> str | None:
    """Return the id that ties a call and its answers together; None for other items, and where there is no id."""
    if isinstance(item, HarmonyMessage):
        return _id(item, "call_id") or None
    return next(filter(None, names_of(item)), None) or answered_call(item) or None


def ties_of(item: InputItem) -> list[str]:
    """Return every id that may tie a call and its answers together; none for other items."""
    ids = (*names_of(item), answered_call(item), call_id_of(item))
    return list(dict.fromkeys(one for one in ids if one))


def unknown_call(items: Iterable[InputItem]) -> str | None:
    """Return the id in the first answer that has no call before it; None when every answer has its call.

    Outputs of OpenAI's computer tool are kept as they came and may stand alone.
    """
    known: set[str] = set()
    num_nameless = 0  # calls in held messages that have no call_id: one output each is theirs
    for item in items:
        known.update(names_of(item))
        if isinstance(item, HarmonyMessage):
            num_nameless += item.is_call and not isinstance(item.call_id, str)
            continue
        call_id = answered_call(item)
        if call_id is None or call_id in known or isinstance(item, ComputerCallOutput):
            continue
        if not num_nameless or not isinstance(item, FunctionCallOutput | CustomToolCallOutput):
            return call_id
        num_nameless -= 1
    return None


def no_call_found(items: Iterable[InputItem]) -> str | None:
    """Return what is wrong with a history that has an answer without its call; None: nothing."""
    call_id = unknown_call(items)
    return f"No tool call found for the output with call_id '{call_id[:128]}'." if call_id is not None else None


def check_calls(items: Iterable[InputItem]) -> None:
    """Refuse a tool's output that answers no call, and an approval that nobody asked for. Raises WireError."""
    text = no_call_found(items)
    if text is not None:
        raise WireError(ErrorCode.INVALID_REQUEST, text, param="input")


def check_answers(items: Iterable[InputItem], output: Sequence[OutputItem]) -> None:
    """Refuse answers to calls that are not in this output of a response. Raises WireError."""
    known = {name for call in output for name in names_of(call)}
    for item in items:
        call_id = answered_call(item)
        if call_id is not None and call_id not in known:
            text = f"The response has made no call with call_id '{call_id[:128]}', or has not finished making it."
            raise WireError(ErrorCode.INVALID_REQUEST, text, param="input")


def required_input(output: Iterable[OutputItem], given: Iterable[InputItem]) -> list[dict[str, Any]]:
    """Return stubs of what a client must answer before a response can be continued, without those that `given` items
    answer already.
    """
    return [_stub(item) for item in unanswered_calls(output, given)]


def unanswered_calls(said: Iterable[InputItem], given: Iterable[InputItem]) -> list[InputItem]:
    """Return the calls in an output that wait for the client, without those that `given` items answer."""
    answered = {answered_call(item) for item in given}
    return [item for item in said if _waits(item) and answered.isdisjoint(names_of(item))]


def _waits(item: InputItem) -> bool:
    """Return whether the client has to answer this item: a complete call that the server does not run."""
    hosted = isinstance(item, ToolSearchCall) and item.execution == "server"
    return isinstance(item, AnswerableCall) and item.status != "incomplete" and not hosted


def _stub(call: InputItem) -> dict[str, Any]:
    answer = ANSWERS[type(call)]
    repeated = {name: getattr(call, name) for name in answer.repeats}
    named = {"type": kind_of(answer.kind), answer.refers[0]: _id(call, answer.names[0])}
    return {**named, **repeated, **dict(answer.constants)}


def _id(item: InputItem, member: str) -> str:
    value = getattr(item, member)
    return value if isinstance(value, str) else ""
