"""The supervisor, on scripted engines and without a clock."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator

import pytest

from realtime.engine.backoff import Backoff
from realtime.engine.base import EngineDead, EngineError, EngineStats, Loaded
from realtime.engine.scripted import ScriptedEngine, say
from realtime.engine.supervisor import EngineState, EngineStatus, SupervisedEngine

from .recorder import Recorder, make_request


class Engines:
    """A factory that remembers its engines and can make starts fail; sleeps last until `wake` is called."""

    def __init__(self) -> None:
        self.made: list[ScriptedEngine] = []
        self.failures = 0
        self.shut_down = 0
        self.start_seconds = 3.0
        self.sleeps: asyncio.Queue[float] = asyncio.Queue()
        self.now = 0.0
        self._wake = asyncio.Event()

    def __call__(self) -> ScriptedEngine:
        engines = self

        class Engine(ScriptedEngine):
            async def start(self) -> Loaded:
                engines.now += engines.start_seconds
                if engines.failures:
                    engines.failures -= 1
                    raise EngineError("no such model")
                return await super().start()

            async def shutdown(self) -> None:
                engines.shut_down += 1
                await asyncio.sleep(0)  # as a real one, whose processes take a while to end
                await super().shutdown()

        self.made.append(Engine(say(*"abc"), name=f"engine {len(self.made)}"))
        return self.made[-1]

    async def sleep(self, seconds: float) -> None:
        self.sleeps.put_nowait(seconds)
        await self._wake.wait()
        self._wake.clear()

    async def wake(self) -> float:
        """Let the next sleep end, and return how long it was to be."""
        seconds = await self.sleeps.get()
        self._wake.set()
        return seconds


@pytest.fixture
def engines() -> Engines:
    return Engines()


@pytest.fixture
async def supervised(engines: Engines) -> AsyncIterator[SupervisedEngine]:
    engine = SupervisedEngine(
        engines,
        Backoff(first_seconds=1, factor=2, max_seconds=5, jitter=0.5, healthy_seconds=60),
        sleep=engines.sleep,
        clock=lambda: engines.now,
        timer=lambda: engines.now,
        uniform=lambda low, high: 0,
    )
    yield engine
    await engine.shutdown()


async def until(engine: SupervisedEngine, state: EngineState) -> EngineStatus:
    changed = asyncio.Event()
    engine.on_status.append(lambda status: changed.set())
    while engine.status.state is not state:
        changed.clear()
        await changed.wait()
    return engine.status


async def test_delegates(engines: Engines, supervised: SupervisedEngine) -> None:
    assert supervised.status.state is EngineState.STOPPED
    assert supervised.loaded is None
    loaded = await supervised.start()
    assert supervised.loaded is loaded is engines.made[0].loaded
    assert loaded.model.name == "engine 0"
    assert loaded.tokenizer is engines.made[0].tokenizer
    sink = Recorder()
    await supervised.submit(make_request("a"), sink)
    engines.made[0].step(2)
    assert supervised.stats().num_running == 1
    await supervised.abort("a")
    assert supervised.stats() == EngineStats(0, 0, 0.0)
    assert sink.text == "ab"


async def test_first_failure_is_raised(engines: Engines, supervised: SupervisedEngine) -> None:
    engines.failures = 1
    with pytest.raises(EngineError, match="no such model"):
        await supervised.start()
    assert supervised.loaded is None
    assert (supervised.status.state, supervised.status.last_error) == (EngineState.STOPPED, "no such model")
    assert (len(engines.made), engines.shut_down) == (1, 1)


async def test_restarts_after_death(engines: Engines, supervised: SupervisedEngine) -> None:
    seen: list[EngineState] = []
    supervised.on_status.append(lambda status: seen.append(status.state))
    await supervised.start()
    sink = Recorder()
    await supervised.submit(make_request("a"), sink)
    engines.made[0].kill("out of memory")
    assert isinstance(sink.error, EngineDead)
    with pytest.raises(EngineDead):  # before the supervisor has run
        await supervised.submit(make_request("b"), Recorder())
    status = await until(supervised, EngineState.RESTARTING)
    assert status.last_error == "out of memory"
    with pytest.raises(EngineDead):
        await supervised.submit(make_request("b"), Recorder())
    await supervised.abort("a")
    assert supervised.stats() == EngineStats(0, 0, 0.0)
    assert supervised.loaded is None
    assert await engines.wake() == 1
    status = await until(supervised, EngineState.READY)
    assert (status.num_restarts, status.last_error) == (1, "out of memory")
    assert supervised.loaded is engines.made[1].loaded
    sink = Recorder()
    await supervised.submit(make_request("a"), sink)
    engines.made[1].run_until_idle()
    assert sink.text == "abc"
    assert seen == [EngineState.STARTING, EngineState.READY, EngineState.RESTARTING, EngineState.READY]


async def test_backoff_grows_has_a_cap_and_starts_anew_when_healthy(
    engines: Engines, supervised: SupervisedEngine
) -> None:
    await supervised.start()
    engines.failures = 3
    engines.made[-1].kill()
    assert [await engines.wake() for _ in range(4)] == [1, 2, 4, 5]
    await until(supervised, EngineState.READY)
    engines.made[-1].kill()  # at once: still the same row
    assert await engines.wake() == 5
    await until(supervised, EngineState.RESTARTING)
    await until(supervised, EngineState.READY)
    engines.now += 60
    engines.made[-1].kill()
    assert await engines.wake() == 1
    await until(supervised, EngineState.RESTARTING)
    await until(supervised, EngineState.READY)
    assert supervised.status.num_restarts == 3


async def test_jitter() -> None:
    engines = Engines()
    engine = SupervisedEngine(
        engines, Backoff(first_seconds=1, jitter=0.5), sleep=engines.sleep, uniform=lambda low, high: high
    )
    await engine.start()
    engines.made[0].kill()
    assert await engines.sleeps.get() == 1.5
    await engine.shutdown()


async def test_shutdown_while_waiting_to_restart(engines: Engines, supervised: SupervisedEngine) -> None:
    await supervised.start()
    engines.made[0].kill()
    await engines.sleeps.get()
    await supervised.shutdown()
    await supervised.shutdown()
    assert supervised.status.state is EngineState.STOPPED
    assert len(engines.made) == 1
    with pytest.raises(EngineDead):
        await supervised.submit(make_request("a"), Recorder())


async def test_loaded_is_known_exactly_while_it_serves(engines: Engines, supervised: SupervisedEngine) -> None:
    known: list[tuple[EngineState, bool]] = []
    supervised.on_status.append(lambda status: known.append((status.state, supervised.loaded is not None)))
    await supervised.start()
    engines.made[0].kill()
    await engines.wake()
    await until(supervised, EngineState.READY)
    stopping = asyncio.create_task(supervised.shutdown())
    while supervised.loaded is not None:  # turns of the loop, not time
        assert supervised.status.state is EngineState.READY
        await asyncio.sleep(0)
    assert supervised.status.state is EngineState.STOPPED
    await stopping
    assert known == [
        (EngineState.STARTING, False),
        (EngineState.READY, True),
        (EngineState.RESTARTING, False),
        (EngineState.READY, True),
        (EngineState.STOPPED, False),
    ]


async def test_shutdown_ends_running_generations(engines: Engines, supervised: SupervisedEngine) -> None:
    await supervised.start()
    sink = Recorder()
    await supervised.submit(make_request("a"), sink)
    await supervised.shutdown()
    assert supervised.loaded is None
    assert isinstance(sink.error, EngineDead)
    assert engines.shut_down == 1


async def test_who_waits_gets_the_engine_that_serves(engines: Engines, supervised: SupervisedEngine) -> None:
    early = asyncio.create_task(supervised.wait_ready())
    await asyncio.sleep(0)
    assert not early.done()
    assert supervised.status.start_seconds is None
    loaded = await supervised.start()
    assert await early is loaded is await supervised.wait_ready()
    assert supervised.status.start_seconds == 3


async def test_who_was_told_of_a_death_waits_for_the_next_engine(
    engines: Engines, supervised: SupervisedEngine
) -> None:
    """Also when it asks before anybody else has heard of it."""
    await supervised.start()
    waits: list[asyncio.Task[Loaded]] = []

    class Successor(Recorder):
        def on_error(self, error: EngineError) -> None:
            super().on_error(error)
            waits.append(asyncio.create_task(supervised.wait_ready()))
            assert supervised.status.state is EngineState.RESTARTING

    sinks = [Successor(), Successor()]
    for number, sink in enumerate(sinks):
        await supervised.submit(make_request(str(number)), sink)
    engines.failures = 1
    engines.made[0].kill("out of memory")
    assert all(isinstance(sink.error, EngineDead) for sink in sinks)
    await engines.wake()
    engines.start_seconds = 5
    await engines.wake()
    assert [await wait for wait in waits] == [engines.made[2].loaded] * 2
    assert (supervised.status.num_restarts, supervised.status.start_seconds) == (1, 5)


async def test_nobody_waits_for_an_engine_that_never_comes(engines: Engines, supervised: SupervisedEngine) -> None:
    await supervised.start()
    engines.made[0].kill("out of memory")
    waits = [asyncio.create_task(supervised.wait_ready()) for _ in range(2)]
    await engines.sleeps.get()
    waits[0].cancel()
    await supervised.shutdown()
    with pytest.raises(EngineError, match="out of memory"):
        await waits[1]
    with pytest.raises(EngineError):
        await supervised.wait_ready()
    engines.failures = 1
    failing = SupervisedEngine(engines)
    wait = asyncio.create_task(failing.wait_ready())
    with pytest.raises(EngineError):
        await failing.start()
    with pytest.raises(EngineError, match="no such model"):
        await wait


async def test_never_dead_for_its_caller(supervised: SupervisedEngine, engines: Engines) -> None:
    await supervised.start()
    death = asyncio.create_task(supervised.wait_dead())
    engines.made[0].kill()
    await until(supervised, EngineState.RESTARTING)
    assert not death.done()
    death.cancel()


def test_backoff_does_not_overflow() -> None:
    assert list(itertools.islice(map(Backoff().seconds, (0, 1, 10**6)), 3)) == [0.5, 1.0, 30.0]
