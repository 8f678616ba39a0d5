"""Outputs of tools: which calls wait for theirs, and which have it already. Pure.

A call is answered once: whoever continues after it brings its output. On a chain of responses each branch answers for
itself; a conversation has one history, so an output that it holds is final.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from realtime.wire.calls import answered_call, names_of, unanswered_calls
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.events import PendingCall
from realtime.wire.items import InputItem, McpApprovalRequest, McpApprovalResponse, OutputItem, kind_of
from realtime.wire.requests import ResponseCreate

from .compaction import Policy
from .turns import Turn, exchanges

_MAX_NAMED = 16  # calls in one message


def pending_calls(output: Iterable[OutputItem], later: Iterable[InputItem] = ()) -> list[PendingCall]:
    """List the calls of an output that wait for the client. `later`: the items after it."""
    return [_pending(call) for call in unanswered_calls(output, later)]


def needs_outputs(request: ResponseCreate, compaction: Policy | None) -> bool:
    """Return whether a request asks for an answer, to which all outputs belong. A compaction leaves open calls open."""
    only_compacts = compaction is not None and compaction.now
    return request.generate is not False and not request.allow_missing_outputs and not only_compacts


def check_no_output_missing(parent: Turn | None, given: Sequence[InputItem]) -> None:
    """Refuse to continue after a turn with calls that the given items don't answer. An approval is the user's choice,
    who may say something else instead. Raises WireError.
    """
    said, later = _newest_turn(parent)
    missing = [call for call in unanswered_calls(said, [*later, *given]) if not isinstance(call, McpApprovalRequest)]
    if not missing:
        return
    ids = ", ".join(_pending(call).call_id[:128] for call in missing[:_MAX_NAMED])
    more = f" and {len(missing) - _MAX_NAMED} more" if len(missing) > _MAX_NAMED else ""
    calls = "call" if len(missing) == 1 else "calls"
    text = (
        f"No tool output found for function {calls} {ids}{more}. Give an output for each, or set "
        "`allow_missing_outputs`."
    )
    raise WireError(ErrorCode.MISSING_TOOL_OUTPUT, text, param="input")


def check_no_second_output(before: Iterable[InputItem], given: Iterable[InputItem]) -> None:
    """Refuse an output for a call that has one already. Raises WireError, with the output that is kept."""
    names: dict[str, str] = {}  # of a call that has two -> the first one
    kept: dict[str, InputItem] = {}
    for item in before:
        for name in names_of(item):
            names[name] = names_of(item)[0]
        _enter(item, names, kept)
    for item in given:
        earlier = _enter(item, names, kept)
        if earlier is not None:
            text = f"The output of call '{answered_call(item)}' was accepted before, and stays: leave this one out."
            raise WireError(ErrorCode.TOOL_OUTPUT_ALREADY_ACCEPTED, text, param="input", item=earlier)


def _enter(item: InputItem, names: dict[str, str], kept: dict[str, InputItem]) -> InputItem | None:
    """Keep an output, and return an earlier one of the same call. A call is made once however often it is approved."""
    call_id = answered_call(item)
    if not call_id or isinstance(item, McpApprovalResponse):
        return None
    call_id = names.get(call_id, call_id)
    earlier = kept.get(call_id)
    kept.setdefault(call_id, item)
    return earlier


def _newest_turn(parent: Turn | None) -> tuple[Sequence[InputItem], list[InputItem]]:
    """Return the newest response's output, and what was posted to its conversation since. If a conversation does not
    know which response said what, return everything since the user's newest message.
    """
    later: list[InputItem] = []
    turn = parent
    while turn is not None and not turn.response_id:
        later = [*turn.input, *later]
        turn = turn.parent
    if turn is not None or not later:
        return (turn.output if turn is not None else ()), later
    starts = exchanges(later)
    return later[starts[-1] if starts else 0 :], later


def _pending(call: InputItem) -> PendingCall:
    kind = kind_of(call)
    name = getattr(call, "name", None)
    call_id = next(filter(None, names_of(call)), "")
    return PendingCall(call_id=call_id, type=kind, name=name if isinstance(name, str) else kind.removesuffix("_call"))
