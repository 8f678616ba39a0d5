"""The choice of a lane (`stream_id`) for a create. Pure.

A lane runs one response at a time, so concurrent creates need lanes of their own. `response.created` names the lane,
not the request, so having one create at a time in a lane also makes its confirmation exact. A server keeps a `store:
false` answer only as the last of its lane: a continuation goes where its parent is, other work elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

_NUM_SHARED = 8


def lane_of_request(request_id: str) -> str:
    """Return the lane of a request that the caller has named: the same in every process and language, because the body
    of a retry must be the same. With the default pool this leaves 8 of a connection's 32 lane names to the caller.
    """
    return f"request-{sum(request_id.encode()) % _NUM_SHARED}"


class Lanes:
    """A fixed pool, least recently used first. `prefix` keeps the names apart from those of every other client."""

    def __init__(self, prefix: str, count: int) -> None:
        self._last: dict[str, str | None] = {f"{prefix}-{index}": None for index in range(count)}

    def choose(
        self,
        busy: Collection[str | None],
        previous_response_id: str | None,
        held: Mapping[str | None, str | None] | None = None,
    ) -> str | None:
        """Return a free lane: the parent's if there is one, else the one idle longest. None: all are busy.

        `held`: the lanes in which the server holds input for what continues this response. That create must go there,
        whoever the lane belongs to; any other create there makes the server give the input back, so it goes there last.
        """
        held = held or {}
        for lane, parent in held.items():
            if previous_response_id is not None and parent == previous_response_id:
                return None if lane in busy else lane
        free = sorted((lane for lane in self._last if lane not in busy), key=lambda lane: lane in held)  # stable
        at_home = (lane for lane in free if previous_response_id and self._last[lane] == previous_response_id)
        return next(at_home, free[0] if free else None)

    def used(self, lane: str | None, response_id: str) -> None:
        """Note that this response is now the last one of its lane."""
        if lane in self._last:
            del self._last[lane]
            self._last[lane] = response_id
