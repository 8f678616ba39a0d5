"""The open responses of one client: by serial and by id, which have changed, and when one of them is due. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from .errors import RealtimeError
from .inputs import Inputs
from .track import Phase, Track


class Tracks:
    """The tracks of one client. `due_at`: when one of them may have something to send though nothing else happens."""

    def __init__(self, inputs: Inputs) -> None:
        self.changed: set[Track] = set()
        self.due_at = 0.0
        self._inputs = inputs
        self._open: dict[int, Track] = {}  # oldest first
        self._by_id: dict[str, Track] = {}
        self._next_serial = 0

    def __iter__(self) -> Iterator[Track]:
        return iter(list(self._open.values()))

    def new(self, phase: Phase) -> Track:
        """Return a track that is not open yet."""
        return Track(self._next_serial, phase)

    def open(self, track: Track) -> Track:
        """Begin to serve a track."""
        self._open[track.serial] = track
        self._next_serial += 1
        if track.response_id is not None:
            self._by_id[track.response_id] = track
        self.due_at = 0.0
        return track

    def identify(self, track: Track, response_id: str) -> None:
        """Note the id that the server has given it."""
        track.response_id = response_id
        self._by_id[response_id] = track

    def of_id(self, response_id: str) -> Track | None:
        """Return the open track of this id."""
        return self._by_id.get(response_id)

    def of_serial(self, serial: str) -> Track | None:
        """Return the open track of this number, as it stands in an `event_id`."""
        return self._open.get(int(serial)) if serial.isdecimal() and len(serial) < 20 else None

    def move(self, track: Track, phase: Phase) -> None:
        """Move a track to another phase, and wake those who wait for it."""
        track.move(phase)
        self.changed.add(track)
        self.due_at = 0.0

    def fail(self, track: Track, error: RealtimeError) -> None:
        """End a track with an error for its caller."""
        track.error = error
        self.end(track)

    def end(self, track: Track) -> None:
        """Note that nothing more will come."""
        self.move(track, Phase.OVER)
        self._inputs.ended(track)
        self._open.pop(track.serial, None)
        self.forget_id(track)

    def forget_id(self, track: Track) -> None:
        """Release the id: another track may follow this response."""
        if self._by_id.get(track.response_id or "") is track:
            del self._by_id[track.response_id or ""]

    def cut(self, track: Track) -> None:
        """Take the end of a socket for one track."""
        track.cancel_sent = track.acked_sent = False
        if track.phase is Phase.CREATING:
            if track.abandoned:
                self.end(track)
            else:
                self.move(track, Phase.HELD)
        elif track.phase in (Phase.LIVE, Phase.RESUMING):
            self.move(track, Phase.LOST)
