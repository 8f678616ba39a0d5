"""Sessions in which the model thinks: hidden, as a summary, raw, sealed. Each public coroutine is one."""

from __future__ import annotations

from tests.support.marked import MarkedParsers
from tests.support.recorded_session import playing
from tests.support.recording import Recording

THOUGHT = ("think:hm", "think:, so", "a", "b")


async def reasoning_hidden(recording: Recording) -> None:
    """An item without text; and what the operator may have shown."""
    async with playing(recording, THOUGHT, parsers=MarkedParsers()) as stage, stage.socket() as ws:
        last = await ws.create()
        await ws.follow(last, "more")
    settings = {"show_reasoning": "raw"}
    async with playing(recording, THOUGHT, parsers=MarkedParsers(), settings=settings) as stage, stage.http() as http:
        await http.create()


async def reasoning_summary(recording: Recording) -> None:
    """The same text in the events of a summary, over both doors."""
    async with (
        playing(recording, THOUGHT, THOUGHT, parsers=MarkedParsers()) as stage,
        stage.socket() as ws,
        stage.http() as http,
    ):
        await ws.create(reasoning={"summary": "auto", "effort": "high"})
        await http.create(reasoning={"generate_summary": "concise"}, stream=True)


async def reasoning_raw(recording: Recording) -> None:
    """The text itself, cut in the middle of the thought as well."""
    async with playing(recording, THOUGHT, THOUGHT, parsers=MarkedParsers()) as stage, stage.socket() as ws:
        await ws.create(include=["reasoning.content"], reasoning={"effort": "none"})
        await ws.create(include=["reasoning.content"], max_output_tokens=1)


async def reasoning_sealed(recording: Recording) -> None:
    """Sealed to the item, sent back by a client that holds its history; what can't be opened is ignored."""
    async with playing(recording, THOUGHT, parsers=MarkedParsers()) as stage, stage.socket() as ws:
        last = await ws.create(include=["reasoning.encrypted_content"], store=False)
        asked = {"role": "user", "content": "hi"}
        held = last["response"]["output"]
        await ws.create([asked, *held, {"role": "user", "content": "more"}], store=False)
        broken = [{**held[0], "encrypted_content": "rt1.nonsense"}, *held[1:]]
        await ws.create([asked, *broken, {"role": "user", "content": "more"}], store=False)


async def reasoning_in_a_loop_of_tools(recording: Recording) -> None:
    """A thought before a call is before the model again when the output comes."""
    tool = {"type": "function", "name": "look", "parameters": {"type": "object"}}
    answers = ("think:I must look", "call:look", "args:{}"), ("think:fine", "done")
    async with playing(recording, *answers, parsers=MarkedParsers()) as stage, stage.socket() as ws:
        last = await ws.create(tools=[tool], reasoning={"summary": "detailed"})
        call = last["response"]["output"][-1]
        output = {"type": "function_call_output", "call_id": call["call_id"], "output": "seen"}
        await ws.follow(last, [output], tools=[tool])
