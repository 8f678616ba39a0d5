"""What ends an answer is shown when it is stored, whatever `deliver` is; what is said is shown at once. On a file of
which a test says when it is written.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from realtime.connection.readers import Done, Reader, Readers
from realtime.engine.scripted import say
from realtime.runs.endings import Failed
from realtime.runs.run import Run
from realtime.service import delivery
from realtime.service.list_pages import PageQuery
from realtime.service.principal import LOCAL
from realtime.settings.fields import Settings
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.requests import Characters, ConversationRef, OnDisconnect, Through
from tests.support.jobs import make_request
from tests.support.restarts import House, entries_of, house
from tests.support.server import changed

WORDS = ("one ", "two ", "three. ", "four ", "five")
TERMINALS = ("response.completed", "response.incomplete", "response.failed")
NAMED: dict[str, Any] = {"request_id": "mine", "on_disconnect": OnDisconnect(policy="continue")}


def types_of(entries: list[bytes]) -> list[str]:
    return [json.loads(entry)["type"] for entry in entries]


class Followed:
    """A run, and a client that has followed it from its beginning."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.got: list[bytes] = []
        self.done: list[Done] = []
        self._readers = Readers()
        self._readers.add(Reader(run, 0, None, None))

    def read(self) -> list[str]:
        """The types of what is new."""
        entries, done = self._readers.read(1 << 20)
        self.got += entries
        self.done += done
        return types_of(entries)


async def followed(here: House, ticks: int = 3, **members: Any) -> Followed:
    """An answer that is stored as far as it has come."""
    one = Followed(await here.create(make_request(**members)))
    await here.say(ticks)
    one.read()
    here.flush()
    return one


async def _cancel(here: House, run: Run) -> None:
    await here.service.cancel(LOCAL, run.response_id)


async def _interrupt(here: House, run: Run) -> None:
    await here.service.stop(LOCAL, run.response_id, "interrupt")


async def _steer(here: House, run: Run) -> None:
    await here.service.stop(LOCAL, run.response_id, "steer")


async def _come_to_the_end(here: House, run: Run) -> None:
    await here.finish()


async def _fail(here: House, run: Run) -> None:
    run.stopping.ask(Failed("server_error", "it went wrong"))


ENDS: dict[str, Callable[[House, Run], Coroutine[Any, Any, None]]] = {
    "cancelled": _cancel, "interrupted": _interrupt, "steered": _steer, "completed": _come_to_the_end,
    "failed": _fail,
}  # fmt: skip


@pytest.mark.parametrize("deliver", ["at_once", "after_commit"])
@pytest.mark.parametrize("end", ENDS)
async def test_an_end_is_shown_when_it_is_stored_and_is_there_after_a_crash(
    tmp_path: Path, end: str, deliver: str
) -> None:
    settings, path = changed(deliver=deliver), tmp_path / "store.db"
    async with house(path, say(*WORDS), settings=settings, waits=True) as here:
        one = await followed(here, seed=1)
        one.read()
        await ENDS[end](here, one.run)
        await here.settle()
        assert one.run.over
        assert not {*one.read()} & {*TERMINALS}
        assert "response.output_text.done" not in types_of(one.got), "what closes an answer belongs to its end"
        here.flush()
        one.read()
        assert types_of(one.got)[-1] in TERMINALS
        await here.die()
    async with house(path, say(*WORDS), settings=settings, waits=True) as here:
        assert here.runs == []
        assert list(entries_of(await here.find(one.run.response_id))) == one.got


@pytest.mark.parametrize("end", ENDS)
async def test_an_answer_whose_end_nobody_was_told_goes_on(tmp_path: Path, end: str) -> None:
    path = tmp_path / "store.db"
    async with house(path, say(*WORDS), waits=True) as here:
        one = await followed(here, seed=1)
        await ENDS[end](here, one.run)
        await here.settle()
        one.read()
        await here.die()
    async with house(path, say(*WORDS), waits=True) as here:
        assert [run.response_id for run in here.runs] == [one.run.response_id]
        await here.finish()
        entries = list(entries_of(await here.find(one.run.response_id)))
        assert entries[: len(one.got)] == one.got
        assert types_of(entries)[-1] == "response.completed"


async def test_what_is_said_is_shown_at_once(tmp_path: Path) -> None:
    async with house(tmp_path / "store.db", say(*WORDS), waits=True) as here:
        one = Followed(await here.create(make_request()))
        assert one.read()[0] == "response.created"
        await here.say(2)
        assert "response.output_text.delta" in one.read()


@pytest.mark.parametrize("conversation", [False, True])
async def test_who_is_not_stored_waits_only_for_his_conversation(tmp_path: Path, conversation: bool) -> None:
    async with house(tmp_path / "store.db", say(*WORDS), waits=True) as here:
        members: dict[str, Any] = {}
        if conversation:
            members["conversation"] = ConversationRef(id=here.service.conversations.create(LOCAL, [], {}).id)
        one = Followed(await here.create(make_request(store=False, **members)))
        await here.finish()
        assert (one.read()[-1] in TERMINALS) is not conversation
        here.flush()
        one.read()
        assert types_of(one.got)[-1] in TERMINALS


def _asked(here: House, one: Followed) -> dict[str, Coroutine[Any, Any, Any]]:
    """Everything that tells of an end."""
    service, response_id = here.service, one.run.response_id
    return {
        "resume": service.resume(LOCAL, response_id, -1, None),
        "show": service.show(LOCAL, response_id),
        "list": service.lists.responses(LOCAL, PageQuery()),
        "stop": service.stop(LOCAL, response_id, "cancel"),
        "again": service.create(LOCAL, make_request(**NAMED), None, native=True),
    }


async def test_nobody_is_told_of_an_end_that_is_not_stored(tmp_path: Path) -> None:
    async with house(tmp_path / "store.db", say(*WORDS), waits=True) as here:
        one = await followed(here, **NAMED)
        await here.finish()
        tasks = {name: asyncio.create_task(call) for name, call in _asked(here, one).items()}
        await here.settle()
        assert [name for name, task in tasks.items() if task.done()] == []
        here.flush()
        await asyncio.wait(tasks.values())
        assert tasks["show"].result().status == "completed"
        assert tasks["again"].result().response_id == one.run.response_id
        assert tasks["list"].result().data[0].status == "completed"
        with pytest.raises(WireError) as refused:
            tasks["stop"].result()
        assert refused.value.code is ErrorCode.RESPONSE_ALREADY_COMPLETED


@pytest.mark.parametrize("what", ["cancel again", "truncate", "delete"])
async def test_a_change_is_confirmed_when_it_is_stored(tmp_path: Path, what: str) -> None:
    async with house(tmp_path / "store.db", say(*WORDS), waits=True) as here:
        one = await followed(here)
        response_id = one.run.response_id
        await here.service.cancel(LOCAL, response_id)
        await here.settle()
        if what == "cancel again":
            change: Coroutine[Any, Any, Any] = here.service.cancel(LOCAL, response_id)
        else:
            here.flush()
            item = str(one.run.response.output[0].id)
            change = (
                here.service.delete(LOCAL, response_id) if what == "delete"
                else here.service.truncate(LOCAL, response_id, Characters(item, 0, 1))
            )  # fmt: skip
        made = asyncio.create_task(change)
        await here.settle()
        assert not made.done(), "a crash could lose it still"
        here.flush()
        await made


async def test_a_next_turn_builds_on_what_is_stored(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with house(path, say(*WORDS), waits=True) as here:
        one = await followed(here)
        await here.service.cancel(LOCAL, one.run.response_id)
        await here.settle()
        here.flush()
        assert one.read()[-1] in TERMINALS
        child = await here.create(make_request(previous_response_id=one.run.response_id))
        here.flush()
        await here.die()
    async with house(path, say(*WORDS), waits=True) as here:
        assert [run.response_id for run in here.runs] == [child.response_id]


@pytest.mark.parametrize("deliver", ["at_once", "after_commit"])
async def test_nobody_waits_without_end_for_a_store_that_does_not_commit(tmp_path: Path, deliver: str) -> None:
    settings: Settings = changed(deliver=deliver, look_up_seconds=0.05)
    async with house(tmp_path / "store.db", say(*WORDS), settings=settings, waits=True) as here:
        one = await followed(here)
        told = asyncio.Event()
        here.service.follow(LOCAL, one.run, told.set)
        await here.finish()
        told.clear()
        await asyncio.wait_for(told.wait(), 10)  # guards against hanging only
        one.read()
        [(_, why)] = one.done
        assert isinstance(why, WireError)
        assert why.code is ErrorCode.STORE_UNAVAILABLE
        with pytest.raises(WireError):
            await here.service.show(LOCAL, one.run.response_id)
        here.flush()
        assert (await here.service.show(LOCAL, one.run.response_id)).status == "completed"
        assert list(entries_of(await here.find(one.run.response_id)))[: len(one.got)] == one.got


@pytest.mark.parametrize("what", ["resume", "show", "list", "stop", "again", "cancel again"])
async def test_nobody_waits_without_end_for_what_tells_of_an_end(tmp_path: Path, what: str) -> None:
    async with house(tmp_path / "store.db", say(*WORDS), settings=changed(look_up_seconds=0.05), waits=True) as here:
        one = await followed(here, **NAMED)
        await here.service.cancel(LOCAL, one.run.response_id)
        await here.settle()
        calls = {**_asked(here, one), "cancel again": here.service.cancel(LOCAL, one.run.response_id)}
        asked = calls.pop(what)
        for other in calls.values():
            other.close()
        with pytest.raises(WireError) as refused:
            await asyncio.wait_for(asked, 10)  # guards against hanging only
        assert refused.value.spec.retry


async def test_an_end_that_is_not_stored_holds_no_place_and_no_metric(tmp_path: Path) -> None:
    async with house(tmp_path / "store.db", say(*WORDS), settings=changed(max_running_responses=1), waits=True) as here:
        one = await followed(here)
        other = await here.create(make_request())
        assert not other.has_begun
        await here.service.cancel(LOCAL, one.run.response_id)
        await here.settle()
        assert one.read() == []
        assert other.has_begun
        assert here.service.num_running == here.service.queue.scheduler.num_running == 1
        [pulse] = here.service.heartbeat([one.run.response_id, other.response_id]).responses
        assert pulse.response_id == other.response_id


MEANWHILE: dict[str, Callable[[House, Run, str], Coroutine[Any, Any, Any]]] = {
    "delete": lambda here, run, _: here.service.delete(LOCAL, run.response_id),
    "delete conversation": lambda here, run, name: here.service.conversations.delete(LOCAL, name),
    "truncate": lambda here, run, _: here.service.truncate(LOCAL, run.response_id, Through(3)),
    "cancel or truncate": lambda here, run, _: here.service.cancel_or_truncate(LOCAL, run.response_id, 3),
    "interrupt": lambda here, run, _: here.service.stop(LOCAL, run.response_id, "interrupt"),
    "steer": lambda here, run, _: here.service.stop(LOCAL, run.response_id, "steer"),
    "next turn": lambda here, run, _: here.create(make_request(previous_response_id=run.response_id)),
    "next in conversation": lambda here, run, name: here.create(make_request(conversation=ConversationRef(id=name))),
    "resume": lambda here, run, _: here.service.resume(LOCAL, run.response_id, -1, None),
}  # fmt: skip


@pytest.mark.parametrize("store", [True, False])
@pytest.mark.parametrize("what", MEANWHILE)
async def test_whatever_is_asked_meanwhile_an_end_is_shown_once_and_at_the_next_commit(
    tmp_path: Path, what: str, store: bool
) -> None:
    async with house(tmp_path / "store.db", say(*WORDS), waits=True) as here:
        name = here.service.conversations.create(LOCAL, [], {}).id
        one = await followed(here, store=store, conversation=ConversationRef(id=name))
        await here.service.cancel(LOCAL, one.run.response_id)
        await here.settle()
        assert one.run.over
        meanwhile = asyncio.create_task(MEANWHILE[what](here, one.run, name))
        await here.settle()
        assert one.read() == []
        here.flush()
        await here.settle()
        one.read()
        events = [json.loads(entry) for entry in one.got]
        assert [event["sequence_number"] for event in events] == list(range(len(events)))
        assert [event["done"] for event in events] == [False] * (len(events) - 1) + [True]
        assert one.done == [(one.done[0][0], None)]
        here.flush()
        await asyncio.wait([meanwhile], timeout=10)  # guards against hanging only
        assert meanwhile.done()
        if (error := meanwhile.exception()) is not None:
            assert isinstance(error, WireError)
            assert not error.spec.retry


async def test_who_cuts_an_answer_that_others_go_on_with_is_told(tmp_path: Path) -> None:
    async with house(tmp_path / "store.db", say(*WORDS), waits=True, abort_ticks=5) as here:
        one = await followed(here)
        cut = asyncio.create_task(here.service.truncate(LOCAL, one.run.response_id, Through(3)))
        await here.settle()
        assert not one.run.over, "the engine still has it"
        await here.service.lose()
        assert one.run.log.left
        with pytest.raises(WireError) as refused:
            await asyncio.wait_for(cut, 10)  # guards against hanging only
        assert refused.value.spec.retry


async def test_the_last_ends_are_shown_before_the_service_has_ended(tmp_path: Path) -> None:
    async with house(tmp_path / "store.db", say(*WORDS), waits=True) as here:
        one = await followed(here)
        ending = asyncio.create_task(here.service.shutdown())
        await here.settle()
        assert not ending.done()
        here.flush()
        await ending
        one.read()
        assert types_of(one.got)[-1] in TERMINALS


async def test_a_store_that_does_not_commit_does_not_hold_up_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "_LAST_SECONDS", 0.01)
    async with house(tmp_path / "store.db", say(*WORDS), waits=True) as here:
        one = await followed(here)
        await asyncio.wait_for(here.service.shutdown(), 10)  # guards against hanging only
        assert one.run.log.left
        assert not one.run.log.sealed
