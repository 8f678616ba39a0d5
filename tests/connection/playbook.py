"""Dialogues with one connection: what goes into the machine (`<<`), and what must come out of it next (`>>`).

    play = Playbook()
    create = Asked(Create, stream_id="a")
    play << create_in("a") >> create << create.opened(answer) >> Events(answer, 0, 1) >> NOTHING

In go client events (dicts, or bytes as they are) and the completions of commands; out come commands and frames. `Desk`
is a Playbook with a service that completes every command at once.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Any, Self, TypeAlias

from realtime.connection.commands import Beat, Command, Create, Identify, Leave, Resume, Stop, Truncate
from realtime.connection.profiles import ConnectionLimits, Profile
from realtime.connection.protocol import Connection
from realtime.store import cursor
from realtime.wire.errors import ErrorCode, WireError
from tests.support.responses import Answer

LIMITS = ConnectionLimits()
FOREVER = float("inf")
PULL = 1 << 20
TENANT = "anna"

Frame: TypeAlias = dict[str, Any]
Given: TypeAlias = "Frame | bytes | Callable[[Connection], object]"


# -- what goes in


def event(type: str, **members: Any) -> Frame:
    """A client event."""
    return {"type": type, **members}


def create_in(lane: str | None = None, **members: Any) -> Frame:
    """A create in this lane; None: the default lane."""
    return event("response.create", input="hi", **({"stream_id": lane} if lane is not None else {}), **members)


def cancel_lane(lane: str | None = None, **members: Any) -> Frame:
    """A cancel of whatever this lane runs."""
    return event("response.cancel", **({"stream_id": lane} if lane is not None else {}), **members)


def cancel(response_id: str, **members: Any) -> Frame:
    """A cancel of this response."""
    return event("response.cancel", response_id=response_id, **members)


def resume(response_id: str, **members: Any) -> Frame:
    """A resume of this response."""
    return event("response.resume", response_id=response_id, **members)


def detach(response_id: str, **members: Any) -> Frame:
    """The wish to have no more of this response."""
    return event("response.detach", response_id=response_id, **members)


def drain(connection: Connection) -> None:
    """The server goes down."""
    connection.drain(5.0)


def gone(connection: Connection) -> None:
    """The socket is lost."""
    connection.disconnected()


# -- what comes out


class Asked:
    """A command of this kind and with these members; afterwards it is `command`, and can be completed."""

    def __init__(self, kind: type[Any], **members: Any) -> None:
        self.kind = kind
        self.members = members
        self.command: Any = None

    def opened(self, answer: Answer) -> Callable[[Connection], None]:
        """The create leads to this response."""
        return lambda connection: connection.opened(self.command, answer)

    def resumed(self, answer: Answer, start: int = 0) -> Callable[[Connection], None]:
        """The resume attaches to this response."""
        return lambda connection: connection.resumed(self.command, answer, start)

    def stopped(self, answer: Answer) -> Callable[[Connection], None]:
        """The response will end."""
        return lambda connection: connection.stopped(self.command, answer)

    def truncated(self, answer: Answer, *, ended: bool = False) -> Callable[[Connection], None]:
        """The answer was cut; `ended`: it ran until then."""
        return lambda connection: connection.truncated(self.command, answer.response, answer if ended else None)

    def identified(self, tenant: str | None, now: float = 0.0) -> Callable[[Connection], object]:
        """The key is this tenant's."""
        return lambda connection: connection.identified(self.command, tenant, now)

    def refused(self, error: WireError) -> Callable[[Connection], None]:
        """The command can't be obeyed."""
        return lambda connection: connection.refused(self.command, error)

    def check(self, command: Command) -> None:
        """The command is the one that is meant."""
        assert isinstance(command, self.kind), command
        found = {name: getattr(command, name) for name in self.members}
        assert found == self.members
        self.command = command


class Events:
    """The events of a response with these numbers, as they are in its log."""

    def __init__(self, answer: Answer, *numbers: int) -> None:
        self.answer = answer
        self.numbers = numbers


class Nothing:
    """Neither a command nor a frame."""


NOTHING = Nothing()


def error(code: str, **members: Any) -> Frame:
    """An `error` with this code; of `error` itself: `param`, `message`, `retry`, `retry_after`."""
    inner = {name: members.pop(name) for name in ("param", "message", "retry", "retry_after") if name in members}
    return {"type": "error", "error": {"code": code, **inner}, **members}


def refusal(code: ErrorCode = ErrorCode.SERVER_IS_OVERLOADED) -> WireError:
    """What a service refuses with."""
    return WireError(code, "no")


# -- the dialogue


class Playbook:
    """One dialogue. Times that go in are `now`."""

    def __init__(
        self, profile: Profile = Profile.PLAIN, limits: ConnectionLimits = LIMITS, *, expires_at: float = FOREVER
    ) -> None:
        self.connection = Connection(profile, limits, tenant=TENANT, expires_at=expires_at, default_model="m")
        self.now = 0.0
        self._commands: deque[Command] = deque()
        self._frames: deque[Frame] = deque()

    def at(self, now: float) -> Self:
        """From here on it is this late."""
        self.now = now
        return self

    def __lshift__(self, given: Given) -> Self:
        if callable(given):
            given(self.connection)
        else:
            data = given if isinstance(given, bytes) else json.dumps(given).encode()
            self.connection.receive(data, self.now)
        self.obey()
        return self

    def __rshift__(self, expected: Asked | Command | Events | Frame | Nothing) -> Self:
        match expected:
            case Nothing():
                assert not self._commands, list(self._commands)
                self._fill()
                assert not self._frames, list(self._frames)
            case Asked():
                assert self._commands, f"no command, but {expected.kind}"
                expected.check(self._commands.popleft())
            case Events():
                for number in expected.numbers:
                    found = self._next_frame()
                    assert (found.get("response_id"), found["sequence_number"]) == (
                        expected.answer.response_id, number,
                    )  # fmt: skip
                    assert found == json.loads(expected.answer.written[number])
            case dict():
                found = self._next_frame()
                assert _part(found, expected) == expected, found
            case _:
                assert self._commands, f"no command, but {expected}"
                assert self._commands.popleft() == expected
        return self

    def pull(self, max_bytes: int = PULL) -> list[Frame]:
        """Everything that the connection has to send, or about this much of it."""
        frames = [*self._frames, *map(json.loads, self.connection.frames(max_bytes))]
        self._frames.clear()
        self.obey()
        return frames

    def obey(self) -> None:
        """Take the commands, to be expected and completed in the dialogue."""
        self._commands += self.connection.commands()

    def _fill(self) -> None:
        if not self._frames:
            self._frames += self.pull()

    def _next_frame(self) -> Frame:
        self._fill()
        assert self._frames, "no frame"
        return self._frames.popleft()


def _part(found: Any, expected: Any) -> Any:
    """As much of what was found as is expected; `None` stands for a member that is not there."""
    if not isinstance(expected, dict) or not isinstance(found, dict):
        return found
    return {name: _part(found.get(name), value) for name, value in expected.items()}


class Desk(Playbook):
    """A dialogue behind which a service obeys at once. `answers` are the responses that it started, by id.

    `refuse`: what the next creates are answered with.
    """

    def __init__(
        self,
        profile: Profile = Profile.PLAIN,
        limits: ConnectionLimits = LIMITS,
        *,
        expires_at: float = FOREVER,
        **log: int,
    ) -> None:
        super().__init__(profile, limits, expires_at=expires_at)
        self.answers: dict[str, Answer] = {}
        self.started: list[Create] = []
        self.stops: list[Stop] = []
        self.cuts: list[Stop | Truncate] = []
        self.left: list[Leave] = []
        self.refuse: WireError | None = None
        self._ids = count()
        self._log = log

    def start(self, lane: str | None = None, **members: Any) -> Answer:
        """A create that must be started at once."""
        before = len(self.answers)
        _ = self << create_in(lane, **members)
        assert len(self.answers) > before, "it was not started"
        return list(self.answers.values())[before]

    def turn(self, lane: str | None = None, **members: Any) -> Answer:
        """A whole turn: created, answered, delivered."""
        answer = self.start(lane, **members).say("x").finish()
        self.pull()
        return answer

    def obey(self) -> None:
        """See Playbook; here the service completes each command."""
        while commands := self.connection.commands():
            for command in commands:
                try:
                    self._carry_out(command)
                except WireError as refused:
                    self.connection.refused(command, refused)

    def _carry_out(self, command: Command) -> None:
        match command:
            case Create():
                if self.refuse is not None:
                    raise self.refuse
                self.started.append(command)
                response_id = f"resp_{next(self._ids)}"
                answer = Answer(response_id, request=command.request, stream_id=command.stream_id, **self._log)
                self.answers[response_id] = answer
                self.connection.opened(command, answer)
            case Stop(how="steer"):
                self.stops.append(command)
            case Stop(cuts_late=True) if self._find(command.response_id).log.sealed:
                self.cuts.append(command)
                self.connection.truncated(command, self._find(command.response_id).response, None)
            case Truncate():
                answer = self._find(command.response_id)
                ended = None if answer.log.sealed else answer.cancel()
                self.cuts.append(command)
                self.connection.truncated(command, answer.response, ended)
            case Stop():
                answer = self._find(command.response_id)
                if answer.log.sealed:
                    raise WireError(ErrorCode.RESPONSE_ALREADY_COMPLETED, "over")
                self.stops.append(command)
                self.connection.stopped(command, answer)
            case Resume():
                answer = self._find(command.response_id)
                start = cursor.resolve(answer.log, command.starting_after, command.epoch, merged=command.merged)
                self.connection.resumed(command, answer, start)
            case Identify():
                self.connection.identified(command, command.api_key.partition(" ")[0], self.now)
            case Beat():
                raise AssertionError("this service has no heartbeats")
            case Leave():
                self.left.append(command)

    def _find(self, response_id: str) -> Answer:
        if response_id not in self.answers:
            raise WireError(ErrorCode.RESPONSE_NOT_FOUND, "unknown")
        return self.answers[response_id]


def numbers(frames: list[Frame], answer: Answer) -> list[int]:
    """Of the events of this response."""
    return [frame["sequence_number"] for frame in frames if frame.get("response_id") == answer.response_id]


def codes(frames: list[Frame]) -> list[str]:
    """Of the errors."""
    return [frame["error"]["code"] for frame in frames if frame["type"] == "error"]
