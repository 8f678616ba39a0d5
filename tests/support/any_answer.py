"""Any answer that the grammar of events allows: random items, in random pieces, as a log has them; for doors that
translate a log.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec import UNSET

from realtime.store.event_log import EventLog
from realtime.wire import events as e
from realtime.wire.items import (
    ApplyPatchCall,
    CustomToolCall,
    DeleteFile,
    FunctionCall,
    Message,
    OutputItem,
    OutputText,
    Reasoning,
    ReasoningText,
    SummaryText,
)
from realtime.wire.response import IncompleteDetails, Response, ResponseError

from .fuzz import TEXT
from .responses import PLENTY, make_response, make_usage

Drawn = tuple[str, Any]

_DELTAS = st.lists(TEXT.filter(bool) | st.sampled_from(["\u2028", "\x85"]), max_size=3)
_ARGUMENTS = st.sampled_from([["{}"], ['{"a"', ": 1}"], ['{"b": "', "\u00e9\\n", '"}'], [" {", "}"]])
_PARTS = st.lists(_DELTAS, max_size=2)
_ITEM = st.one_of(
    st.tuples(st.just("message"), st.lists(_DELTAS, min_size=1, max_size=2)),
    st.tuples(st.sampled_from(["raw", "summary", "hidden"]), _PARTS),
    st.tuples(st.just("call"), _ARGUMENTS),
    st.tuples(st.just("broken call"), st.sampled_from([[], ["{"], ['{"a":', " [1"]])),
    st.tuples(st.just("custom"), _DELTAS),
    st.tuples(st.just("other"), st.none()),
)
ENDS = ("completed", "max_output_tokens", "cancelled", "failed")
ANSWERS = st.tuples(
    st.lists(_ITEM, max_size=4), st.sampled_from(ENDS), st.booleans()
)  # what it says; how it ends; whether it has waited
_LOGPROB = {"token": "a", "bytes": [97], "logprob": -0.5, "top_logprobs": []}


class Answer(msgspec.Struct, frozen=True):
    """Entries of a log, and the response that they end with."""

    entries: list[bytes]
    response: Response


def answer_of(drawn: tuple[list[Drawn], str, bool], *, logprobs: bool = False) -> Answer:
    """Play what was drawn into a log, which checks it against the grammar."""
    items, end, waits = drawn
    log = EventLog("resp_0", "epoch_0", stream_id=None, max_bytes=PLENTY, max_entries=PLENTY)
    response = make_response("resp_0")
    log.append(e.ResponseCreated(response=response, epoch="epoch_0"))
    if waits:
        log.append(e.ResponseQueued(response=response))
    log.append(e.ResponseInProgress(response=response))
    ids = count()
    for index, one in enumerate(items):
        item, events = _play(one, f"item_{next(ids)}", index, logprobs)
        for event in events:
            log.append(event)
        response.output.append(item)
    log.append(_terminal(response, end))
    assert log.sealed
    return Answer(log.read(0, PLENTY), response)


def _terminal(response: Response, end: str) -> e.Event:
    response.usage = make_usage()
    match end:
        case "completed":
            response.status = "completed"
            return e.ResponseCompleted(response=response)
        case "failed":
            response.status = "failed"
            response.error = ResponseError("server_error", "The engine failed.")
            return e.ResponseFailed(response=response)
        case _:
            response.status = "cancelled" if end == "cancelled" else "incomplete"
            response.incomplete_details = IncompleteDetails(end)
            return e.ResponseIncomplete(response=response)


def _play(drawn: Drawn, item_id: str, index: int, logprobs: bool) -> tuple[OutputItem, Iterator[e.Event]]:
    kind, said = drawn
    match kind:
        case "message":
            content = [OutputText(text="".join(part), logprobs=[_LOGPROB] * len(part) * logprobs) for part in said]
            message = Message(id=item_id, status="completed", role="assistant", content=[*content])
            return message, _message(message, said, index, logprobs)
        case "raw" | "summary" | "hidden":
            item = Reasoning(id=item_id, status="completed", encrypted_content=f"sealed {item_id}")
            if kind == "raw":
                item.content = [ReasoningText(text="".join(part)) for part in said]
            elif kind == "summary":
                item.summary = [SummaryText(text="".join(part)) for part in said]
            return item, _reasoning(item, kind, said, index)
        case "call" | "broken call":
            status = "completed" if kind == "call" else "incomplete"
            call = FunctionCall(id=item_id, status=status, call_id=f"call_{index}", name="f", arguments="".join(said))
            return call, _call(call, said, index)
        case "custom":
            custom = CustomToolCall(
                id=item_id, status="completed", call_id=f"call_{index}", name="c", input="".join(said)
            )
            return custom, _custom(custom, said, index)
        case _:
            patch = ApplyPatchCall(id=item_id, status="completed", call_id="x", operation=DeleteFile(path="a"))
            return patch, iter((e.OutputItemAdded(output_index=index, item=patch), _done(patch, index)))


def _done(item: OutputItem, index: int) -> e.Event:
    return e.OutputItemDone(output_index=index, item=item)


def _message(item: Message, parts: list[list[str]], index: int, logprobs: bool) -> Iterator[e.Event]:
    at: dict[str, Any] = {"item_id": item.id, "output_index": index}
    yield e.OutputItemAdded(output_index=index, item=msgspec.structs.replace(item, content=[], status="in_progress"))
    for number, deltas in enumerate(parts):
        at["content_index"] = number
        yield e.ContentPartAdded(**at, part=OutputText(text=""))
        for delta in deltas:
            yield e.OutputTextDelta(**at, delta=delta, logprobs=[_LOGPROB] * logprobs)
        yield e.OutputTextDone(**at, text="".join(deltas))
        yield e.ContentPartDone(**at, part=OutputText(text="".join(deltas)))
    yield _done(item, index)


def _reasoning(item: Reasoning, kind: str, parts: list[list[str]], index: int) -> Iterator[e.Event]:
    at: dict[str, Any] = {"item_id": item.id, "output_index": index}
    begun = Reasoning(id=item.id, status="in_progress", content=[] if kind == "raw" else UNSET)
    yield e.OutputItemAdded(output_index=index, item=begun)
    for number, deltas in enumerate(parts if kind != "hidden" else ()):
        text = "".join(deltas)
        if kind == "raw":
            at["content_index"] = number
            yield e.ContentPartAdded(**at, part=ReasoningText(text=""))
            for delta in deltas:
                yield e.ReasoningTextDelta(**at, delta=delta)
            yield e.ReasoningTextDone(**at, text=text)
            yield e.ContentPartDone(**at, part=ReasoningText(text=text))
        else:
            at["summary_index"] = number
            yield e.ReasoningSummaryPartAdded(**at, part=SummaryText(text=""))
            for delta in deltas:
                yield e.ReasoningSummaryTextDelta(**at, delta=delta)
            yield e.ReasoningSummaryTextDone(**at, text=text)
            yield e.ReasoningSummaryPartDone(**at, part=SummaryText(text=text))
    yield _done(item, index)


def _call(item: FunctionCall, deltas: list[str], index: int) -> Iterator[e.Event]:
    at: dict[str, Any] = {"item_id": item.id, "output_index": index}
    yield e.OutputItemAdded(output_index=index, item=msgspec.structs.replace(item, arguments="", status="in_progress"))
    for delta in deltas:
        yield e.FunctionCallArgumentsDelta(**at, delta=delta)
    yield e.FunctionCallArgumentsDone(**at, arguments=item.arguments, name=item.name)
    yield _done(item, index)


def _custom(item: CustomToolCall, deltas: list[str], index: int) -> Iterator[e.Event]:
    at: dict[str, Any] = {"item_id": item.id, "output_index": index}
    yield e.OutputItemAdded(output_index=index, item=msgspec.structs.replace(item, input="", status="in_progress"))
    for delta in deltas:
        yield e.CustomToolCallInputDelta(**at, delta=delta)
    yield e.CustomToolCallInputDone(**at, input=item.input)
    yield _done(item, index)
