"""The fleet on paper: its arithmetic, and that nobody is lost, counted twice, or back before it can be."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.fleet import FAST, SLOW, Costs, Load, Node, Storm, capacity, come_back
from realtime_client.policy import Policy

ONE = Costs(event=10.0, handshake=1000.0, resume=0.0, replay=10.0)  # a thousand clients a second


def test_what_a_load_needs() -> None:
    found = capacity(
        Load(sessions=100_000, active=0.1, tokens_per_second=10), ONE, Node(engine_tokens=10_000, spare=0.5)
    )
    assert found.nodes == 20  # 100,000 events a second, of which a node's engine is to make 5,000
    assert found.loop == pytest.approx(0.05)
    assert found.stores == 2  # 0.89 of one, which is to be half free
    assert found.adopted_per_node == pytest.approx(250)


def test_ten_times_the_sessions_are_ten_times_the_fleet() -> None:
    one, ten = (capacity(Load(sessions=sessions), FAST) for sessions in (1_000_000, 10_000_000))
    assert ten.nodes == pytest.approx(10 * one.nodes, rel=0.01)
    assert ten.loop == pytest.approx(one.loop, rel=0.01)


def test_a_queue_is_served_in_turn() -> None:
    found = come_back(Storm(jittered=False), ONE, per_node=1000, busy=0.0, nodes=1)
    assert found.attempts == 1
    assert found.at[0] == pytest.approx(0.251)
    assert found.at[-1] == pytest.approx(1.25)
    assert found.backlog == pytest.approx(0.999)


def test_who_is_not_waited_for_costs_all_the_same() -> None:
    patient = come_back(Storm(), SLOW, per_node=4000, busy=0.3, nodes=2, policy=Policy(connect_timeout_seconds=60))
    hasty = come_back(Storm(), SLOW, per_node=4000, busy=0.3, nodes=2, policy=Policy(connect_timeout_seconds=2))
    assert hasty.attempts > 1.5
    assert patient.gave_up == 0
    assert hasty.gave_up > 0.5


def test_a_node_that_refuses_early_keeps_its_queue_short() -> None:
    without, with_ = (
        come_back(Storm(sheds_after=after), SLOW, per_node=4000, busy=0.3, nodes=2) for after in (None, 1.0)
    )
    assert with_.backlog < 0.5 * without.backlog


@settings(max_examples=15, deadline=None)
@given(
    per_node=st.integers(1, 100), nodes=st.integers(1, 4), busy=st.floats(0, 0.9), noticed=st.floats(0, 5),
    jittered=st.booleans(), sheds_after=st.none() | st.floats(0.01, 1), seed=st.integers(0, 9),
)  # fmt: skip
def test_everybody_comes_back_once_or_gives_up(
    per_node: int, nodes: int, busy: float, noticed: float, jittered: bool, sheds_after: float | None, seed: int
) -> None:
    storm = Storm(noticed=noticed, jittered=jittered, sheds_after=sheds_after)
    found = come_back(storm, SLOW, per_node=per_node, busy=busy, nodes=nodes, seed=seed)
    assert len(found.at) == round(per_node * nodes * (1 - found.gave_up))
    assert found.gave_up == 0 or busy > 0.5, "so few come back to nodes that are half free"
    if not found.at:
        return
    work = SLOW.return_ / 1e6 / (1 - busy)
    assert found.at[0] >= 0.125 + work - 1e-9
    assert found.at[-1] >= len(found.at) / nodes * work, "a node does one after the other"
    assert found.attempts >= 1
