"""The Python adapter for the cases of clients/conformance: plays a case against the pure session."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

from realtime_client import ConnectionLost, Policy, ServerError, Steer
from realtime_client.cuts import Cut
from realtime_client.liveness import Update
from realtime_client.session import Session
from realtime_client.track import Track

FOLDER = Path(__file__).parents[1] / "conformance"
RECORDING: list[dict[str, Any]] = json.loads((FOLDER / "recording.json").read_text())
CASES: list[dict[str, Any]] = json.loads((FOLDER / "cases.json").read_text())


def encode(event: Any) -> str:
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"))


def recorded(number: int, response_id: str, lane: str | None) -> str:
    """Event `number` of the recording, as the server would send it for this response."""
    event = json.loads(encode(RECORDING[number]).replace("$id", response_id)) | {"response_id": response_id}
    return encode(event | ({"stream_id": lane} if lane is not None else {}))


class Player:
    """One run of one case."""

    def __init__(self, case: dict[str, Any]) -> None:
        self._session = Session(Policy(**case.get("policy", {})), "test", random.Random(0))
        self._steps = case["steps"]
        self._tracks: dict[str, Track] = {}
        self._steers: dict[str, Steer] = {}
        self._updates: dict[str, Update] = {}
        self._cuts: dict[str, Cut] = {}
        self._bound: dict[str, Any] = {}
        self._frames: list[dict[str, Any]] = []
        self._now = 1000.0

    def play(self) -> None:
        for number, step in enumerate(self._steps):
            verb, subject = next(iter(step.items()))
            try:
                getattr(self, f"_{verb}")(subject, step)
            except AssertionError as error:
                raise AssertionError(f"step {number} {step}: {error}") from error
            self._frames += map(json.loads, self._session.frames(self._now))

    def _open(self, _: Any, __: dict[str, Any]) -> None:
        self._session.connected(self._now)

    def _closed(self, code: int, _: dict[str, Any]) -> None:
        self._session.disconnected(ConnectionLost.closed(code), self._now)

    def _wait(self, seconds: float, _: dict[str, Any]) -> None:
        self._now += seconds

    def _create(self, name: str, step: dict[str, Any]) -> None:
        self._tracks[name] = self._session.create(step["body"])

    def _resume(self, name: str, step: dict[str, Any]) -> None:
        self._tracks[name] = self._session.resume(step["response_id"], step["starting_after"], step.get("epoch"))

    def _cancel(self, name: str, step: dict[str, Any]) -> None:
        self._session.cancel(self._tracks[name], step.get("through"))

    def _interrupt(self, name: str, _: dict[str, Any]) -> None:
        self._session.cancel(self._tracks[name], stop="interrupt")

    def _ack(self, name: str, step: dict[str, Any]) -> None:
        self._session.ack(self._tracks[name], step["through"])

    def _truncate(self, name: str, step: dict[str, Any]) -> None:
        self._cuts[name] = self._session.truncate(self._tracks[step["of"]], step["members"])

    def _truncated(self, name: str, step: dict[str, Any]) -> None:
        cut = self._cuts[name]
        assert (cut.final["truncated"] if cut.final is not None else None) == step.get("at"), cut.final
        assert getattr(cut.error, "code", None) == step.get("with"), cut.error
        if "final" in step:
            final = cut.track.final
            assert final is not None
            assert (final.output_text, final.is_cut_at(step["at"]["through"])) == (step["final"], True)

    def _characters(self, number: int, step: dict[str, Any]) -> None:
        through = self._tracks[step["of"]].through_at(number)
        assert through == step["are"], through

    def _leave(self, name: str, _: dict[str, Any]) -> None:
        self._session.leave(self._tracks[name])

    def _steer(self, name: str, step: dict[str, Any]) -> None:
        self._steers[name] = self._session.give("steer", self._tracks[step["of"]], step["input"])

    def _inject(self, name: str, step: dict[str, Any]) -> None:
        self._steers[name] = self._session.give("inject", self._tracks[step["of"]], step["input"])

    def _fate(self, name: str, step: dict[str, Any]) -> None:
        steer = self._steers[name]
        assert steer.fate.value == step["is"], steer
        assert getattr(steer.error, "code", None) == step.get("with"), steer.error
        assert [stub["call_id"] for stub in steer.required_input] == step.get("requires", [])

    def _awaits(self, name: str, step: dict[str, Any]) -> None:
        assert self._tracks[name].awaits_successor == step["is"]

    def _successor(self, name: str, step: dict[str, Any]) -> None:
        successor = self._session.take_successor(self._tracks[step["of"]])
        assert successor is not None
        self._tracks[name] = successor

    def _update(self, name: str, step: dict[str, Any]) -> None:
        self._updates[name] = self._session.update(step["members"])

    def _updated(self, name: str, step: dict[str, Any]) -> None:
        update = self._updates[name]
        assert update.state == step.get("state")
        assert getattr(update.error, "code", None) == step.get("with")

    def _silent(self, expected: bool, _: dict[str, Any]) -> None:
        assert self._session.is_silent(self._now) == expected

    def _abandon(self, name: str, _: dict[str, Any]) -> None:
        self._session.abandon(self._tracks[name])

    def _detach(self, name: str, step: dict[str, Any]) -> None:
        self._session.detach(self._tracks[name])
        cursor = self._tracks[name].cursor._asdict()
        assert cursor == step["cursor"], cursor

    def _events(self, span: list[int], step: dict[str, Any]) -> None:
        lane = self._tracks[step["for"]].lane if "for" in step else None
        for number in range(span[0], span[1] + 1):
            self._session.receive(recorded(number, step["of"], lane), self._now)

    def _event(self, event: dict[str, Any], _: dict[str, Any]) -> None:
        text = re.sub(r'"\$(\w+)"', lambda name: json.dumps(self._bound[name[1]]), encode(event))
        self._session.receive(text, self._now)

    def _read(self, name: str, step: dict[str, Any]) -> None:
        numbers: list[int] = []
        while len(numbers) < step.get("first", 10**6) and (event := self._session.take(self._tracks[name])):
            numbers.append(event["sequence_number"])
        assert numbers == step["gives"], numbers

    def _sent(self, expected: list[dict[str, Any]], _: dict[str, Any]) -> None:
        """Exactly these frames since the last `sent`; of each, at least these members."""
        frames, self._frames = self._frames, []
        assert len(frames) == len(expected), frames
        for frame, wanted in zip(frames, expected, strict=True):
            for key, value in wanted.items():
                assert frame.get(key) == self._value(value, frame.get(key)), frame

    def _value(self, value: Any, seen: Any) -> Any:
        """`$name` stands for whatever was seen where it came first."""
        return self._bound.setdefault(value[1:], seen) if isinstance(value, str) and value[:1] == "$" else value

    def _over(self, name: str, _: dict[str, Any]) -> None:
        assert self._tracks[name].terminal is not None

    def _fails(self, name: str, step: dict[str, Any]) -> None:
        error = self._tracks[name].error
        code = error.code if isinstance(error, ServerError) else _snake(type(error).__name__)
        assert code == step["with"], code

    def _connecting(self, expected: bool, _: dict[str, Any]) -> None:
        assert (self._session.connect_at is not None) == expected


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
