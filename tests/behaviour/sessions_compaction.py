"""Sessions in which a long history is made shorter. Each public coroutine is one."""

from __future__ import annotations

from typing import Any

from realtime.engine.scripted import Fail
from tests.support.recorded_session import RESPONSES, playing
from tests.support.recording import Recording

TRIGGER = {"type": "compaction_trigger"}


def _above(threshold: int) -> dict[str, Any]:
    return {"context_management": [{"type": "compaction", "compact_threshold": threshold}]}


def _user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


async def compaction_by_threshold(recording: Recording) -> None:
    """Above it the history is compacted before the answer; the chain goes on from what is left."""
    answers = ("answer",), ("SUM",), ("second answer",), ("third answer",)
    async with playing(recording, *answers) as stage, stage.socket() as ws:
        last = await ws.create("first " + "x" * 300, **_above(550))
        last = await ws.follow(last, "second " + "y" * 200, **_above(550))
        await ws.follow(last, "third", **_above(900))


async def compaction_by_trigger(recording: Recording) -> None:
    """The output is the item alone; it is continued by its chain and by a client that holds it."""
    async with playing(recording, ("answer",), ("SUM",)) as stage, stage.socket() as ws:
        last = await ws.create("my name is Ada", instructions="Be kind.")
        last = await ws.follow(last, [TRIGGER])
        await ws.follow(last, "what is it?")
        await ws.create([*last["response"]["output"], _user("what is it?")])
        await ws.create([TRIGGER, _user("x")])
        await ws.create([TRIGGER])


async def compaction_by_itself(recording: Recording) -> None:
    """The endpoint: of items, of a response, and refused."""
    path = f"{RESPONSES}/compact"
    async with playing(recording, ("SUM",), ("answer",), ("SUM 2",)) as stage, stage.http() as http:
        history = [_user("The code is 4711."), {"role": "assistant", "content": "Noted."}, _user("Thanks.")]
        made = await http.ask("POST", path, {"model": "starter", "input": history, "instructions": "Be brief."})
        response = await http.create([*made["output"], _user("Which code?")])
        await http.ask("POST", path, {"model": "starter", "previous_response_id": response["id"]})
        for body in (
            {"input": "x"}, {"model": "other", "input": "x"}, {"model": "starter"},
            {"model": "starter", "previous_response_id": "resp_unknown"},
            {"model": "starter", "input": [{"type": "nonsense"}]},
        ):  # fmt: skip
            await http.ask("POST", path, body)


async def compaction_that_fails(recording: Recording) -> None:
    """The engine fails at the summary; a blob that can't be opened."""
    async with playing(recording, ("answer",), ("S", Fail())) as stage, stage.socket() as ws:
        last = await ws.create("first " + "x" * 400)
        await ws.follow(last, "second", **_above(400))
        await ws.create([_user("hi"), {"type": "compaction", "encrypted_content": "rt1.nonsense"}, _user("so?")])
