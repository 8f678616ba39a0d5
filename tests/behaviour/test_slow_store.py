"""Stores whose look-ups wait, fail and answer in any order, behind sockets and HTTP; and random schedules of that."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from realtime.engine.backoff import Backoff
from realtime.engine.scripted import say
from realtime.settings.fields import ResponseSettings, Settings
from realtime.store.base import Stores
from tests.behaviour.test_schedules import REFUSALS, Schedule
from tests.support.http import assert_refused, events_of, http
from tests.support.long import effort
from tests.support.memory import ObservedLog
from tests.support.server import Client, Running, changed, running
from tests.support.slow_store import Gate, assert_nothing_left, slow_stores
from tests.support.steps import cut, finish, until
from tests.support.transcript import assert_error, check

PATH = "/v1/responses"
NUM_SCHEDULES = effort(160, 4000)
ANSWER = say("a", "b")


@contextlib.asynccontextmanager
async def slow(
    settings: Settings | None = None, *, tick_seconds: float | None = 0, **options: Any
) -> AsyncIterator[tuple[Running, Gate]]:
    """A server on slow stores, of which nothing may be left at the end."""
    settings = settings or Settings()
    stores, gate = slow_stores(settings.responses)
    async with running(ANSWER, settings, stores=stores, tick_seconds=tick_seconds, **options) as server:
        yield server, gate
        gate.open()
        await until(lambda: not server.gateway.sockets.shells and not server.gateway.admission.num_requests, "nobody")
        if tick_seconds is None:
            await finish(server)
        await until(lambda: not server.gateway.service.run_tasks.tasks, "the end of all runs")
    assert_nothing_left(server.gateway.service, gate)


async def done(client: Client, **members: Any) -> str:
    """A response that is over; its id."""
    events = await client.create(**members)
    return str(check(events)["id"])


async def make_conversation(server: Running) -> str:
    async with http(server) as client:
        made = await client.post("/v1/conversations", json={"items": [{"role": "user", "content": "before"}]})
        return str(made.json()["id"])


async def waiting_create(server: Running, gate: Gate, client: Client, kind: str, **members: Any) -> None:
    """Send a create that waits in its look-up."""
    async with server.client() as other:
        parent = await done(other)
    match kind:
        case "previous":
            gate.hold("responses.get")
            members["previous_response_id"] = parent
        case "conversation":
            members["conversation"] = await make_conversation(server)
            gate.hold("conversations.get")
        case "item":
            [record] = gate.memory.responses._kept.values()
            gate.hold("responses.find_item")
            members["input"] = [{"type": "item_reference", "id": record.record.output[0].id}, *_HI]
        case "claim":
            gate.hold("requests.claim")
            members["request_id"] = "r"
    await client.send("response.create", **{"input": "hi", **members})
    await gate.reached(number=1)


_HI = [{"role": "user", "content": "hi"}]
KINDS = pytest.mark.parametrize("kind", ["previous", "conversation", "item", "claim"])


# -- a create that waits


@KINDS
async def test_others_go_on_while_a_create_waits_and_its_lane_keeps_its_order(kind: str) -> None:
    async with slow() as (server, gate), server.client() as client, server.client() as other:
        await waiting_create(server, gate, client, kind, stream_id="a", metadata={"n": "1"})
        await client.send("response.create", input="hi", stream_id="a", metadata={"n": "2"})
        beside = await client.create(stream_id="b")
        assert {event["stream_id"] for event in beside} == {"b"}
        check(beside)
        check(await client.create())
        check(await other.create())
        assert gate.num_waiting() == 1
        gate.open()
        for number in "12":
            events = await client.until_done()
            assert check(events)["metadata"] == {"n": number}
            assert {event["stream_id"] for event in events} == {"a"}


@KINDS
async def test_a_cancel_of_the_lane_waits_for_the_create_and_then_ends_it_with_the_receipt(kind: str) -> None:
    async with slow(tick_seconds=None) as (server, gate), server.client() as client:
        async with asyncio.TaskGroup() as group:
            ticking = group.create_task(_tick(server))
            await waiting_create(server, gate, client, kind, stream_id="a")
            ticking.cancel()
        await client.send("response.cancel", stream_id="a", event_id="first")
        await client.send("response.cancel", stream_id="a", event_id="second")
        await client.send("response.cancel", stream_id="b", event_id="other")
        refusal = await client.receive()
        assert_error(refusal, "response_not_found", 404)
        assert refusal["event_id"] == "other"
        gate.open()
        events = await client.until_done()
        final = check(events)
        assert (final["status"], final["incomplete_details"]["reason"]) == ("cancelled", "cancelled")
        assert final["cancel"]["tokens_delivered"] == 0


async def _tick(server: Running) -> None:
    while True:
        server.engine.step()
        await asyncio.sleep(0)


@KINDS
async def test_a_cancel_of_a_create_whose_look_up_fails_is_answered_too(kind: str, caplog: Any) -> None:
    async with slow() as (server, gate), server.client() as client:
        await waiting_create(server, gate, client, kind, stream_id="a", event_id="create")
        await client.send("response.create", input="hi", stream_id="a")
        await client.send("response.cancel", stream_id="a", event_id="cancel")
        await client.connection.ping()
        await until(lambda: bool(_held(server)), "the cancel")
        gate.fail()
        failed, cancel = await client.receive(), await client.receive()
        assert_error(failed, "server_error", 500, retry=True)
        assert failed["event_id"] == "create"
        assert_error(cancel, "response_not_found", 404)
        assert cancel["event_id"] == "cancel"
        gate.open()
        check(await client.until_done())  # the lane goes on
        [record] = [record for record in caplog.records if record.exc_info]
        assert record.getMessage().startswith("command failed")
        caplog.clear()


async def test_a_look_up_that_its_store_cancels_is_answered_and_holds_no_lane(caplog: Any) -> None:
    """As when several callers share one query and one of them is gone."""
    async with slow() as (server, gate), server.client() as client:
        await waiting_create(server, gate, client, "previous", stream_id="a")
        await client.send("response.create", input="hi", stream_id="a")
        gate.fail(error=asyncio.CancelledError())
        assert_error(await client.receive(), "server_error", 500, retry=True)
        gate.open()
        check(await client.until_done())
        [record] = [record for record in caplog.records if record.exc_info]
        assert record.getMessage().startswith("command failed")
        caplog.clear()


def _held(server: Running) -> list[Any]:
    """Client events that wait for a command."""
    return [
        event
        for shell in server.gateway.sockets.shells
        for _, events in shell._connection._pending._commands.values()
        for event in events
    ]


async def test_what_is_given_into_a_response_that_is_not_there_yet_is_refused_and_later_taken() -> None:
    async with slow(tick_seconds=None) as (server, gate), server.client(native=True) as client:
        gate.hold("requests.claim")
        await client.send("response.create", input="hi", request_id="r")
        await gate.reached("requests.claim")
        for kind, answer in (("steer", "response.steer.failed"), ("inject", "response.inject.failed")):
            name = "previous_response_id" if kind == "steer" else "response_id"
            call = {"type": "function_call_output", "call_id": "c", "output": "x"}
            given = "turn left" if kind == "steer" else [call]
            await client.send(f"response.{kind}", **{name: "resp_x", "input": given})
            event = await client.receive()
            assert (event["type"], event["error"]["code"]) == (answer, "response_not_found")
        gate.open()
        response_id = (await client.receive())["response_id"]
        await client.send("response.steer", previous_response_id=response_id, input="turn left")
        while (event := await client.receive())["type"] != "response.steer.accepted":
            pass
        ticking = asyncio.create_task(_tick(server))
        steered = await client.until_done()
        assert steered[-1]["response"]["incomplete_details"]["reason"] == "steered"
        successor = await client.until_done()
        assert successor[-1]["response"]["previous_response_id"] == response_id
        ticking.cancel()


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)])
async def test_answers_in_another_order_than_the_questions_lead_to_the_right_lanes(order: tuple[int, ...]) -> None:
    async with slow() as (server, gate), server.client() as client:
        parents = [await done(client, metadata={"n": str(number)}) for number in range(4)]
        gate.hold("responses.get")
        async with server.client() as new:
            for number, parent in enumerate(parents):
                await new.send(
                    "response.create", input="hi", stream_id=f"lane-{number}", previous_response_id=parent,
                    metadata={"n": str(number)},
                )  # fmt: skip
                await gate.reached(number=number + 1)
            left = list(range(4))
            for number in order:
                gate.let_go(index=left.index(number))
                left.remove(number)
                events = await new.until_done()
                assert {event["stream_id"] for event in events} == {f"lane-{number}"}
                final = check(events)
                assert (final["metadata"], final["previous_response_id"]) == ({"n": str(number)}, parents[number])


# -- whoever asked is gone


@KINDS
@pytest.mark.parametrize(
    ("policy", "end"),
    [
        ({"policy": "cancel"}, ("cancelled", "client_disconnected")),
        ({"policy": "linger", "seconds": 0}, ("cancelled", "client_disconnected")),
        ({"policy": "continue"}, ("completed", None)),
    ],
    ids=["cancel", "linger", "continue"],
)
async def test_a_create_whose_socket_is_lost_is_carried_out_and_left(
    kind: str, policy: dict[str, Any], end: tuple[str, str | None]
) -> None:
    async with slow() as (server, gate):
        async with server.client() as client:
            await waiting_create(server, gate, client, kind, stream_id="a", on_disconnect=policy, metadata={"n": "1"})
            await client.send("response.create", input="never", stream_id="a")
            await client.send("response.cancel", stream_id="a")
            await until(lambda: bool(_held(server)), "the cancel")
            await cut(client)
        [shell] = server.gateway.sockets.shells
        await until(lambda: shell._flusher._may_wait is None, "the end of the socket")
        assert not server.gateway.service.num_running
        assert gate.num_waiting() == 1
        gate.open()
        await until(lambda: not server.gateway.sockets.shells)
        await until(lambda: not server.gateway.service.num_running)
        kept = [one.record.response for one in gate.memory.responses._kept.values()]
        [response] = [one for one in kept if one.metadata == {"n": "1"}]
        details = response.incomplete_details
        assert (response.status, details and details.reason) == end
        assert len(kept) == 2, "what waited in the lane is forgotten"


@pytest.mark.parametrize("fails", [False, True])
async def test_other_commands_whose_socket_is_lost_leave_nothing(fails: bool, caplog: Any) -> None:
    async with slow() as (server, gate):
        async with server.client(native=True) as client:
            response_id = await done(client)
            gate.hold()
            await client.send("response.resume", response_id=response_id, starting_after=-1)
            await client.send("response.detach", response_id=response_id)
            await client.send("response.cancel", response_id=response_id)
            await client.send("response.interrupt", response_id=response_id)
            await gate.reached(number=3)
            await cut(client)
        for _ in range(3):
            gate.fail() if fails else gate.let_go()
        gate.open()
        await until(lambda: not server.gateway.sockets.shells)
        assert len(caplog.records) == (3 if fails else 0)
        caplog.clear()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("policy", "status"), [("cancel", "cancelled"), ("continue", "completed")])
async def test_an_http_client_that_goes_away_while_its_create_looks(stream: bool, policy: str, status: str) -> None:
    async with slow() as (server, gate):
        gate.hold("requests.claim")
        body = {"input": "hi", "request_id": "r", "stream": stream, "on_disconnect": {"policy": policy}}
        async with http(server) as client:
            asking = asyncio.create_task(client.post(PATH, json=body))
            await gate.reached("requests.claim")
            asking.cancel()
            await asyncio.wait([asking])
        await until(lambda: server.open_connections == 0)
        gate.open()
        await until(lambda: not server.gateway.admission.num_requests)
        await until(lambda: not server.gateway.service.num_running)
        [kept] = gate.memory.responses._kept.values()
        assert kept.record.response.status == status


async def test_a_handler_that_is_killed_takes_its_look_ups_along(caplog: pytest.LogCaptureFixture) -> None:
    async with slow() as (server, gate), server.client() as client:
        gate.hold("requests.claim")
        await client.send("response.create", input="hi", request_id="r")
        await gate.reached("requests.claim")
        [shell] = server.gateway.sockets.shells
        [command] = shell._tasks
        await cut(client)
        await until(lambda: shell._flusher._may_wait is None)
        [handler] = [task for task in asyncio.all_tasks() if "run_asgi" in repr(task.get_coro())]
        handler.cancel()  # as uvicorn does when its time is up
        await asyncio.wait([command])
        assert command.cancelled()
        assert not gate.waiting
        await until(lambda: not server.gateway.sockets.shells)
        caplog.clear()  # uvicorn's


# -- the same request from several sides


@pytest.mark.parametrize("asks_first", [False, True], ids=["asks late", "answers late"])
@pytest.mark.parametrize("sides", ["one socket", "two sockets", "socket and http", "http twice"])
async def test_the_same_request_at_once_runs_once_and_everybody_gets_it(sides: str, asks_first: bool) -> None:
    async with slow(changed(), tick_seconds=None) as (server, gate), http(server) as web:
        gate.asks_first = asks_first
        gate.hold()
        create = {"input": "hi", "request_id": "r", "stream": True}
        async with server.client() as one, server.client() as two:
            tasks: list[asyncio.Task[Any]] = []
            if sides != "http twice":
                await one.send("response.create", **create)
            match sides:
                case "one socket":  # one waits for the other in the lane
                    await one.send("response.create", **create)
                case "two sockets":
                    await two.send("response.create", **create)
                case "socket and http":
                    tasks = [asyncio.create_task(web.post(PATH, json=create))]
                case _:
                    tasks = [asyncio.create_task(web.post(PATH, json=create)) for _ in range(2)]
            await until(lambda: _num_tries(server) == (1 if sides == "one socket" else 2), "both tries")
            while not server.gateway.service.num_running or gate.waiting or _num_tries(server):
                while gate.waiting:
                    gate.let_go(index=-1)
                await asyncio.sleep(0)
            assert server.gateway.service.num_running == 1
            ticking = asyncio.create_task(_tick(server))
            gate.open()
            readers = {"one socket": [one, one], "two sockets": [one, two], "socket and http": [one]}.get(sides, [])
            seen = [await reader.until_done() for reader in readers]
            seen += [events_of(answer.text) for answer in await asyncio.gather(*tasks)]
            ticking.cancel()
            assert len(seen) == 2
            assert seen[0] == seen[1]
            check(seen[0])


def _num_tries(server: Running) -> int:
    """Creates that are not answered: each holds a wait or stands behind one."""
    return len(server.gateway.service._patience._waits)


async def test_a_request_that_fails_for_one_client_is_the_other_ones(caplog: pytest.LogCaptureFixture) -> None:
    async with slow() as (server, gate), server.client() as other:
        gate.hold("requests.claim")
        async with server.client() as one:
            await one.send("response.create", input="hi", request_id="r", on_disconnect={"policy": "cancel"})
            await gate.reached("requests.claim")
            await other.send("response.create", input="hi", request_id="r", on_disconnect={"policy": "cancel"})
            await until(lambda: _num_tries(server) == 2)
            await cut(one)
        gate.fail()
        await gate.reached("requests.claim")
        gate.open()
        assert check(await other.until_done())["status"] == "completed"
        caplog.clear()


# -- HTTP


OPERATIONS = {
    "retrieve": ("GET", "/{id}", None),
    "stream": ("GET", "/{id}?stream=true", None),
    "delete": ("DELETE", "/{id}", None),
    "cancel": ("POST", "/{id}/cancel", None),
    "input items": ("GET", "/{id}/input_items", None),
    "input tokens": ("POST", "/input_tokens", {"input": "hi", "previous_response_id": "{id}"}),
    "create": ("POST", "", {"input": "hi", "previous_response_id": "{id}"}),
    "compact": ("POST", "/compact", {"model": "starter", "input": "hi", "previous_response_id": "{id}"}),
}


@pytest.mark.parametrize("asks_first", [False, True], ids=["asks late", "answers late"])
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("what", ["goes on", "deleted", "fails"])
async def test_operations_whose_look_up_waits(operation: str, what: str, asks_first: bool, caplog: Any) -> None:
    method, path, body = OPERATIONS[operation]
    async with slow() as (server, gate), http(server) as client, server.client() as socket:
        response_id = await done(socket)
        gate.asks_first = asks_first
        gate.hold("responses.get")
        text = json.dumps(body).replace("{id}", response_id) if body else None
        headers = {"content-type": "application/json"}
        asking = asyncio.create_task(
            client.request(method, PATH + path.format(id=response_id), content=text, headers=headers)
        )
        await gate.reached("responses.get")
        check(await socket.create())
        if what == "deleted":
            server.gateway.service.registry.delete(response_id)
        if what == "fails":
            gate.fail()
        gate.open()
        answer = await asking
        if what == "deleted":
            if body is None:
                assert_refused(answer, "response_not_found", 404, "response_id")
            else:
                assert_refused(answer, "previous_response_not_found", 400, "previous_response_id")
        elif what == "fails":
            assert_refused(answer, "server_error", 500)
            [record] = [record for record in caplog.records if record.exc_info]
            assert record.getMessage().startswith("request failed")
            caplog.clear()
        else:
            assert answer.status_code == (409 if operation == "cancel" else 200), answer.text


# -- the end


@KINDS
async def test_a_drain_refuses_what_was_looking_and_closes_its_socket(kind: str) -> None:
    async with slow() as (server, gate), server.client(native=True) as client:
        await waiting_create(server, gate, client, kind, event_id="create")
        draining = asyncio.create_task(server.gateway.drain())
        assert (await client.receive())["type"] == "session.draining"
        assert not draining.done()
        gate.open()
        refusal = await client.receive()
        assert_error(refusal, "server_draining", 503, retry=True)
        assert refusal["event_id"] == "create"
        await asyncio.wait_for(client.connection.wait_closed(), 120)
        assert client.connection.close_code == 1012
        await draining


async def test_a_store_that_never_answers_delays_a_drain_no_longer_than_its_grace() -> None:
    async with slow(changed(drain_seconds=0.0)) as (server, gate), server.client() as client, http(server) as web:
        response_id = await done(client)
        gate.hold()
        await client.send("response.create", input="hi", request_id="r")
        await client.send("response.resume", response_id=response_id, starting_after=-1)
        asking = asyncio.create_task(web.get(f"{PATH}/{response_id}"))
        await gate.reached(number=3)
        await server.gateway.drain()
        codes = {(await client.receive())["error"]["code"] for _ in range(2)}
        assert codes == {"server_is_overloaded"}
        await asyncio.wait_for(client.connection.wait_closed(), 120)
        assert client.connection.close_code == 1012
        assert_refused(await asking, "server_is_overloaded", 503)
        assert not gate.waiting


@KINDS
async def test_an_engine_that_dies_while_a_create_looks_is_told(kind: str) -> None:
    async with slow(backoff=Backoff(first_seconds=3600)) as (server, gate), server.client() as client:
        await waiting_create(server, gate, client, kind)
        server.engine.kill()
        await until(lambda: server.gateway._trouble() is not None)
        gate.open()
        [refusal] = await client.until_done()
        assert_error(refusal, "engine_unavailable", 503, retry=True)


# -- random schedules


class SlowSchedule(Schedule):
    """A schedule on stores that answer when, and in which order, chance has it, and sometimes fail."""

    in_order = False

    def stores(self, settings: ResponseSettings) -> Stores:
        stores, self.gate = slow_stores(settings)
        self.gate.asks_first = self.rng.random() < 0.5
        often = self.rng.choice([0.2, 0.8])
        self.gate.hold_if(lambda name: self.rng.random() < often)
        self.failures = self.rng.random() < 0.3
        self.conversations: list[str] = []
        return stores

    async def operate(self) -> None:
        for _ in range(self.rng.choice([0, 1, 1, 2, 3])):
            if self.gate.waiting:
                one = self.rng.randrange(len(self.gate.waiting))
                fails = self.failures and self.rng.random() < 0.1
                self.gate.fail(index=one) if fails else self.gate.let_go(index=one)
        if self.rng.random() < 0.1:
            self._forget_something()
        if self.rng.random() < 0.1:
            self.repeat()
        await super().operate()
        running = [run.job.request.request_id for run in self.stack.service.registry.running.values()]
        named = [name for name in running if name is not None]
        assert len(named) == len(set(named)), "two runs of one request"

    def _forget_something(self) -> None:
        service, store = self.stack.service, self.gate.memory.conversations
        kept = [conversation for shelf in store._tenants.values() for conversation in shelf.conversations.values()]
        if kept and self.rng.random() < 0.5:
            store.delete(self.rng.choice(kept))
        elif over := list(self.gate.memory.responses._kept):
            service.registry.delete(self.rng.choice(over))

    def _send_create(self, client: Any, name: str, members: dict[str, Any]) -> None:
        if "/" not in name and "previous_response_id" not in members and self.rng.random() < 0.4:
            if not self.conversations or self.rng.random() < 0.3:
                made = self.gate.memory.conversations.create("local", {}, 0)
                self.conversations.append(made.id)
            members["conversation"] = self.rng.choice(self.conversations)
        kept = list(self.gate.memory.responses._homes)
        if "/" not in name and kept and self.rng.random() < 0.4:
            _, item_id = self.rng.choice(kept)
            members["input"] = [{"type": "item_reference", "id": item_id}, {"role": "user", "content": "x"}]
        super()._send_create(client, name, members)

    async def end(self) -> None:
        self.gate.open()
        await super().end()

    def verify(self) -> None:
        super().verify()
        assert_nothing_left(self.stack.service, self.gate)
        by_name: dict[str, list[Any]] = {}
        for run in self.stack.runs:
            if run.job.request.request_id is not None:
                by_name.setdefault(run.job.request.request_id, []).append(run)
        for runs in by_name.values():
            for run in runs[:-1]:
                details = run.response.incomplete_details
                nothing = run.response.status == "failed" or (details and details.reason == "client_disconnected")
                assert nothing or run.response_id in self.stack.service.registry.deleted, "it ran twice"

    def verify_log(self, response_id: str, log: ObservedLog) -> None:
        last = json.loads(log.history[-1])["response"]
        if last["status"] == "failed" and "onversation" in last["error"]["message"]:
            return  # it was deleted while the response waited for its turn
        super().verify_log(response_id, log)


async def test_readers_get_exact_bytes_whatever_stores_do(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level("CRITICAL")
    more = {"server_error", "conversation_not_found", "conversation_locked", "item_not_found", "invalid_request"}
    monkeypatch.setattr("tests.behaviour.test_schedules.REFUSALS", REFUSALS | more)
    for seed in range(NUM_SCHEDULES):
        try:
            await SlowSchedule(seed).run()
        except BaseException as error:
            error.add_note(f"slow schedule {seed}")
            raise
