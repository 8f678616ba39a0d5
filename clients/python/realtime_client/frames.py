"""The client events that a session sends about its responses, as text. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .track import Track


def encode(value: Mapping[str, Any]) -> str:
    """Encode JSON compactly, so that a create is measured and repeated in the same form."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def ask(kind: str, track: Track, **members: Any) -> str:
    """Return a client event about one response. Its `event_id` tells where an `error` that answers it belongs."""
    named = {"event_id": f"{kind}.{track.serial}", "response_id": track.response_id}
    return encode({"type": f"response.{kind}", **named, **members})


def create(track: Track, body: Mapping[str, Any]) -> str:
    """Return the `response.create`, still without its lane."""
    fixed = {"type": "response.create", "event_id": f"create.{track.serial}", "request_id": track.request_id}
    return encode({**body, **fixed, "catch_up": track.catch_up})


def resume(track: Track) -> str:
    """Return the event that follows the response from its cursor."""
    members: dict[str, Any] = {"starting_after": track.next_number - 1, "catch_up": track.catch_up}
    if track.epoch is not None:
        members["epoch"] = track.epoch
    return ask("resume", track, **members)


def stop(track: Track) -> str:
    """Return the event that stops the response. An `ack` holds for the socket that it was sent on, so a cancel itself
    says where the answer is cut.
    """
    through = track.heard(track.through)
    cut = {"through": through} if through is not None and track.stop == "cancel" else {}
    return ask(track.stop, track, **cut)


def detach(track: Track) -> str:
    """Return the event that detaches the response."""
    return ask("detach", track)


def parting(track: Track) -> list[str]:
    """Return the events that leave a response that this socket follows, with a cancel if that is wanted and not sent
    yet.
    """
    cancel = [stop(track)] if track.cancel_wanted and not track.cancel_sent else []
    return [*cancel, detach(track)]
