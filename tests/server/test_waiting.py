"""Connections on which nobody is answered: the one that has waited longest makes room."""

from __future__ import annotations

from realtime.server.http.waiting import Waiting


class Line:
    """A connection that knows whether it was aborted."""

    def __init__(self) -> None:
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True


def test_the_one_that_has_waited_longest_makes_room_when_there_are_too_many_in_all() -> None:
    waiting = Waiting(3)
    first, second, third = lines = [Line() for _ in range(3)]
    for number, line in enumerate(lines, 1):
        waiting.enter(line)
        waiting.make_room(number)
    waiting.enter(first)  # it was answered meanwhile, and waits anew
    waiting.make_room(4)
    assert [line.aborted for line in lines] == [False, True, False]
    waiting.leave(third)
    waiting.leave(second)
    waiting.make_room(4)
    assert [line.aborted for line in lines] == [True, True, False]
    waiting.make_room(4)
    assert not third.aborted, "somebody is answered on it"
