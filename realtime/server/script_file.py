"""The script for `--engine scripted`: the texts of responses, and the faults of connections. For tests of clients.

`clients/conformance/README.md` has the form of the file and an example.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from realtime.engine.base import EngineRequest, FinishReason
from realtime.engine.scripts import Die, Fail, Finish, Pause, Step

_Seconds = Annotated[float, Meta(ge=0, le=3600)]
_Messages = Annotated[int, Meta(ge=0)]
_MOST = 10**9
_NEVER_SENT = frozenset({1004, 1005, 1006, *range(1015, 3000)})  # RFC 6455, 7.4


class CannotPlay(Exception):
    """An error: the file is missing, or is not a script."""


class Act(msgspec.Struct, forbid_unknown_fields=True):
    """A step that is not text: exactly one of these."""

    pause: Annotated[int, Meta(ge=1, le=_MOST)] | None = None  # ticks
    fail: str | None = None
    die: str | None = None
    finish: Literal["stop", "length"] | None = None

    def __post_init__(self) -> None:
        if sum(one is not None for one in (self.pause, self.fail, self.die, self.finish)) != 1:
            raise ValueError("a step is a text, or exactly one of pause, fail, die and finish")

    def step(self) -> Step:
        """Return the step in the engine's form."""
        if self.pause is not None:
            return Pause(self.pause)
        if self.fail is not None:
            return Fail(self.fail)
        return Die(self.die) if self.die is not None else Finish(FinishReason[str(self.finish).upper()])


class Answer(msgspec.Struct, forbid_unknown_fields=True):
    """The steps of one response: each text is one token."""

    say: Annotated[list[str | Act], Meta(min_length=1)]
    repeat: Annotated[int, Meta(ge=1, le=_MOST)] = 1  # all of it, so often


class Refusal(msgspec.Struct, forbid_unknown_fields=True):
    """An answer to a handshake that does not open a socket."""

    status: Annotated[int, Meta(ge=400, le=599)]
    body: dict[str, Any] | str = ""
    retry_after: Annotated[int, Meta(ge=0)] | None = None

    def __post_init__(self) -> None:
        try:
            self.content()
        except TypeError as error:  # TOML has dates
            raise ValueError(f"the body is no JSON: {error}") from None

    def content(self) -> bytes:
        """The body as it is sent."""
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()


class ConnectionFaults(msgspec.Struct, forbid_unknown_fields=True):
    """The faults of one WebSocket. Messages are counted as the server sends them; `session.created` is the first."""

    refuse: Refusal | None = None
    cut_after: _Messages | None = None  # so many messages
    close_code: Annotated[int, Meta(ge=1000, le=4999)] | None = None  # the cut is a close frame, not a reset
    hole_after: _Messages | None = None  # so many messages nothing passes any more, here and on every new socket
    hole_seconds: _Seconds = 8.0  # for so long
    delay_seconds: _Seconds = 0.0  # each message is late
    lose: list[_Messages] = []  # these messages, from 0, are not sent

    def __post_init__(self) -> None:
        if self.close_code in _NEVER_SENT:
            raise ValueError(f"no close frame has the code {self.close_code}: leave it out for a cut without one")


class ScriptFile(msgspec.Struct, forbid_unknown_fields=True):
    """A script: the n-th response and the n-th connection get the n-th entry. After the last entry: the last answer,
    and no faults.
    """

    responses: Annotated[list[Answer], Meta(min_length=1)]
    connections: list[ConnectionFaults] = []
    tick_seconds: Annotated[float, Meta(gt=0, le=60)] = 0.005  # a token of each running response in each tick

    _num_responses: int = 0

    def script(self, _: EngineRequest) -> Iterator[Step]:
        """Return the steps of the next response."""
        answer = self.responses[min(self._num_responses, len(self.responses) - 1)]
        self._num_responses += 1
        steps = [step if isinstance(step, str) else step.step() for step in answer.say]
        return (step for _ in range(answer.repeat) for step in steps)


def read_script(path: Path) -> ScriptFile:
    """Read a script. Raises CannotPlay."""
    try:
        return msgspec.convert(tomllib.loads(path.read_text("utf-8")), ScriptFile)
    except (OSError, ValueError, RecursionError) as error:
        raise CannotPlay(f"the script {path} can't be played: {error}") from error
