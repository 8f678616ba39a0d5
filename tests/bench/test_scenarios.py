"""Each scenario of the bench runs in its smallest size, and what must hold in any size holds."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import uvloop

from bench import plan, scenarios, servers
from bench.scenarios.scenario import Scenario

SERVERS = sorted({(scenarios.scenario(name).tick, scenarios.scenario(name).script) for name in scenarios.NAMES})


@pytest.fixture(scope="module")
def running() -> Iterator[dict[tuple[float, str], servers.Server]]:
    """A server for each kind that a scenario asks for."""
    with contextlib.ExitStack() as stack:
        kinds = [servers.scripted(hold=True, tick=tick, script=script) for tick, script in SERVERS]
        yield dict(zip(SERVERS, servers.enter_all(stack, *kinds), strict=True))


@pytest.fixture
def figures(running: dict[tuple[float, str], servers.Server], request: pytest.FixtureRequest) -> dict[str, Any]:
    """Of the scenario that the test names."""
    return _measured(running, request.param)


def _measured(running: dict[tuple[float, str], servers.Server], name: str) -> dict[str, Any]:
    chosen = scenarios.scenario(name)
    server = running[chosen.tick, chosen.script]

    async def bounded() -> dict[str, Any]:
        async with asyncio.timeout(120):
            return await chosen.measure(server, **chosen.sizes["tiny"])

    found = uvloop.run(bounded())
    assert all(found[figure] == 0 for figure in chosen.zero), name
    assert found[chosen.counted] > 0
    chosen.show(found)
    return found


def of(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("figures", [name], indirect=True)


@of("burst")
def test_every_create_of_a_burst_is_answered_whole(figures: dict[str, Any]) -> None:
    assert (figures["creates"], figures["missing tokens"]) == (8, 0)


@of("cut_storm")
def test_no_transcript_differs_after_a_cut_storm(figures: dict[str, Any]) -> None:
    assert (figures["cut"], figures["mismatches"], figures["gaps"]) == (1, 0, 0)


@of("cancel_storm")
def test_every_cancel_of_a_storm_has_its_receipt(figures: dict[str, Any]) -> None:
    assert (figures["cancels"], figures["without a receipt"]) == (9, 0)
    assert list(figures["cancel to terminal"]) == ["accepted", "first token", "text"]


@of("slow_readers")
def test_ordinary_readers_are_measured_beside_slow_ones(figures: dict[str, Any]) -> None:
    assert figures["delay beside slow readers"]["p99_ms"] > 0


@of("tool_loop")
def test_a_tool_loop_sends_less_on_the_socket(figures: dict[str, Any]) -> None:
    assert figures["bytes up, HTTP to socket"] > 1


@of("fan_out")
def test_every_follower_has_every_token(figures: dict[str, Any]) -> None:
    assert (figures["events"], figures["missing tokens"]) == (3 * 8, 0)


@of("idle_sessions")
def test_idle_sessions_are_weighed_in_both_profiles(figures: dict[str, Any]) -> None:
    assert figures.keys() == {"sessions", "KiB per plain session", "KiB per native session", "closed by the server"}


@of("sessions_per_core")
def test_a_level_of_the_curve_has_its_delay_and_rate(figures: dict[str, Any]) -> None:
    level = figures["curve"]["2"]
    assert level["delay"]["p99_ms"] > 0
    assert level["tokens/s of each"] > 0


@of("scrape")
def test_streams_are_scraped_and_compared_with_streams_that_are_not(figures: dict[str, Any]) -> None:
    assert (figures["without"]["scrapes"], figures["scraped"]["scrapes"] >= 1) == (0, True)


def test_all_scenarios_have_all_sizes_and_a_line_for_people() -> None:
    for name in scenarios.NAMES:
        chosen = scenarios.scenario(name)
        assert {"full", "quick", "tiny"} <= set(chosen.sizes) <= {"full", "quick", "tiny", "real"}
        assert chosen.text
        assert chosen.zero, "what the scenario claims is checked"


def test_a_scenario_that_fails_leaves_the_others_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    async def measure(server: servers.Server, well: bool) -> dict[str, Any]:
        if not well:
            raise ValueError("bad")
        return {"found": 1}

    def stands_for(name: str) -> Scenario:
        return Scenario(name, measure, {"tiny": {"well": name != "burst"}}, zero=(), counted="", tick=0.05)

    monkeypatch.setattr(scenarios, "scenario", stands_for)
    monkeypatch.setattr(scenarios, "NAMES", ("burst", "fan_out"))
    monkeypatch.setattr(scenarios, "_shared", lambda stack: {stands_for("").kind: servers.Server(0, 0)})
    figures: dict[str, Any] = {}
    with pytest.raises(ExceptionGroup):
        scenarios.run(plan.Share(scenarios.SIZES["tiny"]), figures)
    assert figures == {"fan_out": {"found": 1}}
