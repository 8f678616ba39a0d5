"""The times of a response: stages, and what is asked of them."""

from __future__ import annotations

from realtime.observability.timeline import GenerationTimes, Stage, Timeline


def test_stages_follow_each_other() -> None:
    times = Timeline(10.0, unix=1000.0)
    for state, at in (
        ("queued", 10.0),
        ("admitted", 12.0),
        ("rendering", 12.5),
        ("generating", 13.0),
        ("rendering", 15.0),
    ):
        times.entered.append((state, at))
    times.entered.append(("over", 15.25))
    assert next(times.stages()) == Stage("queued", 10.0, 12.0)
    assert times.seconds_in("queued") == 2.0
    assert times.seconds_in("rendering") == 0.75
    assert times.seconds_in("calling tools") == 0.0
    assert times.unix(12.0) == 1002.0


def test_the_first_token_is_the_first_of_any_generation() -> None:
    times = Timeline(0.0, unix=0.0)
    assert times.first_token_at is None
    times.generations += [GenerationTimes(1.0), GenerationTimes(2.0, first_at=2.5), GenerationTimes(3.0, first_at=3.5)]
    assert times.first_token_at == 2.5
