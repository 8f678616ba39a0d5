"""Answers that go on after their process was killed: on a file, without sockets, cut at every place of the journal."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sqlite3
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from realtime.connection.profiles import ConnectionLimits, Profile
from realtime.connection.protocol import Connection
from realtime.connection.readers import Reader, Readers
from realtime.engine.base import EngineRequest
from realtime.engine.scripted import RandomScript, Script, Step, say
from realtime.runs.run import Run
from realtime.service.principal import LOCAL
from realtime.service.recovery import end_one
from realtime.service.registry import Registry
from realtime.settings.fields import McpServer, Settings
from realtime.settings.tenants import TenantLimits
from realtime.store.cursor import resolve
from realtime.store.packed.journal import decode_chunks, encode_chunks
from realtime.store.sqlite.stores import bounds_of, open_at_once
from realtime.wire import codec
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.requests import ConversationRef, OnDisconnect, ReasoningOptions, ResponseCreate
from realtime.wire.response import Recovery
from tests.support.calls import TAGGED, called, spoken_call
from tests.support.harmony import steps
from tests.support.jobs import make_request, user
from tests.support.long import LONG
from tests.support.mcp_server import tool_server
from tests.support.pictures import data_url, image, question
from tests.support.restarts import House, cut_copy, entries_of, events_of, house, texts_of, tip_of, until_caught_up
from tests.support.server import changed

WORDS = ("one ", "two ", "", "three. ", "four ", "five")
WEATHER = {"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": {"city": {}}}}
NEXT = "<|end|><|start|>assistant"
CALL = '<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{"city": "A"}<|call|>'
THOUGHT = f"<|channel|>analysis<|message|>I must look, and think.{NEXT}<|channel|>commentary<|message|>I look.{NEXT}"
SHELL = CALL.replace("get_weather", "shell").replace('{"city": "A"}', '{"commands": ["ls"]}')
HARMONY: dict[str, Any] = {"model_type": "gpt_oss", "max_model_len": 65536}


class Case(msgspec.Struct, frozen=True):
    """What is asked for, and of what."""

    script: Script
    members: dict[str, Any] = {}
    options: dict[str, Any] = {}
    input: list[dict[str, Any]] = []

    def request(self) -> ResponseCreate:
        """It as the codec gives it."""
        request = make_request("hi", **self.members)
        if self.input:
            request.items = codec.decode_input(msgspec.json.encode(self.input), codec.Limits())
        return request


CASES = {
    "text": Case(say(*WORDS)),
    "stop string": Case(say(*WORDS, "six", "seven"), {"stop": ["e. fo", "never"]}),
    "length": Case(say(*WORDS), {"max_output_tokens": 4}),
    "logprobs": Case(say(*WORDS), {"include": ["message.output_text.logprobs"], "top_logprobs": 2}),
    "calls": Case(
        say("I look. ", *spoken_call("get_weather", '{"city"', ': "A"}'), *spoken_call("get_weather", "{}")),
        {"tools": [WEATHER]},
        {"family": TAGGED},
    ),
    "background": Case(say(*WORDS), {"background": True, "metadata": {"a": "b"}, "temperature": 0.0}),
    "harmony": Case(
        say(*steps(THOUGHT + CALL)),
        {"tools": [WEATHER], "include": ["reasoning.content", "reasoning.encrypted_content"]},
        HARMONY,
    ),
    "harmony summary": Case(
        say(*steps(THOUGHT + SHELL)),
        {"tools": [{"type": "shell"}], "reasoning": ReasoningOptions(summary="auto")},
        HARMONY,
    ),
    "image": Case(say(*WORDS), {}, {"sees": True}, question(data_url(image()), data_url(image("blue")))),
    "random": Case(RandomScript(7, 40, 60), {"seed": 3, "instructions": "Be brief. 🙂"}),
}


async def said_whole(path: Path, case: Case) -> tuple[str, list[bytes], list[dict[str, Any]]]:
    """Run a case to its end, in a file that still has the whole journal."""
    async with house(path, case.script, **case.options) as here:
        here.opened.stores.responses.seal = lambda *_: None  # type: ignore[method-assign]
        run = await here.create(case.request())
        await here.finish()
        found = run.response_id, list(entries_of(run)), events_of(run)
        await here.die()
    return found


@pytest.mark.parametrize("name", CASES)
async def test_wherever_the_journal_ends_the_answer_is_what_it_would_have_been(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    response_id, entries, events = await said_whole(tmp_path / "whole.db", case)
    number = cut_copy(tmp_path / "whole.db", tmp_path / "count.db", 0)
    places = range(1, number)  # the last one has the end
    rng = random.Random(name)
    for place in places if LONG else sorted(rng.sample(places, min(1 if case.options is HARMONY else 3, len(places)))):
        path = tmp_path / f"{place}.db"
        cut_copy(tmp_path / "whole.db", path, place)
        tip = tip_of(path)
        async with house(path, case.script, **case.options) as here:
            await here.finish()
            source = await here.find(response_id)
            assert entries_of(source)[:tip] == entries[:tip]
            assert events_of(source) == events, place
            begun = any(event["type"] == "response.in_progress" for event in events[:tip])
            assert source.response.recovery == (Recovery(kind="exact", attempts=2) if begun else UNSET), place
            assert not here.engine.stats().num_running
            record = await here.opened.stores.responses.get(response_id, 0.0)
            assert record is not None
            assert record.turn is not None
            assert list(record.turn.token_ids) == list(source.turn.token_ids)  # type: ignore[union-attr]


async def cut_off(
    path: Path, script: Script, ticks: int, options: dict[str, Any] | None = None, **members: Any
) -> tuple[str, list[bytes]]:
    """Let an answer come so far, then kill its process; return its id and what its followers may have had."""
    async with house(path, script, waits=True, **options or {}) as here:
        run = await here.create(make_request("hi", **members))
        await here.say(ticks)
        here.flush()
        await here.say(2)  # delivered, and not stored
        found = run.response_id, list(entries_of(run))
        await here.die()
    return found


async def test_a_reader_that_has_more_than_was_stored_waits_until_it_comes_again(tmp_path: Path) -> None:
    response_id, delivered = await cut_off(tmp_path / "store.db", say(*WORDS), 2)
    async with house(tmp_path / "store.db", say(*WORDS)) as here:
        [run] = here.runs
        assert run.log.tip == len(delivered) - 1, "one of them had no text"
        source, start = await here.service.resume(LOCAL, response_id, len(delivered) - 1, run.log.epoch)
        reader = Readers()
        reader.add(Reader(source, start, None, None))
        assert reader.read(1 << 20) == ([], [])
        await here.say(1)
        assert reader.read(1 << 20) == ([], [])
        await here.finish()
        rest, [(_, floor)] = reader.read(1 << 20)
        assert floor is None
        assert [*delivered, *rest] == list(entries_of(await here.find(response_id)))


async def test_a_reader_is_told_if_what_it_had_does_not_come_again(tmp_path: Path) -> None:
    response_id, delivered = await cut_off(tmp_path / "store.db", say(*WORDS), 2)
    async with house(tmp_path / "store.db", say(*WORDS)) as here:
        [run] = here.runs
        connection = Connection(Profile.NATIVE, ConnectionLimits(), tenant="local", expires_at=1e9)
        connection._readers.add(Reader(run, len(delivered) + 90, None, None))
        run.stop("cancel")
        await here.finish()
        [told] = connection.frames(1 << 20)
        assert b"epoch_mismatch" in told
        with pytest.raises(WireError) as refused:
            await here.service.resume(LOCAL, response_id, len(delivered) + 90, None)
        assert refused.value.code is ErrorCode.EPOCH_MISMATCH


async def test_a_reader_does_not_take_the_end_of_a_stopped_answer_for_what_it_has_had_there(tmp_path: Path) -> None:
    response_id, _ = await cut_off(tmp_path / "store.db", say(*WORDS), 2)
    async with house(tmp_path / "store.db", say(*WORDS)) as here:
        [run] = here.runs
        await here.say(3)  # it has come as far as before, and further
        cut, epoch = run.log.tip, run.log.epoch
        run.stop("cancel")
        await here.finish()
        log = (await here.find(response_id)).log
        assert log.tip > cut + 1
        for had in (cut - 1, cut):  # nothing that came where the end is now
            assert resolve(log, had - 1, epoch) == had
        for had in (cut + 1, log.tip):  # the process before may have sent more of the text there
            with pytest.raises(WireError) as refused:
                resolve(log, had - 1, epoch)
            assert refused.value.code is ErrorCode.EPOCH_MISMATCH


async def test_what_is_sampled_without_a_seed_goes_on_in_another_epoch(tmp_path: Path) -> None:
    response_id, delivered = await cut_off(tmp_path / "store.db", say(*WORDS), 3, {"seeds_are_free": False})
    async with house(
        tmp_path / "store.db", say(*WORDS[:3], "another ", "end ", "of ", "it"), seeds_are_free=False
    ) as here:
        [run] = here.runs
        [(old, tip)] = run.log.earlier.items()
        assert old != run.log.epoch
        assert list(entries_of(run)) == delivered[:tip]
        for epoch, after, accepted in (
            (old, tip - 1, True), (None, tip - 1, True), (old, tip, False), (None, tip, False), ("x", 0, False)
        ):  # fmt: skip
            assert await is_accepted(here, response_id, after, epoch) is accepted, (epoch, after)
        await here.say(2)
        assert await is_accepted(here, response_id, tip, run.log.epoch)
        await here.finish()
        source = await here.find(response_id)
        assert source.response.recovery == Recovery(kind="prefix_exact", attempts=2)
        assert texts_of(source) == "one two another end of it"
        assert await is_accepted(here, response_id, tip - 1, old)
        assert not await is_accepted(here, response_id, tip, old)


async def test_an_epoch_that_was_shown_is_stored_even_if_no_engine_served_in_it(tmp_path: Path) -> None:
    """A reader that is told of the new epoch while the model loads must find it again after one more death."""
    path = tmp_path / "store.db"
    options: dict[str, Any] = {"seeds_are_free": False}
    response_id, _ = await cut_off(path, say(*WORDS), 3, options)
    shown: list[tuple[str, int]] = []
    for _ in range(2):
        async with house(path, say(*WORDS), start=False, waits=True, **options) as here:
            [run] = here.runs
            shown.append((run.log.epoch, run.log.tip))
            await here.die()
    async with house(path, say(*WORDS), **options) as here:
        [run] = here.runs
        assert len({run.log.epoch, *(epoch for epoch, _ in shown)}) == 3
        for epoch, tip in shown:
            assert await is_accepted(here, response_id, tip - 1, epoch)
            assert not await is_accepted(here, response_id, tip, epoch)
        await here.finish()
        assert (await here.find(response_id)).response.recovery == Recovery(kind="prefix_exact", attempts=2)


async def test_what_was_left_and_goes_on_as_another_sample_is_told_from_what_comes_after_a_death(
    tmp_path: Path,
) -> None:
    """It was left at a planned end, so nothing was ahead of the store; what its next process sends is."""
    path = tmp_path / "store.db"
    options: dict[str, Any] = {"seeds_are_free": False}
    async with house(path, say(*WORDS), **options) as here:
        run = await here.create(make_request("hi"))
        await here.say(3)
        await here.service.shutdown(leave=True)
    async with house(path, say("one ", "two ", *"abcd"), waits=True, **options) as here:
        [run] = here.runs
        epoch, tip = run.log.epoch, run.log.tip
        await here.say(3)
        sent = run.log.tip
        assert sent > tip + 1
        await here.die()
    async with house(path, say("one ", "two ", *"efgh"), **options) as here:
        assert not await is_accepted(here, run.response_id, sent - 1, epoch)
        assert await is_accepted(here, run.response_id, tip - 1, epoch)


async def test_an_end_is_in_the_epoch_that_the_answer_had_come_to(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    options: dict[str, Any] = {"seeds_are_free": False}
    response_id, delivered = await cut_off(path, say(*WORDS), 3, options)
    async with house(path, say(*WORDS[:3], *"another end"), waits=True, **options) as here:
        [run] = here.runs
        [(old, tip)] = run.log.earlier.items()
        epoch = run.log.epoch
        await here.say(6)
        here.flush()
        later = run.log.tip
        assert later > len(delivered)
        await here.die()
    settings = Settings().responses
    opened = open_at_once(path, bounds_of(settings), waits=False)
    responses = opened.stores.responses
    [unfinished] = [one async for one in responses.recover()]
    end_one(unfinished, responses, settings, "m", time.time())
    log = await responses.read(response_id, time.time())
    assert log is not None
    assert (resolve(log, later - 1, epoch), resolve(log, tip - 1, old)) == (later, tip)
    with pytest.raises(WireError, match="was restarted"):
        resolve(log, len(delivered) - 1, old)
    opened.stores.close()


async def test_one_that_can_not_be_entered_ends_and_keeps_nobody_from_going_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store.db"
    async with house(path, say(*WORDS)) as here:
        broken, whole = await here.create(make_request()), await here.create(make_request())
        await here.say(3)
        here.flush()
        await here.die()
    place_again = Registry.place_again

    def fail(self: Registry, run: Run, begun_at: int) -> None:
        if run.response_id == broken.response_id:
            raise RuntimeError("a bug of ours")
        place_again(self, run, begun_at)

    monkeypatch.setattr(Registry, "place_again", fail)
    async with house(path, say(*WORDS), max_num_seqs=1) as here:
        await here.finish()
        assert texts_of(await here.find(whole.response_id)) == "".join(WORDS)
        error = (await here.find(broken.response_id)).response.error
        assert error is not None
        assert error.code == "server_restarted"


async def test_what_was_lost_while_it_was_taken_over_is_left_to_whoever_has_it(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    response_id, _ = await cut_off(path, say(*WORDS), 3)
    async with house(path, say(*WORDS), start=False) as here:
        [run] = here.runs
        lost = run._past.unfinished  # type: ignore[union-attr]
        here.service.run_tasks._forget(run)
        with pytest.raises(WireError) as refused:
            await here.service.restart.take_over([lost], "m", owned=lambda: False)
        assert refused.value.code is ErrorCode.STORE_UNAVAILABLE
        assert not here.runs
        assert await here.opened.stores.responses.get(response_id, 0.0) is None, "it is not ended either"
        await here.die()


async def is_accepted(here: House, response_id: str, starting_after: int, epoch: str | None) -> bool:
    """Whether a resume is; else what it had is another log's."""
    try:
        await here.service.resume(LOCAL, response_id, starting_after, epoch)
    except WireError as error:
        return error.code is not ErrorCode.EPOCH_MISMATCH
    return True


async def test_a_seed_of_ours_is_stored_and_never_shown(tmp_path: Path) -> None:
    seeds: list[Any] = []

    def script(request: EngineRequest) -> list[Step]:
        seeds.append((request.sampling.seed, len(request.generated)))
        return list(WORDS)

    response_id, _ = await cut_off(tmp_path / "store.db", script, 2)
    async with house(tmp_path / "store.db", script) as here:
        await here.finish()
        shown = b"".join(entries_of(await here.find(response_id)))
        assert [number for _, number in seeds] == [0, 2]
        [seed] = {seed for seed, _ in seeds}
        assert seed is not None
        assert str(seed).encode() not in shown
        await here.create(make_request(temperature=0.0))
        await here.create(make_request(seed=5))
        assert [seed for seed, _ in seeds[2:]] == [None, 5]


@pytest.mark.parametrize("policy", ["cancel", "linger", "continue"])
async def test_what_becomes_of_an_answer_that_nobody_follows_any_more(tmp_path: Path, policy: Any) -> None:
    seconds = 0.01 if policy == "linger" else None
    on_disconnect = OnDisconnect(policy=policy, seconds=seconds)
    response_id, _ = await cut_off(tmp_path / "store.db", say(*WORDS), 2, on_disconnect=on_disconnect)
    async with house(tmp_path / "store.db", say(*WORDS), start=False) as here:
        await here.settle()
        if policy == "cancel":
            assert not here.runs
        else:
            await asyncio.sleep(0.02)
            assert len(here.runs) == 1
            await here.supervised.start()
            await until_caught_up(here)
            if policy == "linger":
                await asyncio.sleep(0.03)
        await here.finish()
        source = await here.find(response_id)
        response = source.response
        if policy == "continue":
            assert (response.status, texts_of(source)) == ("completed", "".join(WORDS))
        else:
            assert (response.status, response.incomplete_details.reason) == ("cancelled", "client_disconnected")  # type: ignore[union-attr]
            assert texts_of(source) == "one two "
            assert response.usage.output_tokens == 2  # type: ignore[union-attr]
            assert source.turn is not None


async def test_it_can_be_seen_and_stopped_while_the_engine_is_loaded(tmp_path: Path) -> None:
    response_id, delivered = await cut_off(tmp_path / "store.db", say(*WORDS), 2)
    async with house(tmp_path / "store.db", say(*WORDS), start=False) as here:
        await here.settle()
        shown = await here.service.show(LOCAL, response_id)
        assert (shown.status, shown.output[0].content[0].text) == ("in_progress", "one two ")  # type: ignore[union-attr,index]
        [run] = here.runs
        assert list(entries_of(run)) == delivered[: run.log.tip]
        await here.service.stop(LOCAL, response_id, "cancel", delivered=4)
        await here.settle()
        source = await here.find(response_id)
        assert source.over
        assert (source.response.status, texts_of(source)) == ("cancelled", "one two ")
        assert source.response.cancel.tokens_generated == 2  # type: ignore[union-attr]


async def test_what_was_told_of_the_queue_and_of_the_minute_is_told_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    limits = {"local": TenantLimits(requests_per_minute=9, tiers=("flex",))}
    settings = changed(max_running_responses=1, tenants=limits)
    async with house(path, say(*WORDS), settings=settings) as here:
        running, waiting = [await here.create(make_request("hi", service_tier="flex")) for _ in "ab"]
        told = [entry for run in (running, waiting) for entry in entries_of(run)]
        await here.say(2)
        here.flush()
        await here.die()
    async with house(path, say(*WORDS), settings=changed(max_running_responses=1)) as here:  # and may no longer
        await here.finish()
        ended = [await here.find(run.response_id) for run in (running, waiting)]
    created, queued = (json.loads(entry) for entry in entries_of(ended[1])[:2])
    assert [one["remaining"] for one in created["response"]["rate_limits"]] == [7]
    assert queued["queue"] == {"num_ahead": 0, "estimated_seconds": None}
    assert [entry for source in ended for entry in entries_of(source)[:2]] == [*told[:2], *told[2:]]
    for source in ended:
        assert (source.response.status, source.response.service_tier) == ("completed", "flex")
        assert source.response.rate_limits is UNSET
        assert texts_of(source) == "".join(WORDS)


async def test_it_dies_again_and_again_until_it_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    response_id, _ = await cut_off(path, say(*WORDS), 2)
    for attempt in (2, 3):
        async with house(path, say(*WORDS)) as here:
            [run] = here.runs
            await here.say(1)
            assert run.stages.going_on.attempts == attempt
            await here.die()
    async with house(path, say(*WORDS)) as here:
        await here.settle()
        source = await here.find(response_id)
        assert source.response.recovery == Recovery(kind="failed", attempts=3, reason="attempts")
        assert source.response.error.code == "server_restarted"  # type: ignore[union-attr]
        assert texts_of(source).startswith("one two ")


async def test_what_it_continues_is_pinned_and_what_continues_it_has_it_all(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    prompts: list[tuple[int, ...]] = []

    def script(request: EngineRequest) -> list[Step]:
        prompts.append(tuple(request.prompt_token_ids))
        return list(WORDS)

    async with house(path, script) as here:
        first = await here.create(make_request("first"))
        await here.finish()
        second = await here.create(make_request("second", previous_response_id=first.response_id))
        await here.say(2)
        await here.service.delete(LOCAL, first.response_id)
        await here.die()
    async with house(path, script) as here:
        await here.finish()
        source = await here.find(second.response_id)
        assert source.response.status == "completed"
        assert prompts[1] == prompts[2]
        third = await here.create(make_request("third", previous_response_id=second.response_id))
        assert prompts[3][: len(prompts[1])] == prompts[1]
        await here.finish()
        assert (await here.find(third.response_id)).response.status == "completed"


async def test_in_a_conversation_it_is_appended_once(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with house(path, say(*WORDS)) as here:
        conversation = here.service.conversations.create(LOCAL, [user("before")], {}).id
        run = await here.create(make_request("asked", conversation=ConversationRef(id=conversation)))
        waits = await here.create(make_request("later", conversation=ConversationRef(id=conversation)))
        await here.say(2)
        await here.die()
    async with house(path, say(*WORDS)) as here:
        assert [one.response_id for one in here.runs] == [run.response_id, waits.response_id]
        await here.finish()
        for response_id in (run.response_id, waits.response_id):
            assert (await here.find(response_id)).response.status == "completed"
        found = await here.opened.stores.conversations.get("local", conversation)
        said = [item.content[0].text if not isinstance(item.content, str) else item.content for item in found.items()]  # type: ignore[union-attr,index]
        assert said == ["before", "asked", "".join(WORDS), "later", "".join(WORDS)]


async def test_readers_may_be_given_only_what_is_stored(tmp_path: Path) -> None:
    path, settings = tmp_path / "store.db", changed(deliver="after_commit")
    async with house(path, say(*WORDS), settings=settings, waits=True) as here:
        run = await here.create(make_request())
        readers = Readers()
        readers.add(Reader(run, 0, None, None))
        assert (run.log.tip, readers.read(1 << 20)) == (0, ([], []))
        here.flush()
        told, _ = readers.read(1 << 20)
        assert [json.loads(entry)["type"] for entry in told] == ["response.created", "response.in_progress"]
        await here.say(3)
        assert readers.read(1 << 20) == ([], [])
        here.flush()
        had = [*told, *readers.read(1 << 20)[0]]
        await here.say(1)
        await here.die()
    async with house(path, say(*WORDS), settings=settings, waits=True) as here:
        [run] = here.runs
        assert list(run.log.read(0, 100)) == had, "nobody has had more than was stored"
        readers = Readers()
        readers.add(Reader(run, len(had), None, None))
        await here.finish()
        assert run.over
        assert (run.log.sealed, readers.read(1 << 20)) == (False, ([], []))
        here.flush()
        rest, [(_, floor)] = readers.read(1 << 20)
        assert floor is None
        assert [*had, *rest] == entries_of(await here.find(run.response_id))


async def test_what_is_over_and_not_stored_yet_is_not_shown_to_who_comes_then(tmp_path: Path) -> None:
    settings = changed(deliver="after_commit")
    async with house(tmp_path / "store.db", say(*WORDS), settings=settings, waits=True) as here:
        members: dict[str, Any] = {"request_id": "mine", "on_disconnect": OnDisconnect(policy="continue")}
        run = await here.create(make_request(**members))
        here.flush()
        await here.finish()
        calls: list[Coroutine[Any, Any, Any]] = [
            here.service.resume(LOCAL, run.response_id, -1, None),
            here.service.show(LOCAL, run.response_id),
            here.service.create(LOCAL, make_request(**members), None, native=True),
        ]
        asked = [asyncio.create_task(call) for call in calls]
        await here.settle()
        assert not any(one.done() for one in asked), "a crash could lose its end still"
        here.flush()
        (source, start), shown, again = await asyncio.gather(*asked)
        assert (start, source.log.sealed, shown.status) == (0, True, "completed")
        assert again.response_id == run.response_id


async def test_a_cancel_is_not_confirmed_before_it_is_stored_to_who_asks_for_it_again(tmp_path: Path) -> None:
    settings = changed(deliver="after_commit")
    async with house(tmp_path / "store.db", say(*WORDS), settings=settings, waits=True) as here:
        run = await here.create(make_request(on_disconnect=OnDisconnect(policy="continue")))
        here.flush()
        await here.service.cancel(LOCAL, run.response_id)
        await here.finish()
        again = asyncio.create_task(here.service.cancel(LOCAL, run.response_id))
        await here.settle()
        assert not again.done(), "a crash could lose it still"
        here.flush()
        assert (await again).response.status == "cancelled"


DEEP = b'{"type":"response.in_progress","response":{"x":' + b"[" * 100_000
DAMAGES: list[dict[str, Any]] = [
    {"note": b"\x00"}, {"tokens": b"abc"}, {"finish": 99}, {"rest": b"\x93" * 9}, {"events": [DEEP]}
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: next(iter(damage)))
async def test_a_response_whose_journal_is_damaged_ends_and_the_others_go_on(
    tmp_path: Path, damage: dict[str, Any]
) -> None:
    path = tmp_path / "store.db"
    async with house(path, say(*WORDS)) as here:
        damaged, whole = await here.create(make_request()), await here.create(make_request())
        await here.say(3)
        here.flush()
        await here.die()
    [(name, value)] = damage.items()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        for row, blob in db.execute("SELECT id, chunks FROM journal ORDER BY id").fetchall():
            chunks = decode_chunks(blob)
            for chunk in chunks:
                if chunk.number == 1 and (chunk.note if name == "note" else chunk.text is not None):
                    setattr(chunk, name, value)
            db.execute("UPDATE journal SET chunks = ? WHERE id = ?", (encode_chunks(chunks), row))
    async with house(path, say(*WORDS)) as here:
        await here.finish()
        assert texts_of(await here.find(whole.response_id)) == "".join(WORDS)
        source = await here.service.registry.get(damaged.response_id, 0.0)
        if value == [DEEP]:
            assert source is None, "nothing can be told of it"
        else:
            assert source is not None
            assert source.response.error is not None
            assert source.response.error.code == "server_restarted"
            texts_of(source)


async def test_what_is_shown_of_one_that_runs_is_stored_and_can_be_followed_from_there(tmp_path: Path) -> None:
    settings = changed(deliver="after_commit")
    async with house(tmp_path / "store.db", say(*WORDS), settings=settings, waits=True) as here:
        run = await here.create(make_request())
        await here.say(3)
        showing = asyncio.create_task(here.service.show(LOCAL, run.response_id))
        given_up = asyncio.create_task(here.service.show(LOCAL, run.response_id))
        await here.settle()
        assert not showing.done(), "a crash could lose it still"
        given_up.cancel()
        here.flush()
        shown = await showing
        assert isinstance(shown.tip, int)
        _, start = await here.service.resume(LOCAL, run.response_id, shown.tip - 1, str(shown.epoch))
        assert start == shown.tip == run.log.tip
        assert (await here.service.show(LOCAL, run.response_id)).tip == shown.tip, "there is nothing to wait for"


async def test_what_an_engine_was_not_given_is_for_the_next_one_and_is_no_attempt(tmp_path: Path) -> None:
    async with house(tmp_path / "store.db", say(*WORDS)) as here:
        run = await here.service.create(LOCAL, make_request(), None, native=True)
        dead = here.engine
        dead.kill()  # before the run has had its first step, and nobody has been told
        await here.settle()
        assert here.engine is not dead
        await here.finish()
        source = await here.find(run.response_id)
        assert texts_of(source) == "".join(WORDS)
        assert source.response.recovery is UNSET


async def test_calls_of_mcp_servers_are_not_made_twice(tmp_path: Path) -> None:
    answers = [("I look. ", *called("get_weather", {"city": "Paris"})), ("It ", "is ", "sunny.")]

    def script(request: EngineRequest) -> list[Step]:
        return list(answers["." in request.request_id])

    async with tool_server() as tools:
        tool = {"type": "mcp", "server_label": "s", "server_url": tools.url, "require_approval": "never"}
        settings = changed(mcp_servers={"weather": McpServer(url=tools.url)})
        case = Case(script, {"tools": [tool]}, {"family": TAGGED, "settings": settings})
        response_id, entries, events = await said_whole(tmp_path / "whole.db", case)
        assert len(tools.calls) == 1
        number = cut_copy(tmp_path / "whole.db", tmp_path / "count.db", 0)
        types = [json.loads(entry)["type"] for entry in entries]
        completed = types.index("response.mcp_call.completed")
        ends = list[bool]()
        for place in range(1, number):
            path = tmp_path / f"{place}.db"
            cut_copy(tmp_path / "whole.db", path, place)
            tip, num_calls = tip_of(path), len(tools.calls)
            if not LONG and tip not in (7, completed, completed + 3):
                continue
            async with house(path, script, **case.options) as here:
                await here.finish()
                source = await here.find(response_id)
                assert entries_of(source)[:tip] == entries[:tip]
                answered = tip > completed
                assert len(tools.calls) - num_calls == (not answered and source.response.error is None)
                if source.response.error is None:
                    assert events_of(source) == events, place
                else:
                    assert source.response.recovery == Recovery(kind="failed", attempts=2, reason="mcp")
                    assert types[tip - 1] == "response.mcp_call_arguments.done"
                ends.append(source.response.error is None)
        assert set(ends) == {True, False}
