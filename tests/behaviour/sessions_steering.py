"""Sessions in which a client steers, injects and interrupts. Each public coroutine is one."""

from __future__ import annotations

from typing import Any

from tests.support.calls import TAGGED, spoken_call
from tests.support.recorded_session import playing
from tests.support.recording import Recording

WORDS = tuple(f"word{number} " for number in range(9))
TOOLS = [{"type": "function", "name": "look", "parameters": {"type": "object"}}, {"type": "custom", "name": "write"}]
LOOK = spoken_call("look", '{"a":', " 1", "}")


async def steer_of_a_text(recording: Recording) -> None:
    """The text is cut, a successor goes on from it, with all settings; it can be continued."""
    async with playing(recording, WORDS, ("ok",)) as stage, stage.socket() as ws:
        members: dict[str, Any] = {
            "instructions": "Be kind.",
            "temperature": 0.25,
            "max_output_tokens": 20,
            "metadata": {"k": "v"},
        }
        response_id = await ws.begin(stream_id="a", store=False, **members)
        await stage.step(2)
        await ws.until("response.output_text.delta")
        await ws.until("response.output_text.delta")
        await ws.send("response.steer", previous_response_id=response_id, input="turn left")
        await ws.until("response.steer.accepted")
        await ws.until_done()
        await ws.until("response.in_progress")
        await stage.engine()
        last = await ws.answer()
        await ws.follow(last, "and?", stream_id="a", store=False)


async def steer_of_a_call(recording: Recording) -> None:
    """A call is let to its end, the steer waits for its output, and the next create takes it along."""
    answers = ("text ", *LOOK), ("ok",)
    async with playing(recording, *answers, family=TAGGED) as stage, stage.socket() as ws:
        response_id = await ws.begin(tools=TOOLS)
        await stage.step(4)
        await ws.until("response.function_call_arguments.delta")
        await ws.send("response.steer", previous_response_id=response_id, input=[{"role": "user", "content": "left"}])
        await ws.until("response.steer.accepted")
        last = await ws.answer()
        pending = await ws.until("response.steer.pending")
        await ws.follow(last, [{**pending["required_input"][0], "output": "found it"}], tools=TOOLS)


async def steer_that_is_given_back(recording: Recording) -> None:
    """The lane goes on without what the steer waits for."""
    answers = LOOK, ("ok",), LOOK
    async with playing(recording, *answers, family=TAGGED) as stage, stage.socket() as ws:
        for members in ({}, {"model": "nobody"}):
            response_id = await ws.begin(tools=TOOLS)
            await stage.step(3)
            await ws.until("response.output_item.added")
            await ws.send("response.steer", previous_response_id=response_id, input="left")
            await ws.until("response.steer.accepted")
            last = await ws.answer()
            await ws.until("response.steer.pending")
            parent = {"previous_response_id": last["response_id"]} if members else {}
            await ws.send("response.create", input="something else", **parent, **members)
            await ws.until("error" if members else "response.steer.failed")
            if members:
                await ws.until("response.steer.failed")
            else:
                await ws.answer()


async def steer_refused(recording: Recording) -> None:
    """Unknown, of another connection, no user's input, a warm-up, and one that is over."""
    async with (
        playing(recording, WORDS, (), ("x",)) as stage,
        stage.socket() as ws,
        stage.socket("other") as other,
    ):
        response_id = await other.begin()
        await ws.send("response.steer", previous_response_id="resp_unknown", input="x")
        await ws.receive()
        await ws.send("response.steer", previous_response_id=response_id, input="x")
        await ws.receive()
        await ws.send("response.resume", response_id=response_id, starting_after=1)
        await ws.until("response.resumed")
        await ws.send("response.steer", previous_response_id=response_id, input="x")
        await ws.receive()
        for given in ([], 5, [{"role": "assistant", "content": "x"}], [{"type": "nonsense"}]):
            await other.send("response.steer", previous_response_id=response_id, input=given, event_id="e")
            await other.receive()
        await other.send("response.cancel", response_id=response_id)
        await other.until_done()
        await other.send("response.steer", previous_response_id=response_id, input="x")
        await other.receive()
        last = await other.create()
        await other.send("response.steer", previous_response_id=last["response_id"], input="x")
        await other.receive()


async def inject(recording: Recording) -> None:
    """An output while the response still runs; at its end the successor starts by itself."""
    answers = (*LOOK, "more ", "more "), ("ok",)
    async with playing(recording, *answers, family=TAGGED) as stage, stage.socket() as ws:
        response_id = await ws.begin(tools=TOOLS)
        await stage.step(7)
        call = (await ws.until("response.output_item.done"))["item"]
        output = {"type": "function_call_output", "call_id": call["call_id"], "output": "sunny"}
        await ws.until("response.output_text.delta")
        await ws.send("response.inject", response_id=response_id, input=[output], event_id="e")
        await ws.until("response.inject.created")
        await stage.step(2)
        await ws.until_done()
        await ws.until("response.in_progress")
        await stage.engine()
        await ws.answer()


async def inject_refused(recording: Recording) -> None:
    """Unknown, answering no call, no output at all, and too late."""
    output = {"type": "function_call_output", "call_id": "call_1", "output": "x"}
    async with playing(recording, WORDS) as stage, stage.socket() as ws:
        await ws.send("response.inject", response_id="resp_unknown", input=[output])
        await ws.receive()
        response_id = await ws.begin()
        for given in ([output], "text", []):
            await ws.send("response.inject", response_id=response_id, input=given)
            await ws.receive()
        await ws.answer()
        await ws.send("response.inject", response_id=response_id, input=[output])
        await ws.receive()


async def interrupt(recording: Recording) -> None:
    """What is being written is forgotten, what is finished stays."""
    answers = (*LOOK, *spoken_call("look", "{", '"secret": 1')), ("ok",)
    async with playing(recording, *answers, family=TAGGED) as stage, stage.socket() as ws:
        response_id = await ws.begin(tools=TOOLS)
        await stage.step(9)
        await ws.until("response.output_item.done")
        await ws.until("response.function_call_arguments.delta")
        await ws.send("response.interrupt", response_id=response_id, mode="discard_partial_items")
        last = await ws.until_done()
        (call,) = last["response"]["output"]
        await ws.follow(last, [{"type": "function_call_output", "call_id": call["call_id"], "output": "x"}])


async def interrupt_refused(recording: Recording) -> None:
    """Unknown, over, another mode; and frames of older agents."""
    async with playing(recording) as stage, stage.socket() as ws:
        await ws.send("response.interrupt", response_id="resp_none", event_id="e")
        await ws.receive()
        last = await ws.create()
        await ws.send("response.interrupt", response_id=last["response_id"])
        await ws.receive()
        await ws.send("response.interrupt", response_id=last["response_id"], mode="other")
        await ws.receive()
        await ws.send("response.processed", response_id=last["response_id"])
        await ws.send("response.append", input=[])
        await ws.receive()
