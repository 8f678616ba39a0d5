"""The start of a resume: one function from a request to a position, or a typed refusal. It never returns a part of an
answer.
"""

from __future__ import annotations

from realtime.wire.errors import ErrorCode, WireError

from .event_log import Log


def resolve(log: Log, starting_after: int, epoch: str | None, *, merged: bool = False) -> int:
    """Return the number of the first event to send to a reader that has processed `starting_after` (-1: nothing).
    `merged`: it takes runs of deltas as one event, and can then be served from further back.

    Raises WireError: EPOCH_MISMATCH when the reader's numbers are from another incarnation of the log, CURSOR_AHEAD
    when it claims events that do not exist yet, CURSOR_TOO_OLD when events that it needs are gone, SERVER_RESTARTED
    when they went with a process that died.
    """
    start = starting_after + 1
    if not _holds(log, start, epoch):
        text = f"The response's log was restarted (epoch '{log.epoch}'): fetch the response, or start over."
        raise WireError(ErrorCode.EPOCH_MISMATCH, text, param="epoch", response_id=log.response_id)
    if log.restarted_at is not None and start > log.restarted_at:
        text = (
            f"The server was restarted while this response ran: events from {log.restarted_at} on may not be those "
            "that you have had. Fetch the response."
        )
        raise WireError(ErrorCode.EPOCH_MISMATCH, text, param="starting_after", response_id=log.response_id)
    if start > log.tip and log.comes_again and log.sealed:
        raise overtaken(log)
    if start > log.tip and not log.comes_again:
        text = f"`starting_after` is {starting_after}, but the newest event is {log.tip - 1}."
        raise WireError(ErrorCode.CURSOR_AHEAD, text, param="starting_after", response_id=log.response_id)
    if log.restarted_at is not None and start < log.restarted_at <= log.floor:
        text = "The server was restarted while this response ran, and what was said before is not kept: send it again."
        raise WireError(ErrorCode.SERVER_RESTARTED, text, param="starting_after", response_id=log.response_id)
    if start < log.floor and not (merged and log.abridged is not None):
        text = f"Events before {log.floor} are gone; the oldest `starting_after` that can be served is {log.floor - 1}."
        raise WireError(ErrorCode.CURSOR_TOO_OLD, text, param="starting_after", response_id=log.response_id)
    return start


def _holds(log: Log, start: int, epoch: str | None) -> bool:
    """Return whether events before `start`, read in this epoch (None: unknown), are those of the log."""
    if epoch == log.epoch:
        return True
    if epoch is None:
        return start <= min(log.earlier.values(), default=start)
    return start <= log.earlier.get(epoch, -1)


def overtaken(log: Log) -> WireError:
    """Return the error for a reader that waited for events that it has had, when the log has ended before them."""
    text = (
        f"The server was restarted while response '{log.response_id}' ran, and events that you have had did not come "
        "again. Fetch the response."
    )
    return WireError(ErrorCode.EPOCH_MISMATCH, text, param="starting_after", response_id=log.response_id)


def too_slow(log: Log, floor: int) -> WireError:
    """Return the error for a reader whose next event is below `floor`, the oldest that the log still has."""
    text = (
        f"Response '{log.response_id}' was read too slowly: events before {floor} are gone. "
        "Fetch the finished response instead."
    )
    return WireError(ErrorCode.SLOW_READER, text, response_id=log.response_id)
