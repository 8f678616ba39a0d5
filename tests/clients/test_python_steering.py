"""What a caller does to a response that runs: steer, inject, interrupt, acknowledge, cut. Against the real server."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator

import pytest

import realtime_client
from realtime_client import Fate, Policy, ServerError, Steer, SteerFailed
from tests.behaviour.test_steer import LOOK, TOOLS, Recorder
from tests.support.calls import TAGGED
from tests.support.server import running
from tests.support.steps import engine_holds, until

from .fake_server import FakeServer
from .test_python_client import QUICK, abort, connect

STORY = ("one ", "two ", "three ", "four ")


def fate_of(steer: Steer) -> Fate:
    """What became of it by now."""
    return steer.fate


@pytest.fixture(autouse=True)
async def _ends() -> AsyncIterator[None]:
    """A lost event would wait for ever."""
    loop = asyncio.get_running_loop()
    deadline = loop.call_later(60, lambda: [task.cancel() for task in asyncio.all_tasks(loop)])
    yield
    deadline.cancel()


async def words(response: realtime_client.Response, count: int) -> None:
    """Read so many pieces of text."""
    async for _ in response.text():
        count -= 1
        if count == 0:
            break


async def test_the_chain_goes_on_into_the_successor() -> None:
    recorder = Recorder(STORY, ("ok",))
    async with running(recorder, tick_seconds=None) as server, connect(server.url) as rt:
        response = await rt.create(input="hi", store=False)
        await until(lambda: engine_holds(server) == 1)
        server.engine.step(2)
        await words(response, 2)
        steer = await response.steer("turn left")
        rest = asyncio.create_task(_texts(response))
        await until(lambda: len(recorder.prompts) == 2)
        server.engine.run_until_idle()
        assert await rest == {response.id: "", (await _next(response)).id: "ok"}
        assert steer.fate is Fate.APPLIED
        assert recorder.prompts[1].index("one two ") < recorder.prompts[1].index("turn left")
        assert (await response.result())["incomplete_details"] == {"reason": "steered"}
        successor = await _next(response)
        assert (await successor.result())["previous_response_id"] == response.id
        assert successor is await _next(response)
        assert await successor.successor() is None
        third = asyncio.create_task(rt.create(input="and?", store=False, previous_response_id=successor.id))
        await until(lambda: len(recorder.prompts) == 3)
        assert (await third).id != successor.id, "it goes to the lane where the successor is"
        server.engine.run_until_idle()


async def _texts(response: realtime_client.Response) -> dict[str, str]:
    texts: dict[str, str] = {}
    async for event in response.chain():
        texts[event["response_id"]] = texts.get(event["response_id"], "") + (
            event["delta"] if event["type"] == "response.output_text.delta" else ""
        )
    return texts


async def _next(response: realtime_client.Response) -> realtime_client.Response:
    successor = await response.successor()
    assert successor is not None
    return successor


async def _end_of_chain(response: realtime_client.Response) -> realtime_client.Response:
    while (successor := await response.successor()) is not None:
        response = successor
    return response


async def test_a_new_create_waits_until_the_successor_has_taken_the_lane() -> None:
    """Its `response.created` would else be taken for that of the create: one lane, and everything at once."""
    policy = Policy(initial_delay_seconds=0, num_lanes=1)
    async with running(Recorder(STORY * 50), tick_seconds=0.001) as server, connect(server.url, policy=policy) as rt:
        for _ in range(3):
            response = await rt.create(input="hi")
            await response.steer("turn left")
            other = asyncio.create_task(rt.create(input="something else"))
            successor = await _next(response)
            assert (await successor.result())["previous_response_id"] == response.id
            assert (await (await other).result())["previous_response_id"] is None


async def test_steers_of_a_successor_that_is_not_known_yet_go_on_along_the_chain() -> None:
    async with running(Recorder(STORY * 200), tick_seconds=0.001) as server, connect(server.url) as rt:
        response = await rt.create(input="hi")
        steers = []
        for number in range(8):
            steers.append(await response.steer(f"turn {number}"))
            await asyncio.sleep(0.002 * (number % 3))  # anywhere around the end of what was steered
        last, count = response, 0
        while (successor := await last.successor()) is not None:
            last, count = successor, count + 1
        assert (await last.result())["status"] == "completed"
        assert count >= 1
        assert {steer.fate for steer in steers} == {Fate.APPLIED}


async def test_a_refused_steer_comes_back() -> None:
    async with running(Recorder(("a",))) as server, connect(server.url) as rt:
        response = await rt.create(input="hi")
        await response.result()
        with pytest.raises(SteerFailed) as refused:
            await response.steer("turn left")
        assert (refused.value.code, refused.value.input) == ("response_already_completed", "turn left")
        assert await response.successor() is None


async def test_an_accepted_steer_that_is_given_back_is_told_by_the_successor() -> None:
    recorder = Recorder(("x", *LOOK))  # a call is not cut, so it is still running when the cancel comes
    async with running(recorder, tick_seconds=None, family=TAGGED) as server, connect(server.url) as rt:
        response = await rt.create(input="hi", tools=TOOLS)
        await until(lambda: engine_holds(server) == 1)
        server.engine.step(4)
        async for event in response:
            if event["type"] == "response.function_call_arguments.delta":
                break
        steer = await response.steer("turn left")
        await response.cancel()
        with pytest.raises(SteerFailed) as returned:
            await response.successor()
        assert (steer.fate, returned.value.code) == (Fate.FAILED, "response_not_active")


async def test_a_steer_that_waits_for_outputs_goes_with_the_create_that_answers() -> None:
    recorder = Recorder(("x", *LOOK), ("ok",))
    async with (
        running(recorder, tick_seconds=None, family=TAGGED) as server,
        connect(server.url, policy=QUICK) as rt,
    ):
        response = await rt.create(input="hi", tools=TOOLS, stream_id="mine")
        await until(lambda: engine_holds(server) == 1)
        server.engine.step(4)
        async for event in response:
            if event["type"] == "response.function_call_arguments.delta":
                break
        steer = await response.steer("turn left")
        server.engine.run_until_idle()
        assert await response.successor() is None
        assert steer.fate is Fate.PENDING
        [stub] = steer.required_input
        output = {"type": "function_call_output", "call_id": stub["call_id"], "output": "seen"}
        answer = asyncio.create_task(rt.create(input=[output], previous_response_id=response.id))
        await until(lambda: len(recorder.prompts) == 2)
        server.engine.run_until_idle()
        assert (await (await answer).result())["status"] == "completed"
        assert fate_of(steer) is Fate.APPLIED
        assert "turn left" in recorder.prompts[1]


async def test_an_injection_that_answers_every_call_makes_the_successor() -> None:
    recorder = Recorder((*LOOK, *LOOK), ("ok",))
    async with running(recorder, tick_seconds=None, family=TAGGED) as server, connect(server.url) as rt:
        response = await rt.create(input="hi", tools=TOOLS)
        await until(lambda: engine_holds(server) == 1)
        server.engine.step(len(LOOK) + 2)
        call_id = ""
        async for event in response:
            if event["type"] == "response.output_item.done" and event["item"]["type"] == "function_call":
                call_id = event["item"]["call_id"]
                break
        with pytest.raises(ServerError):
            await response.inject([{"type": "message", "role": "user", "content": "no output"}])
        first = await response.inject([{"type": "function_call_output", "call_id": call_id, "output": "seen"}])
        server.engine.run_until_idle()
        assert await response.successor() is None
        assert first.fate is Fate.PENDING, "the second call is not answered"
        [stub] = first.required_input
        output = {"type": "function_call_output", "call_id": stub["call_id"], "output": "seen too"}
        answer = asyncio.create_task(rt.create(input=[output], previous_response_id=response.id))
        await until(lambda: len(recorder.prompts) == 2)
        server.engine.run_until_idle()
        await (await answer).result()
        assert fate_of(first) is Fate.APPLIED
        assert "seen too" in recorder.prompts[1]


async def test_a_cut_says_that_the_fate_of_a_steer_is_unknown() -> None:
    # it can't end before the cut
    async with running(Recorder(STORY * 50), tick_seconds=None, abort_ticks=1) as server, connect(server.url) as rt:
        response = await rt.create(input="hi", tools=TOOLS)
        await until(lambda: engine_holds(server) == 1)
        server.engine.step()
        steer = await response.steer("turn left")
        abort(rt)
        server.engine.run_until_idle()
        with pytest.raises(SteerFailed) as lost:
            await _end_of_chain(response)
        assert lost.value.code == "connection_lost"
        assert steer.fate is Fate.FAILED
        assert (await response.result())["id"] == response.id, "the response itself is resumed"


async def test_interrupt_forgets_the_item_that_was_being_written() -> None:
    async with running(Recorder(STORY * 50), tick_seconds=0.001) as server, connect(server.url) as rt:
        response = await rt.create(input="hi")
        await words(response, 2)
        final = await response.interrupt()
        assert final["incomplete_details"] == {"reason": "interrupted"}
        assert final.output_text == ""
        assert (await (await rt.create(input="again", previous_response_id=response.id)).result())["status"]


@pytest.mark.parametrize("how", ["through", "ack", "ack before a cut"])
async def test_a_cancel_ends_the_answer_where_the_user_stopped_listening(how: str) -> None:
    recorder = Recorder(STORY * 50, ("ok",))
    async with running(recorder, tick_seconds=0.001) as server, connect(server.url) as rt:
        response = await rt.create(input="hi")
        await words(response, 2)
        heard = response.cursor.starting_after
        if how != "through":
            response.ack()
        await words(response, 1)
        if how == "ack before a cut":
            abort(rt)
        await words(response, 1)
        with pytest.raises(ValueError, match="has not come"):
            response.ack(10**6)
        with pytest.raises(ValueError, match="has not come"):
            await response.cancel(10**6)
        final = await response.cancel(heard if how == "through" else None)
        assert final.output_text == "one two "
        assert final.receipt is not None
        assert final.receipt["through"] == heard
        await (await rt.create(input="go on", previous_response_id=response.id)).result()
        assert "one two " in recorder.prompts[1]
        assert "three" not in recorder.prompts[1]


async def test_leaving_the_block_stops_the_successor_too() -> None:
    async with running(Recorder(STORY * 5000), tick_seconds=0.001) as server, connect(server.url) as rt:
        async with await rt.create(input="hi") as response:
            await words(response, 1)
            await response.steer("turn left")
            successor = await _next(response)
            await words(successor, 1)
        assert (await successor.result())["status"] == "cancelled"
        async with await rt.create(input="hi") as response:
            await words(response, 1)
            await response.steer("turn left")
        await until(lambda: server.engine.stats().num_running == 0)


async def test_a_dropped_handle_lets_go_of_the_successor_that_nobody_took() -> None:
    async with FakeServer().run() as server, connect(server.url) as rt:
        response = await rt.create(input="hi")
        session, track = rt._session, response._track
        successor = session.create({"input": "stands for a successor"})
        track.successor = successor
        del response, track
        gc.collect()
        rt._poke()
        await until(lambda: successor.over or successor.abandoned)


async def test_a_server_that_promised_heartbeats_and_is_silent_is_left() -> None:
    """The fake answers an update with its own idea of how often, and sends none."""
    server = FakeServer(hold_at=5, beat_seconds=0.02)
    policy = Policy(initial_delay_seconds=0, heartbeat_seconds=1)
    async with server.run(), connect(server.url, policy=policy) as rt:
        response = await rt.create(input="hi")
        await until(lambda: len(server.keys) > 1)
        server.beat_seconds = 60
        final = await response.cancel()
        assert final["status"] == "cancelled"
        assert [e["sequence_number"] async for e in response] == [0, 1, 2, 3, 4, 5]


async def test_heartbeats_of_the_real_server() -> None:
    async with running(Recorder(STORY)) as server, connect(server.url) as rt:
        assert await rt.update(heartbeat_seconds=1) == {"heartbeat_seconds": 1}
        await until(lambda: rt.heartbeat is not None)
        assert rt.heartbeat == {"engine": "ready", "responses": []}
        with pytest.raises(ServerError):
            await rt.update(heartbeat_seconds=0.5)


async def test_a_new_key_holds_for_the_next_connection_too() -> None:
    async with FakeServer(hold_at=5).run() as server, connect(server.url, api_key="old") as rt:
        response = await rt.create(input="hi")
        await rt.update(api_key="new")
        abort(rt)
        await response.cancel()
        assert server.keys == ["Bearer old", "Bearer new"]


def test_what_can_not_be_a_policy_is_refused() -> None:
    with pytest.raises(ValueError, match="heartbeat_seconds"):
        Policy(heartbeat_seconds=0.5)
    with pytest.raises(ValueError, match="max_missed_heartbeats"):
        Policy(max_missed_heartbeats=0)
