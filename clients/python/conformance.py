"""The driver of the Python client for clients/conformance: commands on stdin, the pure session's actions on stdout."""

from __future__ import annotations

import json
import random
import re
import sys
from collections.abc import Callable
from typing import Any

from realtime_client import ConnectionLost, Policy, RealtimeError, ServerError, Steer, SteerFailed
from realtime_client.cuts import Cut
from realtime_client.liveness import Update
from realtime_client.session import Session
from realtime_client.track import Track

URL = "ws://127.0.0.1:8000/v1/responses"


class Driver:
    """One client, and the objects that the runner has named."""

    def __init__(self, policy: dict[str, Any]) -> None:
        self._session = Session(Policy(**policy), "test", random.Random(0))
        self._named: dict[str, Any] = {}
        self._now = 0.0
        self._dials = False
        self._sent: list[str] = []

    def act(self, command: dict[str, Any]) -> dict[str, Any]:
        """Carry out one command and return what the client does then."""
        self._pass_time(command["now"])
        answer: dict[str, Any] = {}
        try:
            do: Callable[[dict[str, Any]], Any] | None = getattr(self, f"_{command['do']}", None)
            if do is None:
                return {"unknown": True}
            answer["value"] = do(command)
        except RealtimeError as error:
            answer["raised"] = _kind(error)
        self._rest()
        answer["sent"], self._sent = self._sent, []
        answer["wants_socket"], answer["dials"] = self._session.connect_at is not None, self._dials
        answer["state"] = self._session.state
        answer["gave_up"] = self._session.is_silent(self._now)
        return answer

    def _pass_time(self, now: float) -> None:
        """Let attempts to open a socket end and begin as they are due."""
        while self._dials and self._session.dial_until <= now:
            self._now = self._session.dial_until
            self._end_dial(ConnectionLost.timed_out(URL))
            self._dial(now)
        self._now = now
        self._dial(now)

    def _rest(self) -> None:
        self._sent += self._session.frames(self._now)
        self._dial(self._now)

    def _dial(self, now: float) -> None:
        at = self._session.connect_at
        if at is None:
            self._dials = False
        elif at <= now and not self._dials:
            self._dials = True
            self._session.connecting(max(at, self._now))

    def _end_dial(self, lost: ConnectionLost) -> None:
        self._dials = False
        self._session.disconnected(lost, self._now)

    # -- the client's life

    def _open(self, _: dict[str, Any]) -> None:
        self._dials = False
        self._session.connected(self._now)

    def _closed(self, command: dict[str, Any]) -> None:
        self._end_dial(ConnectionLost.closed(command["code"]))

    def _refused(self, command: dict[str, Any]) -> None:
        self._end_dial(ConnectionLost.refused(URL, command["status"], command["body"], command["retry_after"]))

    def _receive(self, command: dict[str, Any]) -> None:
        self._session.receive(command["data"], self._now)

    def _wait(self, _: dict[str, Any]) -> None:
        """Let time pass."""

    # -- the caller's calls

    def _create(self, command: dict[str, Any]) -> None:
        self._named[command["as"]] = self._session.create(command["body"])

    def _resume(self, command: dict[str, Any]) -> None:
        cursor = command["response_id"], command["starting_after"], command["epoch"]
        self._named[command["as"]] = self._session.resume(*cursor)

    def _read(self, command: dict[str, Any]) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = []
        first = command["first"] or sys.maxsize
        while len(events) < first and (event := self._session.take(self._of(command))) is not None:
            events.append(event)
        return events

    def _cancel(self, command: dict[str, Any]) -> None:
        self._session.cancel(self._of(command), command["through"])

    def _interrupt(self, command: dict[str, Any]) -> None:
        self._session.cancel(self._of(command), stop="interrupt")

    def _leave(self, command: dict[str, Any]) -> None:
        self._session.leave(self._of(command))

    def _detach(self, command: dict[str, Any]) -> None:
        self._session.detach(self._of(command))

    def _abandon(self, command: dict[str, Any]) -> None:
        self._session.abandon(self._of(command))

    def _ack(self, command: dict[str, Any]) -> None:
        self._session.ack(self._of(command), command["through"])

    def _truncate(self, command: dict[str, Any]) -> None:
        self._named[command["as"]] = self._session.truncate(self._of(command), command["members"])

    def _steer(self, command: dict[str, Any]) -> None:
        self._named[command["as"]] = self._session.give("steer", self._of(command), command["input"])

    def _inject(self, command: dict[str, Any]) -> None:
        self._named[command["as"]] = self._session.give("inject", self._of(command), command["input"])

    def _update(self, command: dict[str, Any]) -> None:
        self._named[command["as"]] = self._session.update(command["members"])

    def _successor(self, command: dict[str, Any]) -> None:
        successor = self._session.take_successor(self._of(command))
        assert successor is not None
        self._named[command["as"]] = successor

    def _characters(self, command: dict[str, Any]) -> int:
        return self._of(command).through_at(command["number"])

    def _look(self, command: dict[str, Any]) -> dict[str, Any]:
        match self._named[command["of"]]:
            case Track() as track:
                return _response(track)
            case Steer() as steer:
                requires = [stub["call_id"] for stub in steer.required_input]
                return {"fate": steer.fate.value, "error": _error(steer.error), "requires": requires}
            case Cut() as cut:
                return {"final": cut.final, "error": _error(cut.error)}
            case Update() as update:
                return {"state": update.state, "error": _error(update.error)}
        raise AssertionError(command)

    def _of(self, command: dict[str, Any]) -> Track:
        track: Track = self._named[command["of"]]
        return track


def _response(track: Track) -> dict[str, Any]:
    return {
        "over": track.terminal is not None,
        "error": _error(track.error),
        "cursor": track.cursor._asdict() if track.response_id is not None else None,
        "awaits_successor": track.awaits_successor,
        "final": track.final,
        "cancel_error": _error(track.cancel_refusal),
    }


def _error(error: RealtimeError | None) -> dict[str, Any] | None:
    if error is None:
        return None
    code, status = getattr(error, "code", None), getattr(error, "status", None)
    return {"kind": _kind(error), "code": code, "status": status, "message": str(error)}


def _kind(error: Exception) -> str:
    if isinstance(error, ServerError | SteerFailed):
        return "server_error"
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(error).__name__).lower()


class Client:
    """The answering side: the driver of the newest client."""

    def __init__(self) -> None:
        self._driver = Driver({})

    def answer(self, command: dict[str, Any]) -> dict[str, Any]:
        """Carry out the command, whatever happens."""
        try:
            if command["do"] != "begin":
                return self._driver.act(command)
            self._driver = Driver(command["policy"])
        except Exception as error:
            return {"broken": repr(error)}
        return {}


def main() -> None:
    """Answer each line until there are no more."""
    client = Client()
    for line in sys.stdin:
        answer = client.answer(json.loads(line))
        answer = {member: value for member, value in answer.items() if value not in (None, False, [])}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
