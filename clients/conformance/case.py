"""One run of one case: its steps become commands, and the answers are compared here."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .frames import Frames, Mismatch

FOLDER = Path(__file__).parent
RECORDING: list[dict[str, Any]] = json.loads((FOLDER / "recording.json").read_text("utf-8"))
CASES: list[dict[str, Any]] = json.loads((FOLDER / "cases.json").read_text("utf-8"))

Ask = Callable[[dict[str, Any]], dict[str, Any]]


class LeftOut(Exception):
    """An error: the driver does not know a command, or says that the client lacks something that the case needs."""


def encode(event: Any) -> str:
    """Encode an event as the server does."""
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"))


def recorded(number: int, response_id: str, lane: str | None) -> str:
    """Return event `number` of the recording, as the server sends it for this response."""
    event = json.loads(encode(RECORDING[number]).replace("$id", response_id)) | {"response_id": response_id}
    return encode(event | ({"stream_id": lane} if lane is not None else {}))


class Player:
    """The player of one case. `ask` gives a command to the driver and returns its answer."""

    def __init__(self, case: Mapping[str, Any], ask: Ask) -> None:
        self._needs: str | None = case.get("needs")
        self._steps: list[dict[str, Any]] = case["steps"]
        self._policy: dict[str, Any] = case.get("policy", {})
        self._ask = ask
        self._now = 1000.0
        self._state: dict[str, Any] = {}  # the newest answer
        self._frames = Frames()
        self._parents: dict[str, str] = {}  # a truncation -> its response
        self._served: dict[tuple[str, int], list[dict[str, Any]]] = {}
        self._last_read: dict[str, int] = {}

    def play(self) -> None:
        """Play all steps. Raises Mismatch, which names the step."""
        self._do("begin", policy=self._policy)
        if self._needs in self._state.get("lacks", []):
            raise LeftOut(f"it lacks {self._needs}")
        for number, step in enumerate(self._steps):
            verb, subject = next(iter(step.items()))
            try:
                self._step(verb, subject, step)
            except Mismatch as error:
                raise Mismatch(f"step {number} {encode(step)}:\n{error}") from None

    def _step(self, verb: str, subject: Any, step: dict[str, Any]) -> None:
        if (check := _CHECKS.get(verb)) is not None:
            check(self, subject, step)
        elif verb in _EVENTS:
            _EVENTS[verb](self, subject, step)
        elif verb in _CALLS:
            self._call(verb, subject, step)
        else:
            raise Mismatch(f"the runner does not know this step: {verb}")

    # -- what happens

    def _do(self, name: str, *, raises: str | None = None, **members: Any) -> Any:
        state = self._state = self._ask({"do": name, "now": self._now, **members})
        if state.get("unknown"):
            raise LeftOut(f"it does not know the command {name}")
        if state.get("broken"):
            raise Mismatch(f"broken: {state['broken']}")
        if state.get("raised") != raises:
            raise Mismatch(f"refused at once with {state.get('raised')!r}, expected {raises!r}")
        self._frames.take(state.get("sent") or [])
        return state.get("value")

    def _call(self, verb: str, name: str, step: dict[str, Any]) -> None:
        members = {key: step.get(key, default) for key, default in _CALLS[verb].items()}
        if verb in _NAMING:
            members["as"] = name
        else:
            members["of"] = name
        if verb == "create":
            self._frames.expect(name, members["body"])
        if verb == "truncate":
            self._parents[name] = members["of"]
        self._do(verb, raises=step.get("raises"), **members)
        if verb == "detach":
            _same("the cursor", self._look(name).get("cursor"), step["cursor"])

    def _wait(self, seconds: float, _: dict[str, Any]) -> None:
        self._now += seconds
        self._do("wait")

    def _refused(self, status: int, step: dict[str, Any]) -> None:
        body = step.get("body", "")
        text = body if isinstance(body, str) else encode(body)
        self._do("refused", status=status, body=text, retry_after=step.get("retry_after"))

    def _receive(self, event: dict[str, Any]) -> None:
        if isinstance(response_id := event.get("response_id"), str):
            self._served.setdefault((response_id, event["sequence_number"]), []).append(event)
        self._do("receive", data=encode(event))

    def _events(self, span: list[int], step: dict[str, Any]) -> None:
        lane = self._frames.lane(step["for"]) if "for" in step else None
        for number in range(span[0], span[1] + 1):
            self._receive(json.loads(recorded(number, step["of"], lane)))

    def _event(self, event: dict[str, Any], _: dict[str, Any]) -> None:
        self._receive(json.loads(re.sub(r'"\$(\w+)"', lambda name: encode(self._frames.bound(name[1])), encode(event))))

    # -- what must be

    def _sent(self, expected: list[dict[str, Any]], _: dict[str, Any]) -> None:
        self._frames.check(expected)

    def _read(self, name: str, step: dict[str, Any]) -> None:
        events = self._do("read", of=name, first=step.get("first")) or []
        _same("the events that were read", [event.get("sequence_number") for event in events], step["gives"])
        for event in events:
            served = self._served.get((event.get("response_id"), event["sequence_number"]), [])
            if event not in served:
                raise Mismatch(f"the server has not sent {encode(event)}")

    def _look(self, name: str) -> dict[str, Any]:
        value = self._do("look", of=name)
        if not isinstance(value, dict):
            raise Mismatch(f"no state of {name!r}: {value!r}")
        return value

    def _over(self, name: str, _: dict[str, Any]) -> None:
        _same("over", self._look(name).get("over", False), True)

    def _fails(self, name: str, step: dict[str, Any]) -> None:
        error = self._look(name).get("error") or {}
        _same_error(error, step["with"])
        if "status" in step:
            _same("status", error.get("status"), step["status"])
        if step.get("says", "") not in str(error.get("message")):
            raise Mismatch(f"the message {error.get('message')!r} lacks {step['says']!r}")

    def _refuses(self, name: str, step: dict[str, Any]) -> None:
        _same_error(self._look(name).get("cancel_error"), step["with"])

    def _fate(self, name: str, step: dict[str, Any]) -> None:
        steer = self._look(name)
        _same("the fate", steer.get("fate"), step["is"])
        _same("the code", (steer.get("error") or {}).get("code"), step.get("with"))
        _same("the outputs that are required", steer.get("requires") or [], step.get("requires", []))

    def _awaits(self, name: str, step: dict[str, Any]) -> None:
        _same("awaits_successor", self._look(name).get("awaits_successor", False), step["is"])

    def _truncated(self, name: str, step: dict[str, Any]) -> None:
        cut = self._look(name)
        final = cut.get("final")
        _same("truncated", final and final.get("truncated"), step.get("at"))
        _same("the code", (cut.get("error") or {}).get("code"), step.get("with"))
        if "final" in step:
            _same("the text that is left", _text(final or {}), step["final"])
            kept = self._look(self._parents[name]).get("final") or {}
            _same("truncated, of the response itself", kept.get("truncated"), step["at"])

    def _updated(self, name: str, step: dict[str, Any]) -> None:
        update = self._look(name)
        _same("the state", update.get("state"), step.get("state"))
        _same("the code", (update.get("error") or {}).get("code"), step.get("with"))

    def _characters(self, number: int, step: dict[str, Any]) -> None:
        _same("through", self._do("characters", of=step["of"], number=number), step["are"])

    def _is_in_state(self, expected: str, _: dict[str, Any]) -> None:
        _same("the state of the connection", self._state.get("state"), expected)

    def _flag(self, member: str) -> Callable[[bool], None]:
        return lambda expected: _same(member, bool(self._state.get(member)), expected)


# The commands that are calls of the caller: their members and what stands for one that is left out.
_CALLS: Mapping[str, Mapping[str, Any]] = {
    "create": {"body": None},
    "resume": {"response_id": None, "starting_after": -1, "epoch": None},
    "cancel": {"through": None},
    "interrupt": {},
    "leave": {},
    "detach": {},
    "abandon": {},
    "ack": {"through": None},
    "truncate": {"of": None, "members": None},
    "steer": {"of": None, "input": None},
    "inject": {"of": None, "input": None},
    "update": {"members": None},
    "successor": {"of": None},
}
_NAMING = frozenset({"create", "resume", "truncate", "steer", "inject", "update", "successor"})
_Step = Callable[[Player, Any, dict[str, Any]], None]
_EVENTS: Mapping[str, _Step] = {
    "open": lambda player, _, __: player._do("open"),
    "closed": lambda player, code, _: player._do("closed", code=code),
    "refused": Player._refused,
    "wait": Player._wait,
    "events": Player._events,
    "event": Player._event,
}
_CHECKS: Mapping[str, _Step] = {
    "sent": Player._sent,
    "read": Player._read,
    "over": Player._over,
    "fails": Player._fails,
    "refuses": Player._refuses,
    "fate": Player._fate,
    "awaits": Player._awaits,
    "truncated": Player._truncated,
    "updated": Player._updated,
    "characters": Player._characters,
    "state": Player._is_in_state,
    "connecting": lambda player, expected, _: player._flag("wants_socket")(expected),
    "dials": lambda player, expected, _: player._flag("dials")(expected),
    "silent": lambda player, expected, _: player._flag("gave_up")(expected),
}


def _same(what: str, got: Any, expected: Any) -> None:
    if got != expected:
        raise Mismatch(f"  {what}\n    expected {encode(expected)}\n    got      {encode(got)}")


def _same_error(error: Any, expected: str) -> None:
    """Check an error: by the code of a `server_error`, else by the kind. Raises Mismatch."""
    if not error:
        raise Mismatch(f"  no error; expected {expected}")
    _same("the error", error.get("code") if error.get("kind") == "server_error" else error.get("kind"), expected)


def _text(response: Mapping[str, Any]) -> str:
    parts = (part for item in response.get("output", ()) for part in item.get("content") or ())
    return "".join(part["text"] for part in parts if part.get("type") == "output_text")
