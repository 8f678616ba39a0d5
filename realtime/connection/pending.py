"""The commands of one connection: those that its shell is to start, and those that are not completed yet. Pure.

A client event waits for the pending command that it depends on: a cancel of a lane for the create, an event about a
response for its resume, a `session.update` for the one before. So the client's order is kept, whatever the order of the
completions.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from realtime.wire.requests import (
    ResponseAck,
    ResponseCancel,
    ResponseDetach,
    ResponseResume,
    ResponseTruncate,
    SessionUpdate,
)  # fmt: skip

from . import refusals
from .commands import Awaited, Command, Create, Identify, Leave, Resume, Stop, Truncate

# events that may wait
Patient = ResponseCancel | ResponseDetach | ResponseAck | ResponseResume | ResponseTruncate | SessionUpdate


class HeldEvent(msgspec.Struct, frozen=True):
    """A client event that waits for the completion of a command."""

    event: Patient
    received_at: float


class PendingCommands:
    """One connection's commands. `to_start`: those that its shell has not drained yet, whether or not anybody waits for
    their completion. Pending are at most `limit` besides creates, which the lanes bound, and `limit` events for each.
    """

    __slots__ = ("_commands", "_limit", "_to_be_cut", "to_start")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.to_start: list[Command] = []
        self._commands: dict[int, tuple[Awaited, list[HeldEvent]]] = {}  # by identity: one may be asked for twice
        self._to_be_cut: dict[int, str] = {}  # by the resume that a cut waits for: the response

    def __iter__(self) -> Iterator[Awaited]:
        return (command for command, _ in self._commands.values())

    def __len__(self) -> int:
        return len(self._commands)

    def ask(self, command: Awaited) -> None:
        """Give out a command and wait for its completion. Raises WireError when too many are pending."""
        if not isinstance(command, Create):
            _check_room(sum(not isinstance(other, Create) for other in self), self._limit)
        self._commands[id(command)] = (command, [])
        self.to_start.append(command)

    def leave(self, response_id: str, *, detached: bool = False) -> None:
        """Give out the command to stop reading a response. `detached`: the client said that it is to continue."""
        self.to_start.append(Leave(response_id, detached))

    def hold(self, command: Awaited, held: HeldEvent) -> None:
        """Keep an event until the command is completed. Raises WireError when too many wait for it."""
        _, others = self._commands[id(command)]
        _check_room(len(others), self._limit)
        others.append(held)
        if isinstance(command, Resume) and isinstance(held.event, ResponseTruncate | ResponseCancel):
            self._to_be_cut[id(command)] = command.response_id

    def complete(self, command: Awaited) -> list[HeldEvent] | None:
        """Take out a completed command and return the events that waited for it. None: the command is not pending, or
        no longer, because the socket is gone.
        """
        _, held = self._commands.pop(id(command), (command, None))
        self._to_be_cut.pop(id(command), None)
        return held

    def complete_with(self, command: Awaited, response_id: str) -> list[HeldEvent] | None:
        """Complete a command that led to a response. If nobody waits for the response any more, leave it."""
        held = self.complete(command)
        if held is None:
            self.leave(response_id)
        return held

    def resume_of(self, response_id: str) -> Resume | None:
        """Return the pending resume of this response."""
        return next((one for one in self if isinstance(one, Resume) and one.response_id == response_id), None)

    def resume_with_ack(self, response_id: str) -> Resume | None:
        """Return the pending resume of this response, if an acknowledgement waits for it."""
        resume = self.resume_of(response_id)
        held = self._commands[id(resume)][1] if resume is not None else ()
        return resume if any(isinstance(one.event, ResponseAck) for one in held) else None

    @property
    def cut(self) -> set[str]:
        """Return the responses whose answers are being cut, or will be when a resume is answered."""
        cut = {
            one.response_id for one in self if isinstance(one, Truncate) or (isinstance(one, Stop) and one.cuts_late)
        }
        return cut.union(self._to_be_cut.values())

    @property
    def identify(self) -> Identify | None:
        """Return the pending identification of a key."""
        return next((one for one in self if isinstance(one, Identify)), None)

    def clear(self) -> None:
        """Forget everything but whom to leave: the socket is gone."""
        self.to_start = [one for one in self.to_start if isinstance(one, Leave)]
        self._commands.clear()
        self._to_be_cut.clear()


def _check_room(number: int, limit: int) -> None:
    if number >= limit:
        raise refusals.too_many_pending(number)
