"""Input given into a running response: steers and injections, and the fate of each. Pure.

The server answers in the order of sending and names the response, not the request, so the place tells which one is
answered. An input belongs to the connection on which it was sent: if the socket goes its fate is unknown, and the
caller is told that.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from .errors import ClientClosed, RealtimeError, RequestTooLarge, SteerFailed
from .track import Event, FinalResponse, Phase, Track

Kind = Literal["steer", "inject"]


class Fate(enum.Enum):
    """The server's progress with an input."""

    HELD = "held"  # waits here for a connection
    SENT = "sent"
    ACCEPTED = "accepted"
    PENDING = "pending"  # waits at the server for the outputs of calls, in `required_input`
    APPLIED = "applied"  # `successor` has it
    FAILED = "failed"


_OPEN = frozenset({Fate.HELD, Fate.SENT, Fate.ACCEPTED})  # a successor may come of it, without another create
_STOPPED = frozenset({"cancelled", "client_disconnected", "interrupted"})  # after these the server gives inputs back
# A call that a client answers -> the item that answers it.
_ANSWERS = {
    "function_call": "function_call_output",
    "custom_tool_call": "custom_tool_call_output",
    "computer_call": "computer_call_output",
    "shell_call": "shell_call_output",
    "local_shell_call": "local_shell_call_output",
    "apply_patch_call": "apply_patch_call_output",
    "tool_search_call": "tool_search_output",
}


class Steer:
    """One input that was given into a running response. Read it: `fate`, `id` (None for an injection), `input`,
    `required_input` once it is pending, `error` once it failed.
    """

    def __init__(self, kind: Kind, track: Track, input: Any, event_id: str) -> None:
        self.kind = kind
        self.input = input
        self.fate = Fate.HELD
        self.id: str | None = None
        self.required_input: list[dict[str, Any]] = []
        self.error: RealtimeError | None = None
        self._named = track  # the response that it was sent to
        self._track = track  # the one that it is for: an automatic successor, if the server had one already
        self._event_id = event_id
        self._late = False  # for a successor that we have not seen yet

    def __repr__(self) -> str:
        return f"<Steer {self.id or self.kind}: {self.fate.value}>"

    @property
    def is_answered(self) -> bool:
        """Return whether the server has accepted or refused it, or can't do either any more."""
        return self.fate not in (Fate.HELD, Fate.SENT)


class Inputs:
    """All inputs that are not finished. `changed` collects those with news; the session drains it."""

    def __init__(self) -> None:
        self.changed: set[Steer | Track] = set()
        self._open: list[Steer] = []  # in the order of sending
        self._num_given = 0

    def give(self, kind: Kind, track: Track, input: Any) -> Steer:
        """Give input to the newest of the response's automatic successors, as far as they are known here."""
        while track.successor is not None:
            track = track.successor
        steer = Steer(kind, track, input, f"{kind}.{self._num_given}")
        self._num_given += 1
        self._open.append(steer)
        self._count(track)
        return steer

    @property
    def is_waiting(self) -> bool:
        """Return whether something has to be sent."""
        return any(steer.fate is Fate.HELD for steer in self._open)

    def frames(self, max_bytes: float) -> list[str]:
        """Return the frames that can be sent now: to a response that this socket follows, or that is over (the server
        says so).
        """
        out = []
        for steer in [s for s in self._open if s.fate is Fate.HELD and (s._named.phase is Phase.LIVE or s._named.over)]:
            frame = _encode(steer)
            if len(frame.encode()) > max_bytes:
                self._fail(steer, RequestTooLarge(f"the server takes at most {max_bytes} bytes"))
            else:
                steer.fate = Fate.SENT
                out.append(frame)
        return out

    def held_lanes(self) -> dict[str | None, str | None]:
        """Return the lanes in which the server holds input, with the response whose calls must be answered there."""
        return {s._track.lane: s._track.response_id for s in self._open if s.fate is Fate.PENDING}

    def blocked_lanes(self) -> set[str | None]:
        """Return the lanes in which a successor may start: a create of ours would wait behind it, and look like it."""
        return {s._track.lane for s in self._open if s.fate in _OPEN}

    def parent(self, response_id: str | None, lane: str | None) -> Track | None:
        """Return the response of this id that waits for its successor in this lane."""
        tracks = (s._track for s in self._open if s._track.awaits_successor and s._track.lane == lane)
        return next((track for track in tracks if track.response_id == response_id), None)

    # -- what the server says

    def accepted(self, event: Event) -> None:
        """Note that the server holds the input. Input accepted after a response's end is for its successor."""
        ref = event["steer"]
        steer = self._first("steer", ref["previous_response_id"], Fate.SENT)
        if steer is not None:
            steer.id = ref["id"]
            self._accept(steer)

    def injected(self, event: Event) -> None:
        """Note that the server holds an injection."""
        steer = self._first("inject", event["response_id"], Fate.SENT)
        if steer is not None:
            self._accept(steer)

    def pending(self, event: Event) -> None:
        """Note that the response ended with calls: the next create that continues it takes the input along."""
        for steer in [s for s in self._open if s.id == event["steer"]["id"] and s.fate is Fate.ACCEPTED]:
            self._hold(steer, event.get("required_input") or [])

    def steer_failed(self, event: Event) -> None:
        """Note that the input was refused, or given back."""
        ref = event["steer"]
        if ref.get("id") is None:
            steer = self._first("steer", ref["previous_response_id"], Fate.SENT)
        else:
            steer = next((s for s in self._open if s.id == ref["id"]), None)
        if steer is not None:
            self._fail(steer, SteerFailed.of(event["error"], steer.input))

    def inject_failed(self, event: Event) -> None:
        """Note that an injection was refused, or given back. It has no id, so it is recognized by its contents."""
        same = (s for s in self._open if s.kind == "inject" and s._named.response_id == event["response_id"])
        steer = next((s for s in same if s.input == event.get("input")), None)
        if steer is not None:
            self._fail(steer, SteerFailed.of(event["error"], steer.input))

    def refused(self, event_id: str, error: RealtimeError) -> None:
        """Take an `error` that answers one: it was malformed."""
        for steer in [s for s in self._open if s._event_id == event_id and s.fate is Fate.SENT]:
            self._fail(steer, error)

    # -- what becomes of the response

    def ended(self, track: Track) -> None:
        """Note the terminal event. For injections that wait for the outputs of other calls, no event comes."""
        final = track.final
        given = [s for s in self._open if s._track is track and s.fate is Fate.ACCEPTED and not s._late]
        if not given or final is None or not _takes(final):
            return
        stubs = _required(final, (s.input for s in given))
        if stubs:
            for steer in given:
                if steer.kind == "inject":
                    self._hold(steer, stubs)

    def succeeded(self, parent: Track, successor: Track) -> None:
        """Note that the server started the successor: it has what was accepted before its parent's end."""
        for steer in [s for s in self._open if s._track is parent]:
            if steer._late:
                steer._late, steer._track = False, successor
                self._count(parent, successor)
            elif steer.fate is Fate.ACCEPTED:
                self._end(steer, Fate.APPLIED)

    def continued(self, lane: str | None, parent_id: str | None) -> None:
        """Note that one of our creates that answers the calls was accepted, and with it the input that waited
        for it.
        """
        for steer in [s for s in self._open if s.fate is Fate.PENDING and s._track.lane == lane]:
            if steer._track.response_id == parent_id:
                self._end(steer, Fate.APPLIED)

    def cut(self) -> None:
        """Note that the socket is gone, and with it what the server had."""
        text = "The connection was lost before it was clear what became of this input."
        for steer in [s for s in self._open if s.fate is not Fate.HELD]:
            self._fail(steer, SteerFailed("connection_lost", text, steer.input))

    def close(self, error: RealtimeError | None = None) -> None:
        """Send nothing more."""
        for steer in list(self._open):
            self._fail(steer, error or ClientClosed("the client was closed"))

    # -- small parts

    def _first(self, kind: Kind, response_id: str, fate: Fate) -> Steer | None:
        same = (s for s in self._open if s.kind == kind and s.fate is fate and s._named.response_id == response_id)
        return next(same, None)

    def _accept(self, steer: Steer) -> None:
        track = steer._named
        while track.terminal is not None and track.successor is not None:
            track = track.successor
        old, steer._track = steer._track, track
        steer._late = track.terminal is not None
        steer.fate = Fate.ACCEPTED
        self.changed.add(steer)
        self._count(old, track)

    def _hold(self, steer: Steer, stubs: list[dict[str, Any]]) -> None:
        steer.required_input, steer.fate = stubs, Fate.PENDING
        self.changed.add(steer)
        self._count(steer._track)

    def _fail(self, steer: Steer, error: RealtimeError) -> None:
        if steer.is_answered:
            steer._track.returned = error  # nobody waits for the answer any more: `successor` tells it
        steer.error = error
        self._end(steer, Fate.FAILED)

    def _end(self, steer: Steer, fate: Fate) -> None:
        steer.fate = fate
        self._open.remove(steer)
        self.changed.add(steer)
        self._count(steer._track)

    def _count(self, *tracks: Track) -> None:
        """Note whether a response waits for its successor: it does as long as one may come of its input."""
        for track in tracks:
            track.num_inputs = sum(s._track is track and s.fate in _OPEN for s in self._open)
            self.changed.add(track)


def _encode(steer: Steer) -> str:
    name = "previous_response_id" if steer.kind == "steer" else "response_id"
    frame = {"type": f"response.{steer.kind}", "event_id": steer._event_id, name: steer._named.response_id}
    return json.dumps(frame | {"input": steer.input}, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _takes(final: FinalResponse) -> bool:
    reason = (final.get("incomplete_details") or {}).get("reason")
    return final.get("status") in ("completed", "incomplete") and reason not in _STOPPED


def _required(final: FinalResponse, inputs: Iterable[Any]) -> list[dict[str, Any]]:
    """Return stubs of the outputs that are still missing, in the form of `response.steer.pending`."""
    items: list[Mapping[str, Any]] = [item for input in inputs if isinstance(input, list) for item in input]
    answered = {item.get("call_id") for item in items} | {item.get("approval_request_id") for item in items}
    stubs: list[dict[str, Any]] = []
    for item in final.get("output", ()):
        kind, call_id = item.get("type", ""), item.get("call_id", item.get("id"))
        if item.get("status") == "incomplete" or item.get("execution") == "server" or call_id in answered:
            continue
        if kind == "mcp_approval_request":
            stubs.append({"type": "mcp_approval_response", "approval_request_id": call_id})
        elif kind in _ANSWERS:
            stubs.append({"type": _ANSWERS[kind], "call_id": call_id})
    return stubs
