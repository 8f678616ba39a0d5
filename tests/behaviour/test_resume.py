"""Cut anywhere, resume on another socket: the joined transcript is byte-equal to the uncut one. And who may not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from realtime.engine.scripted import Fail, RandomScript, say
from tests.support.server import Client, Running, changed, running
from tests.support.steps import begin, cut, engine_holds, finish, make_keys, resume, take, take_all, until
from tests.support.transcript import assert_error, check, types

KEEP: dict[str, Any] = {"on_disconnect": {"policy": "continue"}}


async def close(client: Client) -> None:
    await client.connection.close()


async def recorded(server: Running, client: Client, **members: Any) -> tuple[str, list[str]]:
    """An answer read from its first event to its last without a cut."""
    await client.send("response.create", input="record this", **KEEP, **members)
    raw = await take_all(client)
    return json.loads(raw[0])["response_id"], raw


@pytest.mark.parametrize("leave", [cut, close])
@pytest.mark.parametrize("members", [{}, {"stream_id": "lane"}])
async def test_a_finished_answer_is_the_same_wherever_it_was_cut(
    leave: Callable[[Client], Awaitable[None]], members: dict[str, Any]
) -> None:
    async with running(RandomScript(seed=1, min_tokens=20, max_tokens=20)) as server:
        async with server.client(native=True) as client:
            response_id, whole = await recorded(server, client, **members)
        check([json.loads(message) for message in whole])
        for n in range(len(whole)):
            async with server.client(native=n % 2 == 0) as first:
                assert (await resume(first, response_id))["type"] == "response.resumed"
                head = await take(first, n)
                await leave(first)
            async with server.client(native=n % 3 == 0) as second:
                answer = await resume(second, response_id, n - 1)
                assert answer["resumed"]["starting_after"] == n - 1
                tail = await take_all(second)
            assert head + tail == whole


@pytest.mark.parametrize("leave", [cut, close])
@pytest.mark.parametrize("native", [False, True])
async def test_a_running_answer_is_the_same_wherever_it_is_cut(
    leave: Callable[[Client], Awaitable[None]], native: bool
) -> None:
    """For every n: cut after n events, while the engine goes on; an uncut reader on another socket is the measure."""
    script = RandomScript(seed=2, min_tokens=12, max_tokens=12)
    async with running(script, tick_seconds=None, max_num_seqs=64) as server:
        num_events = None
        n = 1
        while num_events is None or n < num_events:
            async with server.client(native=True) as watcher:
                async with server.client(native=native) as first:
                    await first.send("response.create", input="go", **KEEP)
                    head = await take(first, min(n, 2))
                    created = json.loads(head[0])
                    response_id = created["response_id"]
                    assert (await resume(watcher, response_id, epoch=created["epoch"]))["type"] == "response.resumed"
                    while len(head) < n:
                        server.engine.step()
                        await asyncio.sleep(0)  # the end of a response is its task's doing
                        while len(head) < n and len(head) < tip(server, response_id):
                            head += await take(first, 1)
                    await leave(first)
                server.engine.step(2)  # the answer goes on without a reader
                async with server.client(native=native) as second:
                    await resume(second, response_id, n - 1)
                    server.engine.step(3)
                    await finish(server)
                    tail = await take_all(second)
                whole = await take_all(watcher, response_id)
                assert head + tail == whole, f"cut after {n} events"
                check([json.loads(message) for message in whole])
                num_events = len(whole)
            n += 1
        assert num_events is not None
        assert num_events > 15


def tip(server: Running, response_id: str) -> int:
    """How many events the response has by now."""
    run = server.gateway.service.registry.running.get(response_id)
    return run.log.tip if run is not None else 10**9


async def test_many_cuts_of_one_answer_join_to_the_whole() -> None:
    script = RandomScript(seed=4, min_tokens=60, max_tokens=60)
    async with running(script, tick_seconds=None) as server, server.client(native=True) as watcher:
        async with server.client() as first:
            response_id = await begin(first, **KEEP)
            joined: list[str] = []
        await resume(watcher, response_id)
        turns = 0
        while not joined or not json.loads(joined[-1])["done"]:
            turns += 1
            async with server.client(native=turns % 2 == 0) as client:
                await resume(client, response_id, len(joined) - 1)
                if server.gateway.service.num_running:
                    server.engine.step(turns % 5)
                    await asyncio.sleep(0)
                for _ in range(turns % 7):
                    if joined and json.loads(joined[-1])["done"]:
                        break
                    if len(joined) < tip(server, response_id):
                        joined += await take(client, 1)
                await cut(client)
        assert joined == await take_all(watcher, response_id)
        assert turns > 10


@pytest.mark.parametrize("terminal", ["cancelled", "failed", "incomplete"])
async def test_every_kind_of_terminal_can_be_resumed(terminal: str) -> None:
    script = say("a", "b", *([Fail()] if terminal == "failed" else ["c"] * 20))
    async with running(script, tick_seconds=None) as server, server.client() as client:
        response_id = await begin(client, max_output_tokens=3, **KEEP)
        server.engine.step(2)
        if terminal == "cancelled":
            await client.send("response.cancel", response_id=response_id)
        else:
            server.engine.step(2)
        await client.until_done()
        for n in (0, 4):
            async with server.client() as other:
                answer = await resume(other, response_id, n - 1)
                assert answer["resumed"]["status"] == "finished"
                events = await other.until_done()
        assert events[-1]["response"]["status"] == terminal
        assert [event["sequence_number"] for event in events] == list(range(4, 4 + len(events)))


async def test_two_readers_at_once_get_the_same_bytes() -> None:
    async with (
        running(RandomScript(seed=5, min_tokens=40), tick_seconds=None) as server,
        server.client() as author,
        server.client(native=True) as reader,
        server.client() as late,
    ):
        await author.send("response.create", input="hi")
        raw = await take(author, 2)
        response_id = json.loads(raw[0])["response_id"]
        await resume(reader, response_id)
        server.engine.step(10)
        await resume(late, response_id, 5)
        await finish(server)
        whole = raw + await take_all(author)
        assert await take_all(reader) == whole
        assert await take_all(late) == whole[6:]


async def test_a_resume_on_a_socket_that_reads_already_moves_its_cursor() -> None:
    async with running(say("a", "b", "c"), tick_seconds=None) as server, server.client() as client:
        response_id = await begin(client)
        server.engine.step()
        await take(client, 3)
        await resume(client, response_id, -1)
        await finish(server)
        assert check(await client.until_done())["status"] == "completed"
        # once only: nothing more comes
        await client.send("response.detach", response_id=response_id)
        assert_error(await client.receive(), "response_not_found")


async def test_the_answer_to_a_resume_says_where_it_starts() -> None:
    async with running(say("a", "b"), tick_seconds=None) as server, server.client() as client:
        await client.send("response.create", input="hi", **KEEP)
        created = await client.receive()
        await client.receive()
        response_id, epoch = created["response_id"], created["epoch"]
        async with server.client(native=True) as other:
            answer = await resume(other, response_id, 0, epoch=epoch)
            assert answer["type"] == "response.resumed"
            assert "response_id" not in answer, "that would number it by the response"
            assert answer["resumed"] == {
                "response_id": response_id, "epoch": epoch, "starting_after": 0, "tip": 2, "status": "in_progress",
                "pending_calls": [],
            }  # fmt: skip
            await finish(server)
            assert (await other.until_done())[0]["sequence_number"] == 1
            answer = await resume(other, response_id, answer["resumed"]["tip"])
            assert answer["resumed"]["status"] == "finished"
            assert answer["resumed"]["epoch"] == epoch


async def test_a_resume_at_the_very_end_of_a_finished_answer_is_served_as_nothing_more() -> None:
    async with running(say("a")) as server, server.client(native=True) as client:
        response_id, whole = await recorded(server, client)
        answer = await resume(client, response_id, len(whole) - 1)
        assert answer["resumed"]["tip"] == len(whole)
        assert answer["resumed"]["status"] == "finished"
        events = await client.create()  # the socket is not stuck, and nothing came twice
        assert types(events)[0] == "created"


@pytest.mark.parametrize("running_still", [True, False])
async def test_what_can_not_be_served_exactly_is_refused(running_still: bool) -> None:
    async with running(say("a", "b"), tick_seconds=None) as server, server.client() as client:
        response_id = await begin(client, **KEEP)
        server.engine.step()
        if not running_still:
            await finish(server)
            await client.until_done()
        newest = 4 if running_still else 9
        table: list[tuple[dict[str, Any], str, int, str]] = [
            ({"epoch": "epoch_other"}, "epoch_mismatch", 409, "epoch"),
            ({"epoch": ""}, "epoch_mismatch", 409, "epoch"),
            ({"starting_after": newest + 1}, "cursor_ahead", 416, "starting_after"),
            ({"starting_after": 2**53}, "cursor_ahead", 416, "starting_after"),
            ({"starting_after": -2}, "invalid_request", 400, "starting_after"),
            ({"starting_after": 2**53 + 1}, "invalid_request", 400, "starting_after"),
            ({"starting_after": "1"}, "invalid_request", 400, "starting_after"),
            ({"starting_after": 1.5}, "invalid_request", 400, "starting_after"),
            ({"response_id": "resp_unknown"}, "response_not_found", 404, "response_id"),
            ({"response_id": ""}, "response_not_found", 404, "response_id"),
            ({"response_id": None}, "invalid_request", 400, "response_id"),
            ({"epoch": 5}, "invalid_request", 400, "epoch"),
        ]
        async with server.client(native=True) as other:
            for members, code, status, param in table:
                event = {"response_id": response_id, "starting_after": -1, "event_id": "e", **members}
                await other.send("response.resume", **event)
                answer = await other.receive()
                assert_error(answer, code, status, param=param, retry=False)
                assert answer["event_id"] == "e"
            # a refusal changes nothing: no reader, no cancel
            assert (await resume(other, response_id, newest))["type"] == "response.resumed"


async def test_a_cursor_that_is_too_old_is_refused_with_the_floor_while_it_runs_and_after() -> None:
    settings = changed(max_log_bytes=4000)
    async with running(say(*["word "] * 60), settings, tick_seconds=None) as server, server.client() as client:
        response_id = await begin(client, **KEEP)
        for state in ("running", "finished"):
            if state == "running":
                server.engine.step(50)
            else:
                await finish(server)
                await client.until_done()
            async with server.client() as other:
                refusal = await resume(other, response_id, 3)
                assert_error(refusal, "cursor_too_old", 410, param="starting_after")
                oldest = int(refusal["error"]["message"].split("is ")[-1].rstrip("."))
                assert_error(await resume(other, response_id, oldest - 1), "cursor_too_old")
                answer = await resume(other, response_id, oldest)
                assert answer["resumed"]["starting_after"] == oldest
                assert (await other.receive())["sequence_number"] == oldest + 1


async def test_a_slow_reader_whose_events_are_gone_is_told_and_the_socket_lives() -> None:
    settings = changed(max_log_bytes=20_000)
    async with running(say(*["word "] * 400), settings, tick_seconds=None) as server, server.client() as client:
        await begin(client, stream_id="lane")
        server.engine.step(390)  # in one tick of the loop: no reader can keep up
        refusal = await client.receive()
        assert_error(refusal, "slow_reader", 410)
        assert refusal["stream_id"] == "lane"
        await until(lambda: engine_holds(server) == 0, "the plain client's response to be cancelled")
        response_id = await begin(client, stream_id="lane")
        await finish(server)
        assert len(await take_all(client, response_id)) > 400


async def test_another_tenants_response_does_not_exist(tmp_path: Path) -> None:
    keys = make_keys(tmp_path / "keys.json", "anna", "bob")
    settings = changed(api_keys_file=str(tmp_path / "keys.json"))
    async with (
        running(say("secret", "b"), settings, tick_seconds=None) as server,
        server.client(key=keys["anna"]) as anna,
        server.client(key=keys["bob"], native=True) as bob,
    ):
        running_id = await begin(anna, stream_id="a", request_id="r1", **KEEP)
        server.engine.step()
        other_id = await begin(anna, stream_id="b", **KEEP)
        await anna.send("response.cancel", response_id=other_id)
        while not (event := await anna.receive())["done"] or event["response_id"] != other_id:
            pass
        for foreign in (running_id, other_id):
            unknown = "resp_" + "0" * 32
            for members in (
                {"type": "response.resume", "starting_after": -1},
                {"type": "response.resume", "starting_after": 10**6},
                {"type": "response.resume", "epoch": "wrong"},
                {"type": "response.cancel"},
                {"type": "response.detach"},
            ):
                answers = []
                for response_id in (foreign, unknown):
                    await bob.send(**members, response_id=response_id)
                    answer = await bob.receive()
                    assert_error(answer, "response_not_found", 404)
                    del answer["sequence_number"]
                    answers.append(json.dumps(answer).replace(response_id, "ID"))
                assert answers[0] == answers[1], "foreign and unknown must look the same"
            texts = []
            for response_id in (foreign, unknown):
                [refusal] = await bob.create(previous_response_id=response_id)
                assert_error(refusal, "previous_response_not_found", 400)
                texts.append(refusal["error"]["message"].replace(response_id, "ID"))
            assert texts[0] == texts[1]
        # an idempotency key is the tenant's own
        mine = await begin(bob, request_id="r1", stream_id="a")
        assert mine != running_id
        assert server.gateway.service.num_running == 2
        await finish(server)
        assert (await anna.until_done(running_id))[-1]["type"] == "response.completed"


async def test_too_many_resumed_responses_on_one_socket_are_refused() -> None:
    async with (
        running(say("a"), tick_seconds=None, max_num_seqs=100) as server,
        server.client() as author,
        server.client(native=True) as reader,
    ):
        ids = [await begin(author, **KEEP)]
        await author.send("response.detach", response_id=ids[0])
        while len(ids) < 65:
            ids.append(await begin(author, **KEEP))
            await author.send("response.detach", response_id=ids[-1])
        for response_id in ids[:64]:
            assert (await resume(reader, response_id, 1))["type"] == "response.resumed"
        assert_error(await resume(reader, ids[64], 1), "too_many_followed_responses", 429, retry=True)
        await reader.send("response.detach", response_id=ids[0])
        assert (await resume(reader, ids[64], 1))["type"] == "response.resumed"


async def test_an_answer_is_forgotten_after_its_time() -> None:
    async with running(say("a"), changed(retention_seconds=0.0)) as server, server.client(native=True) as client:
        response_id, _ = await recorded(server, client)
        assert_error(await resume(client, response_id), "response_not_found")
        async with server.client() as other:
            assert_error((await other.create(previous_response_id=response_id))[0], "previous_response_not_found")
