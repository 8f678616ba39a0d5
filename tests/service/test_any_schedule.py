"""Answers on a file, over any order of what may happen to them: said, flushed, killed twice and more, followed in every
way, put aside for others, stopped, deleted, cut, continued. What comes of them is known from the prompt alone.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from realtime.connection.catch_up import CatchUp
from realtime.connection.readers import Reader, Readers
from realtime.engine.base import EngineRequest
from realtime.engine.scripted import RandomScript, Step
from realtime.runs.going_on import MAX_ATTEMPTS
from realtime.service.principal import LOCAL
from realtime.settings.tenants import TenantLimits
from realtime.store.records import Source
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.requests import Characters
from tests.support.jobs import make_request
from tests.support.long import effort
from tests.support.restarts import House, entries_of, events_of, house, texts_of
from tests.support.server import changed

STEPS = (
    *("create",) * 3, *("say",) * 8, *("flush",) * 4, *("follow",) * 3, "cancel", "delete", "cut", "fork", "die", "die"
)  # fmt: skip

SETTINGS = changed(
    max_running_responses=1, tenants={"local": TenantLimits(tiers=("priority", "flex"))}, max_times_put_aside=9
)


class Follower(msgspec.Struct):
    """A client: what it has, and where it reads. `merged`: it takes runs of deltas as one."""

    epoch: str
    merged: bool
    readers: Readers
    got: list[bytes] = []

    @property
    def last(self) -> int:
        """The number of the newest event that it has."""
        return int(json.loads(self.got[-1])["sequence_number"]) if self.got else -1

    has_end: bool = False

    def read(self) -> bool:
        """Take what there is. False: what it has had does not come again."""
        entries, done = self.readers.read(1 << 20)
        assert all(floor is None for _, floor in done)
        self.got += entries
        self.has_end = self.has_end or (bool(self.got) and json.loads(self.got[-1])["done"])
        return all(reader.position == reader.source.log.tip for reader, _ in done)


class Answer(msgspec.Struct):
    """What is known of one: how much of it was flushed, how often its process died, and what was done to it.
    has_begun: it did not wait for its turn any more when it was flushed.
    """

    response_id: str
    is_flushed: bool = False
    has_begun: bool = False
    num_deaths: int = 0
    cancelled: bool = False
    cut: bool = False
    followers: list[Follower] = []


class World:
    """The clients, and what they know."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.script = RandomScript(seed, 1, 30)
        self.texts: dict[str, str] = {}  # by response: what the engine was to say
        self.answers: dict[str, Answer] = {}
        self.deleted: set[str] = set()
        self.house: House

    def say(self, request: EngineRequest) -> Iterator[Step]:
        """The script: what it says depends on the prompt."""
        steps = list(self.script(request))
        self.texts[request.request_id] = "".join(map(str, steps))
        return iter(steps)

    def pick(self, *, over: bool | None = None) -> Answer | None:
        """One of the answers."""
        running = self.house.service.registry.running
        found = [one for one in self.answers.values() if over is None or (one.response_id not in running) is over]
        return self.rng.choice(found) if found else None

    async def take(self, step: str) -> None:
        """Take a step, if there is something to take it with."""
        await getattr(self, f"_{step}")()

    async def _create(self, **members: Any) -> None:
        seed, tier = self.rng.choice([None, 1]), self.rng.choice([None, "flex", "flex", "priority", "priority"])
        request = make_request(f"{self.rng.random()}", seed=seed, service_tier=tier, **members)
        run = await self.house.create(request)
        self.answers[run.response_id] = Answer(run.response_id)

    async def _say(self) -> None:
        await self.house.say(self.rng.randint(1, 4))
        for answer in self.answers.values():
            for follower in list(answer.followers):
                if self.rng.random() < 0.8:
                    self._read(answer, follower)

    def _read(self, answer: Answer, follower: Follower) -> None:
        if not follower.read():  # it had events that were not stored, and then the answer was stopped before them
            assert not follower.has_end, "an end that was told must hold"
            assert answer.cancelled or answer.num_deaths >= MAX_ATTEMPTS
            answer.followers.remove(follower)

    async def _flush(self) -> None:
        self.house.flush()
        scheduler = self.house.service.queue.scheduler
        for answer in self.answers.values():
            answer.is_flushed = True
            waits = scheduler.position(answer.response_id) is not None
            answer.has_begun |= not waits or scheduler.is_put_aside(answer.response_id)

    async def _follow(self) -> None:
        answer = self.pick()
        if answer is not None:
            merged = self.rng.random() < 0.4
            follower = Follower("", merged, Readers())
            await self._attach(answer, follower)
            answer.followers.append(follower)

    async def _attach(self, answer: Answer, follower: Follower) -> None:
        epoch = follower.epoch or None
        resuming = self.house.service.resume(LOCAL, answer.response_id, follower.last, epoch, merged=follower.merged)
        source, start = await self.house.stored(resuming)
        follower.epoch, follower.readers = source.log.epoch, Readers()
        reader = Reader(source, start, None, None)
        reader.catch_up = CatchUp(source.log.tip) if follower.merged else None
        follower.readers.add(reader)

    async def come_back(self) -> None:
        """Follow everything again that was followed when the server died."""
        for answer in self.answers.values():
            answer.num_deaths += 1
            for follower in list(answer.followers):
                try:
                    await self._attach(answer, follower)
                except WireError as refused:
                    gone = answer.num_deaths >= MAX_ATTEMPTS or not answer.has_begun  # then its seed was not stored
                    if refused.code is not ErrorCode.EPOCH_MISMATCH or not gone or follower.has_end:
                        raise
                    answer.followers.remove(follower)  # it was given up, and what this one had is not in its log

    async def _cancel(self) -> None:
        answer = self.pick(over=False)
        if answer is not None and self.rng.random() < 0.5:
            await self.house.service.stop(LOCAL, answer.response_id, "cancel")
            answer.cancelled = True
            await self.house.settle()
            await self._flush()

    async def _delete(self) -> None:
        answer = self.pick()
        if answer is not None and self.rng.random() < 0.4:
            await self.house.stored(self.house.service.delete(LOCAL, answer.response_id))
            del self.answers[answer.response_id]
            await self.house.settle()
            await self._flush()
            self.deleted.add(answer.response_id)

    async def _cut(self) -> None:
        answer = self.pick(over=True)
        if answer is None:
            return
        output = (await self.house.find(answer.response_id)).response.output
        if output:
            place = Characters(str(output[0].id), 0, 1)
            try:
                await self.house.stored(self.house.service.truncate(LOCAL, answer.response_id, place))
            except WireError:
                return
            answer.cut = True
            await self._flush()

    async def _fork(self) -> None:
        answer = self.pick(over=True)
        if answer is not None and not answer.cancelled and answer.num_deaths < MAX_ATTEMPTS:
            await self._create(previous_response_id=answer.response_id)

    async def check(self) -> None:
        """See what has come of everything."""
        await self.house.finish()
        for answer in self.answers.values():
            source = await self.house.find(answer.response_id)
            events = events_of(source)
            assert [event["sequence_number"] for event in events] == list(range(len(events)))
            assert [event["done"] for event in events] == [False] * (len(events) - 1) + [True]
            self._check_end(answer, source)
            for follower in list(answer.followers):
                self._read(answer, follower)
            for follower in answer.followers:
                _check_transcript(follower, source)
        for response_id in self.deleted:
            with pytest.raises(WireError) as refused:
                await self.house.service.resume(LOCAL, response_id, -1, None)
            assert refused.value.code is ErrorCode.RESPONSE_NOT_FOUND
        stats = self.house.engine.stats()
        assert (stats.num_running, stats.num_waiting) == (0, 0)

    def _check_end(self, answer: Answer, source: Source) -> None:
        response, text = source.response, self.texts.get(answer.response_id, "")
        said = "".join(event["delta"] for event in events_of(source) if event["type"].endswith("output_text.delta"))
        if response.status == "completed":
            assert said == text
        else:
            assert text.startswith(said) or not text
            gone = answer.num_deaths >= MAX_ATTEMPTS
            assert answer.cancelled or gone, response.error
        if not answer.cut:
            assert texts_of(source) == said


def _check_transcript(follower: Follower, source: Source) -> None:
    entries = list(entries_of(source))
    if not follower.merged:
        assert follower.got == entries
        return
    assert json.loads(follower.got[-1])["done"] is True
    deltas = [json.loads(entry).get("delta", "") for entry in follower.got]
    assert "".join(deltas) == "".join(json.loads(entry).get("delta", "") for entry in entries)


@pytest.mark.parametrize("seed", range(effort(6, 1000)))
async def test_what_comes_of_an_answer_does_not_depend_on_what_happens_to_its_server(seed: int, tmp_path: Path) -> None:
    world, path = World(seed), tmp_path / "store.db"
    steps = world.rng.choices(STEPS, k=40)
    while True:
        async with house(path, world.say, settings=SETTINGS, waits=True, max_num_seqs=3) as world.house:
            await world.come_back()
            while steps and (step := steps.pop(0)) != "die":
                await world.take(step)
            if not steps:
                await world.check()
                return
            await world.house.die()
        world.answers = {name: one for name, one in world.answers.items() if one.is_flushed}
