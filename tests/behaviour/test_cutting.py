"""What is left of an answer that was stopped: interrupts forget the open item, a barge-in all that was not heard."""

from __future__ import annotations

from typing import Any

from realtime.engine.scripted import say
from tests.behaviour.test_steer import TOOLS, Recorder
from tests.support.calls import TAGGED, spoken_call
from tests.support.server import Client, Running, running
from tests.support.steps import begin, engine_holds, finish, until
from tests.support.transcript import assert_error, check, text_of, types

WORDS = tuple(f"word{n} " for n in range(9))


async def next_prompt(server: Running, client: Client, recorder: Recorder, parent: str, **members: Any) -> str:
    """What the model is given for a turn after `parent`."""
    num = len(recorder.prompts)
    await client.send("response.create", input="NEXT", previous_response_id=parent, **members)
    await until(lambda: engine_holds(server) == 1)
    server.engine.run_until_idle()
    await client.until_done()
    return recorder.prompts[num]


# -- response.interrupt


async def test_an_interrupt_forgets_the_item_that_is_being_written_and_keeps_the_finished_ones() -> None:
    recorder = Recorder((*spoken_call("look", "{}"), *spoken_call("look", "{", '"secret": 1')), ("ok",))
    async with running(recorder, tick_seconds=None, family=TAGGED) as server, server.client() as client:
        response_id = await begin(client, store=False, tools=TOOLS)
        server.engine.step(8)
        while (await client.receive())["type"] != "response.output_item.done":
            pass
        await client.send("response.interrupt", response_id=response_id, mode="discard_partial_items")
        *events, last = await client.until_done(response_id)
        assert last["type"] == "response.incomplete"
        final = last["response"]
        assert (final["status"], final["incomplete_details"]) == ("incomplete", {"reason": "interrupted"})
        assert final["end_turn"] is False
        (call,) = final["output"]
        assert (call["status"], call["arguments"]) == ("completed", "{}")
        assert events[-1]["type"] == "response.output_item.done", "what was begun is closed for whoever reads"
        assert events[-1]["item"]["status"] == "incomplete"
        assert final["usage"]["output_tokens"] == 8
        output = [{"type": "function_call_output", "call_id": call["call_id"], "output": "x"}]
        await client.send("response.create", input=output, previous_response_id=response_id, store=False)
        await until(lambda: engine_holds(server) == 1)
        assert "secret" not in recorder.prompts[1]


async def test_an_interrupted_text_is_in_no_history() -> None:
    recorder = Recorder(WORDS, ("ok",))
    async with running(recorder, tick_seconds=None) as server, server.client() as client:
        response_id = await begin(client, store=False)
        server.engine.step(3)
        await client.send("response.interrupt", response_id=response_id)
        final = (await client.until_done(response_id))[-1]["response"]
        assert final["output"] == []
        assert "word0" not in await next_prompt(server, client, recorder, response_id, store=False)


async def test_an_interrupt_that_can_not_be_obeyed_is_answered() -> None:
    async with running(say("a")) as server, server.client() as client:
        await client.send("response.interrupt", response_id="resp_none", event_id="e")
        error = await client.receive()
        assert_error(error, "response_not_found", 404, response_id="resp_none")
        assert error["event_id"] == "e"
        response_id = (await client.create())[-1]["response_id"]
        await client.send("response.interrupt", response_id=response_id)
        assert_error(await client.receive(), "response_already_completed", 409)
        await client.send("response.interrupt", response_id=response_id, mode="other")
        assert_error(await client.receive(), "invalid_request", 400, param="mode")


async def test_an_old_agents_frames_are_taken_in_silence_or_refused_by_name() -> None:
    async with running(say("a")) as server, server.client() as client:
        await client.send("response.processed", response_id="resp_1")
        await client.send("response.append", input=[])
        error = await client.receive()
        assert_error(error, "unsupported_event_type", 400, param="type")
        assert "previous_response_id" in error["error"]["message"]


# -- response.cancel with `through`, and response.ack


async def spoken(server: Running, client: Client, count: int, **members: Any) -> tuple[str, list[dict[str, Any]]]:
    """A response of which so many tokens have come."""
    response_id = await begin(client, **members)
    server.engine.step(count)
    return response_id, [await client.receive() for _ in range(count + 2)]  # item and part come before


async def test_what_was_not_heard_is_in_no_history() -> None:
    recorder = Recorder(WORDS, ("ok",))
    async with running(recorder, tick_seconds=None) as server, server.client() as client:
        response_id, events = await spoken(server, client, 5, store=False)
        heard = events[4]
        assert heard["delta"] == "word2 "
        await client.send("response.cancel", response_id=response_id, through=heard["sequence_number"])
        final = (await client.until_done(response_id))[-1]["response"]
        (message,) = final["output"]
        assert message["content"][0]["text"] == "word0 word1 word2 "
        assert message["status"] == "incomplete"
        assert final["cancel"]["through"] == heard["sequence_number"]
        assert final["cancel"]["tokens_generated"] == final["usage"]["output_tokens"] == 5, "that was made all the same"
        prompt = await next_prompt(server, client, recorder, response_id, store=False)
        assert "word2" in prompt
        assert "word3" not in prompt


async def test_every_point_of_an_answer_can_be_where_it_is_cut() -> None:
    for index in range(-1, 9):
        async with running(Recorder(WORDS), tick_seconds=None) as server, server.client() as client:
            response_id = await begin(client, include=["message.output_text.logprobs"], top_logprobs=1)
            server.engine.step(5)
            events = [{}, {}, *[await client.receive() for _ in range(7)]]
            await client.send("response.cancel", response_id=response_id, through=index)
            final = (await client.until_done(response_id))[-1]["response"]
            text = text_of([event for event in events if event and event["sequence_number"] <= index])
            assert "".join(item["content"][0]["text"] for item in final["output"]) == text
            if text:
                assert len(final["output"][0]["content"][0]["logprobs"]) == len(text.split())


async def test_a_call_counts_as_seen_when_its_end_was() -> None:
    recorder = Recorder(("text ", *spoken_call("look", "{", "}"), *spoken_call("look", "{", "}"), "x"))
    for past_the_end in (False, True):
        async with running(recorder, tick_seconds=None, family=TAGGED) as server, server.client() as client:
            response_id = await begin(client, tools=TOOLS)
            server.engine.step(9)
            while (event := await client.receive())["type"] != "response.output_item.done" or (
                event["item"]["type"] != "function_call"
            ):
                pass
            through = event["sequence_number"] - (not past_the_end)
            await client.send("response.cancel", response_id=response_id, through=through)
            final = (await client.until_done(response_id))[-1]["response"]
            kinds = [item["type"] for item in final["output"]]
            assert kinds == ["message", *["function_call"] * past_the_end]


async def test_what_was_acknowledged_is_what_was_heard() -> None:
    async with running(Recorder(WORDS), tick_seconds=None) as server, server.client() as client:
        response_id, events = await spoken(server, client, 5)
        for number in (4, 5, 3):
            await client.send("response.ack", response_id=response_id, through=number)
        await client.send("response.cancel", response_id=response_id)
        final = (await client.until_done(response_id))[-1]["response"]
        assert final["output"][0]["content"][0]["text"] == text_of([e for e in events if e["sequence_number"] <= 5])
        assert final["cancel"]["through"] == 5
        await client.send("response.ack", response_id=response_id, through=0)  # too late, as they often are
        await client.send("response.cancel", response_id="resp_none")
        assert_error(await client.receive(), "response_not_found")


async def test_nobody_has_heard_what_was_not_sent() -> None:
    async with running(Recorder(WORDS), tick_seconds=None) as server, server.client() as client:
        response_id, _ = await spoken(server, client, 2)
        await client.send("response.cancel", response_id=response_id, through=99)
        assert_error(await client.receive(), "cursor_ahead", 416, response_id=response_id)
        await client.send("response.ack", response_id=response_id, through=99)
        assert_error(await client.receive(), "cursor_ahead", 416, param="through")
        assert engine_holds(server) == 1, "and it goes on"


async def test_a_cancel_without_either_cuts_nothing() -> None:
    async with running(Recorder(WORDS), tick_seconds=None) as server, server.client() as client:
        response_id, events = await spoken(server, client, 3)
        await client.send("response.cancel", response_id=response_id)
        events += await client.until_done(response_id)
        final = events[-1]["response"]
        assert final["output"][0]["content"][0]["text"] == text_of(events)
        assert "through" not in final["cancel"]


async def test_the_events_of_a_cut_answer_stay_as_they_were() -> None:
    async with running(Recorder(WORDS), tick_seconds=None) as server, server.client() as client:
        await client.send("response.create", input="hi")
        events = [await client.receive(), await client.receive()]
        await until(lambda: engine_holds(server) == 1)
        server.engine.step(4)
        await until(lambda: server.gateway.service.registry.running[events[0]["response_id"]].log.tip == 8)
        await client.send("response.cancel", response_id=events[0]["response_id"], through=4)
        events += await client.until_done()
        assert types(events)[-4:] == ["output_text.done", "content_part.done", "output_item.done", "incomplete"]
        events[-1]["response"]["output"] = [events[-2]["item"]]  # all else is as of any response
        check(events)
        await finish(server)
