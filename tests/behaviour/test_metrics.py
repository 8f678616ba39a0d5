"""`/metrics`: who may read it, that it says what happened, and that it says nothing about whom."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx2

from realtime.engine.scripted import say
from realtime.server.listening import listen
from realtime.server.metrics_listener import MetricsListener
from tests.observability import dashboards
from tests.observability.scrapes import names, value
from tests.support.http import http
from tests.support.patience import SECONDS
from tests.support.server import Running, changed, running
from tests.support.steps import begin, finish, make_keys, take

ELSEWHERE = {"x-forwarded-for": "192.0.2.7"}  # a client that a proxy speaks for


def unchecked(server: Running) -> httpx2.AsyncClient:
    """A client of what is not in the document of the API."""
    return httpx2.AsyncClient(base_url=server.http, trust_env=False, timeout=SECONDS)


async def scrape(server: Running, **options: object) -> str:
    async with http(server, **options) as client:  # type: ignore[arg-type]
        answer = await client.get("/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return answer.text


async def test_every_metric_that_dashboards_of_vllm_ask_for_exists() -> None:
    async with running(say("a", "b")) as server, server.client() as client:
        await client.create()
        async with http(server) as plain:
            await plain.get("/v1/models")
        assert set(dashboards.ALL) - names(await scrape(server)) == set()


async def test_a_response_shows_in_the_engines_and_in_our_metrics() -> None:
    async with running(say("a", "b", "c")) as server, server.client(native=True) as client:
        await client.create()
        text = await scrape(server)
    assert value(text, "vllm:request_success_total", finished_reason="stop", model_name="starter", engine="0") == 1
    assert value(text, "vllm:generation_tokens_total") == 4  # the end of the text is one
    assert value(text, "vllm:time_to_first_token_seconds_count") == 1
    assert value(text, "realtime_responses_total", status="completed", reason="") == 1
    assert value(text, "realtime_response_duration_seconds_count", status="completed") == 1
    assert value(text, "realtime_connections", profile="native") == 1
    assert value(text, "realtime_engine_state", state="ready") == 1
    assert value(text, "realtime_http_requests_in_progress") == 1  # the scrape


async def test_what_runs_and_waits_and_is_cancelled() -> None:
    settings = changed(max_running_responses=1)
    async with running(say("a", "b"), settings, tick_seconds=None) as server, server.client() as client:
        response_id = await begin(client, stream_id="a")
        await client.send("response.create", input="hi", stream_id="b")
        await take(client, 2)
        text = await scrape(server)
        assert value(text, "realtime_responses_active", state="running") == 1
        assert value(text, "realtime_responses_active", state="waiting") == 1
        waiting = {
            one: value(text, "realtime_responses_waiting", **{"class": one})
            for one in ("interactive", "default", "batch")
        }
        assert waiting == {"interactive": 0, "default": 1, "batch": 0}
        assert value(text, "realtime_followers") == 2
        assert value(text, "realtime_log_bytes", of="running") > 0
        await client.send("response.cancel", response_id=response_id)
        await client.until_done(response_id)
        await finish(server)
        await client.until_done()
        text = await scrape(server)
    assert value(text, "realtime_responses_total", status="cancelled", reason="cancelled") == 1
    assert value(text, "realtime_cancel_seconds_count") == 1
    assert value(text, "realtime_abort_seconds_count") == 1
    assert value(text, "vllm:request_success_total", finished_reason="abort") == 1
    assert value(text, "realtime_response_queue_seconds_count", **{"class": "default"}) == 2
    assert value(text, "realtime_followers") == 0


async def test_resumes_and_refusals_are_counted_by_outcome() -> None:
    async with running(say("a")) as server:
        async with server.client(native=True) as client:
            [created, *events] = await client.create()
        async with server.client(native=True) as client:
            await client.send("response.resume", response_id=created["response"]["id"], starting_after=-1)
            await client.until_done()
            await client.send("response.resume", response_id="resp_gone", starting_after=-1)
            await client.receive()
        async with http(server) as plain:
            await plain.post("/v1/responses", json={"input": "x", "model": "other"})
        text = await scrape(server)
    assert value(text, "realtime_resumes_total", outcome="resumed") == 1
    assert value(text, "realtime_resumes_total", outcome="response_not_found") == 1
    assert value(text, "realtime_replayed_events_total") == 1 + len(events)
    assert value(text, "realtime_refusals_total", door="http", code="model_not_found") == 1
    assert value(text, "realtime_connections_closed_total", profile="native", code="1000") == 2
    assert value(text, "realtime_http_requests_total", route="/v1/responses", method="POST", code="404") == 1
    assert value(text, "http_requests_total", handler="/v1/responses", status="4xx") == 1


async def test_what_strangers_try_makes_no_series() -> None:
    async with running(say("a")) as server, http(server) as client:
        for path in ("/a", "/b", "/v1/models/x", "/v1/models/y"):
            await client.get(path)
        await client.request("PATCH", "/v1/responses")
        text = await scrape(server)
    routes = {("none", "other"), ("/v1/models/{model}", "GET"), ("/v1/responses", "other")}
    for route, method in routes:
        assert value(text, "realtime_http_requests_total", route=route, method=method) > 0
    assert "/v1/models/x" not in text
    assert "PATCH" not in text


async def test_nothing_in_it_says_whom_it_is_about(tmp_path: Path) -> None:
    keys = make_keys(tmp_path / "keys.json", "ada-lovelace")
    settings = changed(api_keys_file=str(tmp_path / "keys.json"))
    async with running(say("secret words"), settings) as server:
        async with server.client(native=True, key=keys["ada-lovelace"]) as client:
            events = await client.create("what is it?", metadata={"who": "charles"}, user="charles")
        text = await scrape(server)
    response = events[-1]["response"]
    unwanted = [
        "ada",
        "charles",
        "secret",
        "what is it",
        response["id"],
        response["output"][0]["id"],
        keys["ada-lovelace"],
    ]
    assert [word for word in unwanted if word in text] == []


async def test_from_another_machine_it_takes_a_key(tmp_path: Path) -> None:
    keys = make_keys(tmp_path / "keys.json", "ada")
    settings = changed(api_keys_file=str(tmp_path / "keys.json"))
    async with running(say("a"), settings) as server:
        await scrape(server)
        await scrape(server, key=keys["ada"])
        async with unchecked(server) as client:
            refused = await client.get("/metrics", headers=ELSEWHERE)
            wrong = await client.get("/metrics", headers={**ELSEWHERE, "authorization": "Bearer rt_no"})
            right = await client.get("/metrics", headers={**ELSEWHERE, "authorization": f"Bearer {keys['ada']}"})
    assert [answer.status_code for answer in (refused, wrong, right)] == [401, 401, 200]


async def test_without_keys_another_machine_is_told_how() -> None:
    async with running(say("a")) as server, unchecked(server) as client:
        refused = await client.get("/metrics", headers=ELSEWHERE)
        page = await client.get("/metrics", headers={"origin": "https://evil.example"})
    assert refused.status_code == 403
    assert "metrics_port" in refused.json()["error"]["message"]
    assert page.status_code == 403


async def test_a_ticket_is_not_enough(tmp_path: Path) -> None:
    keys = make_keys(tmp_path / "keys.json", "ada")
    settings = changed(api_keys_file=str(tmp_path / "keys.json"))
    async with running(say("a"), settings) as server, http(server, keys["ada"]) as client:
        made = (await client.post("/v1/responses", json={"input": "x"})).json()
        ticket = (await client.post(f"/v1/responses/{made['id']}/tickets", json={"role": "viewer"})).json()
        bearer = {"authorization": f"Bearer {ticket['ticket']}"}
        async with unchecked(server) as other:
            refused = await other.get("/metrics", headers={**ELSEWHERE, **bearer})
    assert refused.status_code == 403


async def test_who_asks_meanwhile_gets_the_one_that_is_being_written() -> None:
    async with running(say("a")) as server:
        exposition = server.gateway.exposition
        texts = await asyncio.gather(*(exposition.text() for _ in range(50)))
        assert len(set(map(id, texts))) == 1
        assert await exposition.text() is not texts[0]


async def test_a_scrape_that_is_given_up_ends_no_other() -> None:
    async with running(say("a")) as server:
        exposition = server.gateway.exposition
        first = asyncio.create_task(exposition.text())
        second = asyncio.create_task(exposition.text())
        await asyncio.sleep(0)
        first.cancel()
        assert b"vllm:num_requests_running" in await second


async def test_the_listener_of_its_own_serves_nothing_else() -> None:
    async with running(say("a")) as server:
        sock = listen("127.0.0.1", 0)
        listener = MetricsListener(server.gateway.exposition, sock)
        listener.start()
        base = f"http://127.0.0.1:{sock.getsockname()[1]}"
        try:
            async with httpx2.AsyncClient(base_url=base, trust_env=False, timeout=SECONDS) as client:
                found = await client.get("/metrics", headers=ELSEWHERE)
                head = await client.head("/metrics")
                nothing = await client.get("/v1/models")
                post = await client.post("/metrics", content=b"x")
        finally:
            await listener.close()
    assert found.status_code == head.status_code == 200
    assert "vllm:num_requests_running" in found.text
    assert head.content == b""
    assert nothing.status_code == post.status_code == 404


async def test_slow_readers_are_counted_by_their_door() -> None:
    settings = changed(max_log_bytes=20_000)
    async with running(say(*["word "] * 400), settings, tick_seconds=None) as server, server.client() as client:
        await begin(client)
        server.engine.step(390)  # in one tick of the loop: no reader can keep up
        assert (await client.receive())["type"] == "error"
        text = await scrape(server)
    assert value(text, "realtime_slow_readers_total", door="websocket") == 1
    assert value(text, "realtime_slow_readers_total", door="http") == 0
