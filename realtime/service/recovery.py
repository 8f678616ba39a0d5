"""Recovery of a response that ran when the last process ended: either a past to continue from, or an end.

A response that can't continue ends with `response.failed` (`server_restarted`), appended to what is known of its
output. Event numbers continue from there. A reader that had received more than that is told so (`store.cursor`),
because the log does not have what it received.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import msgspec

from realtime.runs.broken_off import BrokenOff, shown_in
from realtime.runs.past import Past
from realtime.settings.fields import ResponseSettings
from realtime.store.base import ResponseStore
from realtime.store.event_log import EventLog
from realtime.store.records import Record, Unfinished
from realtime.store.restored_log import RestoredLog
from realtime.wire import codec, events
from realtime.wire.errors import ErrorCode
from realtime.wire.formats import PlainFormat
from realtime.wire.ids import new_id
from realtime.wire.items import OutputItem
from realtime.wire.response import ReasoningConfig, Response, ResponseError, TextConfig

logger = logging.getLogger("realtime.service")

_TERMINALS = frozenset(str(kind.__struct_config__.tag).encode() for kind in events.TERMINALS)
_MESSAGE = "The server was restarted while this response ran: send the request again."
_UNSTORED = "The server was restarted while this response ran, and nothing of it was stored: send the request again."


def past_of(unfinished: Unfinished, settings: ResponseSettings) -> Past | None:
    """Return the past from which a run continues; None: too little is known. Raises ValueError for one that can't be
    read.

    If the continuation may differ from what was already sent, the log begins a new epoch here.
    """
    head = unfinished.head
    log = RestoredLog(
        head.response_id,
        unfinished.epoch,
        unfinished.events,
        stream_id=head.stream_id,
        max_bytes=settings.max_log_bytes,
        max_entries=settings.max_log_events,
    )
    past = Past(unfinished, log)
    if not past.is_whole or head.on_disconnect is None:
        return None
    response, _ = past.created()
    log.earlier = dict(unfinished.earlier)
    log.comes_again = past.is_exact(response.temperature)
    if not log.comes_again and not unfinished.left:  # what is left at a planned end was all committed
        log.earlier = {**log.earlier, log.epoch: log.stored_tip}
        log.epoch = new_id("epoch")
    return past


def end_one(one: Unfinished, store: ResponseStore, settings: ResponseSettings, model_name: str, now: float) -> None:
    """End one response."""
    try:
        record, log = _ended(one, settings, model_name, now)
        store.seal(record, msgspec.structs.replace(log.stored(), restarted_at=one.tip), now)
    except Exception:  # nothing can be told of it, whatever is in the file, and nobody may wait for it
        logger.exception("response not recovered response_id=%s", one.head.response_id)
        store.delete(one.head.response_id)


def _ended(unfinished: Unfinished, settings: ResponseSettings, model_name: str, now: float) -> tuple[Record, EventLog]:
    head = unfinished.head
    log = EventLog(
        head.response_id,
        unfinished.epoch,
        stream_id=head.stream_id,
        max_bytes=settings.max_log_bytes,
        max_entries=settings.max_log_events,
    )
    log.restore(unfinished.events, unfinished.tip)
    log.earlier = dict(unfinished.earlier)
    if head.stored:
        response = _close(log, unfinished.events)
    else:
        response = _nothing_known(unfinished, model_name)
        log.append_last(events.ResponseFailed(response=response))
    record = Record(
        owner=head.owner,
        response=response,
        epoch=log.epoch,
        turn=None,
        continuable=head.stored,
        expires_at=now + (settings.retention_seconds if head.stored else settings.linger_seconds),
        begun_at=head.begun_at,
        input=tuple(head.request.items),
    )
    return record, log


def _close(log: EventLog, entries: Sequence[bytes]) -> Response:
    """Close the open items and end the log, unless it has ended. Return the response. Raises ValueError."""
    if entries and codec.type_of(entries[-1]) in _TERMINALS:
        log.sealed = log.ended = True
        return shown_in(entries[-1])
    broken = BrokenOff.of(entries)
    output: list[OutputItem] = list(broken.output)
    if broken.open is not None:
        closing, item = broken.open.end("incomplete")
        for event in closing:
            log.append_last(event)
        if item is not None:
            output.append(item)
    response = broken.response
    response.status, response.output, response.completed_at = "failed", output, None
    response.error = _error(_MESSAGE)
    log.append_last(events.ResponseFailed(response=response))
    return response


def _nothing_known(unfinished: Unfinished, model_name: str) -> Response:
    """Return a response of which only the existence was stored."""
    head = unfinished.head
    return Response(
        id=head.response_id,
        created_at=head.begun_at // 10**9,
        status="failed",
        error=_error(_UNSTORED),
        model=model_name,
        text=TextConfig(format=PlainFormat()),
        reasoning=ReasoningConfig(),
        temperature=1.0,
        top_p=1.0,
        store=False,
    )


def _error(message: str) -> ResponseError:
    return ResponseError(ErrorCode.SERVER_RESTARTED.value.code, message)
