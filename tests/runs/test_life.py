"""The table of a run's states: what is reachable, what is refused, and in which words."""

from __future__ import annotations

import pytest

from realtime.runs.life import TRANSITIONS, IllegalTransition, Life, State


def reachable(start: State) -> set[State]:
    found, new = set[State](), {start}
    while new:
        found |= new
        new = {there for here in new for there in TRANSITIONS[here]} - found
    return found


def test_the_table_says_something_of_every_state_and_reaches_every_one() -> None:
    assert set(TRANSITIONS) == set(State)
    assert reachable(State.CREATED) == set(State)


def test_every_state_leads_to_the_end_and_only_the_last_one_is_final() -> None:
    for state in State:
        assert State.OVER in reachable(state)
    assert [state for state in State if not TRANSITIONS[state]] == [State.OVER]


def test_whatever_runs_may_end_at_any_time_and_only_once() -> None:
    before = set(State) - {State.CREATED, State.ENDING, State.OVER}
    assert {state for state in State if State.ENDING in TRANSITIONS[state]} == before
    assert {state for state in State if State.OVER in TRANSITIONS[state]} == {State.ENDING}


def test_only_generations_go_round() -> None:
    again = {state for state in State if state in {far for near in TRANSITIONS[state] for far in reachable(near)}}
    assert again == {State.RENDERING, State.GENERATING, State.PUT_ASIDE, State.CALLING_TOOLS}


def test_a_life_with_everything_in_it() -> None:
    life = Life()
    way = [state for state in State if state is not State.CREATED]
    way[-2:-2] = [State.RENDERING, State.GENERATING]
    way.insert(way.index(State.PUT_ASIDE) + 1, State.GENERATING)
    for state in way:
        life.enter(state)
        assert life.state is state
        assert life.queued == (state is State.QUEUED)
        assert life.put_aside == (state is State.PUT_ASIDE)
        assert life.over == (state is State.OVER)


@pytest.mark.parametrize(
    ("here", "there"),
    [
        (State.CREATED, State.STARTED),
        (State.ADMITTED, State.QUEUED),
        (State.ADMITTED, State.ADMITTED),
        (State.GENERATING, State.ADMITTED),
        (State.GENERATING, State.RENDERING),
        (State.ENDING, State.ENDING),
        (State.OVER, State.ENDING),
    ],
)
def test_what_is_not_in_the_table_is_refused_and_changes_nothing(here: State, there: State) -> None:
    life = Life()
    life.state = here
    with pytest.raises(IllegalTransition):
        life.enter(there)
    assert life.state is here


def test_the_refusal_says_where_it_is_where_it_was_to_go_and_where_it_can_go() -> None:
    assert str(IllegalTransition(State.GENERATING, State.QUEUED)) == (
        "a run that is generating can't become queued; from here it becomes put aside, calling tools, ending"
    )
    assert str(IllegalTransition(State.OVER, State.ENDING)).endswith("from here it becomes nothing")


def test_the_history_is_known_from_the_start_on_and_not_forgotten() -> None:
    life = Life()
    for state in (State.QUEUED, State.ADMITTED):
        life.enter(state)
        assert not life.knows_history
    for state in (State.STARTED, State.ENDING, State.OVER):
        life.enter(state)
        assert life.knows_history


def test_a_run_that_ends_while_it_waits_never_knew_its_history() -> None:
    life = Life()
    for state in (State.QUEUED, State.ENDING, State.OVER):
        life.enter(state)
    assert not life.knows_history


def test_no_successor_takes_over_while_tools_are_called_or_at_the_end() -> None:
    life = Life()
    unsafe = set()
    for state in State:
        life.state = state
        if not life.may_be_steered:
            unsafe.add(state)
    assert unsafe == {State.CALLING_TOOLS, State.ENDING, State.OVER}
