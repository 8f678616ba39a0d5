"""What clients see of the queue: their place, their class, their minute, and that nobody else's burst is theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from realtime.engine.base import EngineRequest
from realtime.engine.scripted import say
from realtime.server.keys import KeyFile, read_keys, write_keys
from tests.support.http import assert_refused, events_of, http
from tests.support.server import changed, running
from tests.support.steps import begin
from tests.support.transcript import assert_error, types


class Told:
    """A script that remembers what the engine was asked."""

    def __init__(self, words: int = 2) -> None:
        self.requests: list[EngineRequest] = []
        self.words = words

    def __call__(self, request: EngineRequest) -> list[str]:
        self.requests.append(request)
        return ["word "] * self.words


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def keys_of(path: Path, **limits: dict[str, Any]) -> dict[str, str]:
    """Write a keys file; return the keys by name."""
    file, made = KeyFile(), {}
    for name, members in limits.items():
        file, made[name] = file.add(name)
        if members:
            file = file.limit(name, members)
    write_keys(path, file)
    return made


async def test_who_waits_is_told_where_and_for_how_long() -> None:
    settings = changed(max_running_responses=1)
    async with running(say("a"), settings, tick_seconds=None) as server, server.client() as client:
        await begin(client, stream_id="a")
        for lane in "bc":
            await client.send("response.create", input="hi", stream_id=lane)
        queued = [event for _ in range(4) if (event := await client.receive())["type"] == "response.queued"]
        assert [event["queue"] for event in queued] == [
            {"num_ahead": ahead, "estimated_seconds": None} for ahead in (0, 1)
        ], "nothing has ended yet that could tell"
        server.engine.step(2)
        await client.until_done()
        await client.send("response.create", input="hi", stream_id="d")
        while (event := await client.receive())["type"] != "response.queued":
            pass
        assert event["queue"]["num_ahead"] == 1
        assert event["queue"]["estimated_seconds"] >= 0


async def test_one_that_runs_at_once_in_the_background_has_no_place() -> None:
    async with running(say("a")) as server, http(server) as client:
        answer = await client.post("/v1/responses", json={"input": "hi", "background": True, "stream": True})
        created, queued, *_ = events_of(answer.text)
        assert types([created, queued]) == ["created", "queued"]
        assert "queue" not in queued


@pytest.mark.parametrize("told", ["by the request", "by the settings"])
async def test_who_has_waited_long_enough_fails_and_leaves_the_queue(told: str) -> None:
    own = {"max_queue_seconds": 0.01} if told == "by the request" else {}
    cap = 3600.0 if own else 0.01
    settings = changed(max_running_responses=1, max_queue_seconds=cap)
    async with running(say("a"), settings, tick_seconds=None) as server, server.client() as client:
        await begin(client, stream_id="a")
        await client.send("response.create", input="hi", stream_id="b", **own)
        events = await client.until_done()
        assert types(events) == ["created", "queued", "failed"]
        assert events[-1]["response"]["error"]["code"] == "rate_limit_exceeded"
        assert sum(server.gateway.service.held.queued.values()) == 0
        server.engine.step(2)
        assert types(await client.until_done())[-1] == "completed"


async def test_a_tier_that_is_not_permitted_or_not_known_is_the_default_one(path: Path) -> None:
    script = Told()
    keys = keys_of(path, anna={"tiers": ["priority", "flex"]}, bert={})
    async with running(script, changed(api_keys_file=str(path))) as server:
        found = []
        for name in ("anna", "bert"):
            async with server.client(key=keys[name]) as client:
                for tier in ("priority", "flex", "default", "auto", "scale"):
                    response = (await client.create(service_tier=tier))[-1]["response"]
                    found.append((name, tier, response["service_tier"], script.requests[-1].priority))
            async with http(server, keys[name]) as door:
                answer = await door.post("/v1/responses", json={"input": "hi", "background": True, "stream": True})
                response = events_of(answer.text)[-1]["response"]
                found.append((name, "background", response["service_tier"], script.requests[-1].priority))
    assert found == [
        ("anna", "priority", "priority", -1),
        ("anna", "flex", "flex", 1),
        *[("anna", tier, "default", 0) for tier in ("default", "auto", "scale")],
        ("anna", "background", "default", 1),
        *[("bert", tier, "default", 0) for tier in ("priority", "flex", "default", "auto", "scale")],
        ("bert", "background", "default", 1),
    ]


async def test_a_minute_is_told_and_kept_on_both_doors_and_its_limit_followed(path: Path) -> None:
    keys = keys_of(path, anna={"requests_per_minute": 2, "tokens_per_minute": 100_000}, bert={})
    async with (
        running(say("a"), changed(api_keys_file=str(path))) as server,
        server.client(key=keys["anna"]) as client,
        http(server, keys["anna"]) as anna,
        http(server, keys["bert"]) as bert,
    ):
        created = (await client.create())[0]["response"]
        assert [(one["name"], one["limit"]) for one in created["rate_limits"]] == [
            ("requests", 2), ("tokens", 100_000)
        ]  # fmt: skip
        assert created["rate_limits"][0]["remaining"] == 1
        answer = await anna.post("/v1/responses", json={"input": "hi"})
        assert "rate_limits" not in answer.json()
        assert answer.headers["x-ratelimit-limit-requests"] == "2"
        assert answer.headers["x-ratelimit-remaining-requests"] == "0"
        assert answer.headers["x-ratelimit-reset-requests"].endswith("s")
        assert int(answer.headers["x-ratelimit-remaining-tokens"]) < 100_000
        [refusal] = await client.create()
        assert_error(refusal, "rate_limit_exceeded", 429, retry=True)
        assert 1 <= refusal["error"]["retry_after"] <= 30
        refused = await anna.post("/v1/responses", json={"input": "hi"})
        assert_refused(refused, "rate_limit_exceeded", 429)
        assert refused.headers["retry-after"]
        assert refused.headers["x-ratelimit-remaining-requests"] == "0"
        other = await bert.post("/v1/responses", json={"input": "hi"})
        assert not [name for name in other.headers if name.startswith("x-ratelimit")]
        write_keys(path, read_keys(path).limit("anna", {"requests_per_minute": None}))
        assert (await anna.post("/v1/responses", json={"input": "hi"})).status_code == 200, "a running server follows"


@pytest.mark.parametrize("number", [20, 60])
async def test_anothers_flood_costs_the_first_token_two_steps_at_most(path: Path, number: int) -> None:
    """Counted in steps of the engine, however many the other one has waiting."""
    keys = keys_of(path, greedy={}, other={})
    settings = changed(
        api_keys_file=str(path), max_running_responses=8, max_waiting_responses=200, max_queued_per_connection=200,
        max_in_flight_per_connection=200, max_streams_per_connection=200,
    )  # fmt: skip
    async with (
        running(Told(words=500), settings, tick_seconds=None, max_num_seqs=8) as server,
        server.client(key=keys["greedy"]) as greedy,
        server.client(key=keys["other"]) as other,
    ):
        for lane in range(number):
            await greedy.send("response.create", input="hi", stream_id=str(lane))
        began = 0
        while began < number:
            began += (await greedy.receive())["type"] == "response.created"
        server.engine.step()
        await begin(other)  # the engine holds it
        server.engine.step(2)
        while not (event := await other.receive())["type"].endswith(".delta"):
            pass
        assert event["delta"] == "word "
