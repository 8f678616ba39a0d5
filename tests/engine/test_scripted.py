"""The scripted engine: it must keep the protocol's promises, since the tests of the server lean on them."""

from __future__ import annotations

import asyncio
import itertools
import random

import msgspec
import pytest

from realtime.engine.base import (
    EngineDead,
    EngineError,
    EngineOverloaded,
    EngineRefused,
    EngineStats,
    FinishReason,
    TokenChunk,
)
from realtime.engine.scripted import (
    Die,
    Fail,
    Finish,
    Pause,
    RandomScript,
    Script,
    ScriptedEngine,
    ScriptedTokenizer,
    say,
)

from .recorder import Recorder, make_request


async def started(script: Script | None = None, **options: object) -> ScriptedEngine:
    engine = ScriptedEngine(script, **options)  # type: ignore[arg-type]
    await engine.start()
    return engine


async def test_one_token_per_tick_then_the_end_of_sequence_token() -> None:
    engine, sink = await started(say("Hel", "lo")), Recorder()
    await engine.submit(make_request("a"), sink)
    assert sink.chunks == []
    for text in ("Hel", "lo"):
        engine.step()
        assert sink.chunks[-1].text == text
        assert sink.finish is None
    engine.step()
    assert sink.finish is FinishReason.STOP
    assert engine.tokenizer.decode(sink.token_ids, skip_special_tokens=True) == "Hello"
    assert sink.token_ids[-1] == engine.tokenizer.eos_token_id


async def test_steps_other_than_text() -> None:
    def script(request: object) -> object:
        return {
            "pause": (Pause(3), "x"),
            "none": (Pause(0), "x"),
            "finish": ("x", Finish(FinishReason.LENGTH)),
            "fail": ("x", Fail("broken")),
        }[request.request_id]  # type: ignore[attr-defined]

    engine = await started(script)  # type: ignore[arg-type]
    sinks = {name: Recorder() for name in ("pause", "none", "finish", "fail")}
    for name, sink in sinks.items():
        await engine.submit(make_request(name), sink)
    engine.step(2)
    assert [len(sinks[name].chunks) for name in ("pause", "none")] == [0, 2]
    assert sinks["finish"].finish is FinishReason.LENGTH
    assert str(sinks["fail"].error) == "broken"
    assert type(sinks["fail"].error) is EngineError
    engine.step(2)
    assert sinks["pause"].text == "x"
    engine.run_until_idle()
    assert engine.stats() == EngineStats(0, 0, 0.0)


async def test_slots_are_first_come_first_served() -> None:
    engine = await started(say("1", "2"), max_num_seqs=2)
    sinks = [Recorder() for _ in range(4)]
    for index, sink in enumerate(sinks):
        await engine.submit(make_request(str(index)), sink)
    engine.step()
    assert [len(sink.chunks) for sink in sinks] == [1, 1, 0, 0]
    assert (engine.stats().num_running, engine.stats().num_waiting) == (2, 2)
    engine.step(3)
    assert [sink.finish is not None for sink in sinks] == [True, True, False, False]
    assert [len(sink.chunks) for sink in sinks] == [3, 3, 1, 1]


@pytest.mark.parametrize(("max_tokens", "context"), [(5, 100), (100, 8)])
async def test_length_by_max_tokens_and_by_context(max_tokens: int, context: int) -> None:
    engine, sink = await started(lambda _: itertools.repeat("x"), max_model_len=context), Recorder()
    await engine.submit(make_request("a", max_tokens=max_tokens), sink)
    engine.run_until_idle()
    assert (sink.text, sink.finish) == ("xxxxx", FinishReason.LENGTH)


@pytest.mark.parametrize("stop", [("STOP",), ("OPS", "TOP"), ("o ST", "zzzzzzzzzz")])
async def test_stop_strings_do_not_leak(stop: tuple[str, ...]) -> None:
    steps = ("go", " S", "T", "O", "PS", " never")
    engine, sink = await started(say(*steps)), Recorder()
    await engine.submit(make_request("a", stop=stop), sink)
    engine.run_until_idle()
    text = "".join(steps)
    cut = min(index for s in stop if (index := text.find(s)) >= 0)
    assert sink.text == text[:cut]
    assert sink.finish is FinishReason.STOP
    assert sink.chunks[-1].stop_reason in stop


async def test_text_held_back_for_a_stop_string_arrives_at_the_end() -> None:
    engine, sink = await started(say("a", "bcd", "ST")), Recorder()
    await engine.submit(make_request("a", stop=("STOP",)), sink)
    engine.run_until_idle()
    assert sink.text == "abcdST"


async def test_abort_returns_when_the_slot_is_let_go() -> None:
    engine = await started(lambda _: itertools.repeat("x"), max_num_seqs=1, abort_ticks=3)
    aborted, waiting = Recorder(), Recorder()
    await engine.submit(make_request("a"), aborted)
    await engine.submit(make_request("b"), waiting)
    engine.step(2)
    aborts = [asyncio.create_task(engine.abort("a")) for _ in range(2)]
    await asyncio.sleep(0)
    assert aborted.finish is FinishReason.ABORT
    for _ in range(3):
        assert engine.stats().num_running == 1
        assert not any(task.done() for task in aborts)
        engine.step()
    await asyncio.gather(*aborts)
    assert engine.stats().num_running == 0
    assert waiting.chunks == []
    engine.step()
    assert waiting.text == "x"


async def test_abort_of_waiting_unknown_and_finished_requests() -> None:
    engine, sinks = await started(say("x"), max_num_seqs=1, abort_ticks=5), [Recorder(), Recorder()]
    for index, sink in enumerate(sinks):
        await engine.submit(make_request(str(index)), sink)
    engine.step()
    await engine.abort("1")
    assert sinks[1].finish is FinishReason.ABORT
    engine.run_until_idle()
    await engine.abort("0")
    await engine.abort("nobody")
    assert sinks[0].finish is FinishReason.STOP


async def test_death_by_script_and_by_kill() -> None:
    engine, sinks = await started(say("x", Die("boom"))), [Recorder(), Recorder()]
    for index, sink in enumerate(sinks):
        await engine.submit(make_request(str(index)), sink)
    engine.step(2)
    assert [type(sink.error) for sink in sinks] == [EngineDead, EngineDead]
    assert str(await engine.wait_dead()) == "boom"
    with pytest.raises(EngineDead):
        await engine.submit(make_request("c"), Recorder())
    await engine.abort("0")
    engine.kill()
    await engine.shutdown()


async def test_death_ends_an_abort_that_waits() -> None:
    engine, sink = await started(lambda _: itertools.repeat("x"), abort_ticks=99), Recorder()
    await engine.submit(make_request("a"), sink)
    engine.step()
    task = asyncio.create_task(engine.abort("a"))
    await asyncio.sleep(0)
    engine.kill()
    await task
    assert sink.finish is FinishReason.ABORT
    assert sink.error is None


async def test_shutdown_ends_running_generations_but_is_no_death() -> None:
    engine, sink = await started(), Recorder()
    await engine.submit(make_request("a"), sink)
    death = asyncio.create_task(engine.wait_dead())
    await engine.shutdown()
    await engine.shutdown()
    assert isinstance(sink.error, EngineDead)
    assert not death.done()
    death.cancel()


async def test_refusals() -> None:
    engine = await started(max_num_waiting=1, max_model_len=10)
    with pytest.raises(EngineRefused):
        await engine.submit(make_request("a", ()), Recorder())
    with pytest.raises(EngineRefused):
        await engine.submit(make_request("a", (1,) * 10), Recorder())
    await engine.submit(make_request("a"), Recorder())
    with pytest.raises(EngineRefused):
        await engine.submit(make_request("a"), Recorder())
    with pytest.raises(EngineOverloaded):
        await engine.submit(make_request("b"), Recorder())


async def test_a_sink_that_raises_harms_no_other(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Recorder):
        def on_chunk(self, chunk: TokenChunk) -> None:
            super().on_chunk(chunk)
            raise ZeroDivisionError

    engine, broken, sound = await started(say("x", "y")), Broken(), Recorder()
    await engine.submit(make_request("a"), broken)
    await engine.submit(make_request("b"), sound)
    engine.run_until_idle()
    assert (len(broken.chunks), sound.text) == (1, "xy")
    assert "sink failed" in caplog.text


async def test_logprobs_only_when_asked() -> None:
    engine, sinks = await started(say("x")), [Recorder(), Recorder()]
    await engine.submit(make_request("a", num_logprobs=2), sinks[0])
    await engine.submit(make_request("b"), sinks[1])
    engine.run_until_idle()
    (position,) = sinks[0].chunks[0].logprobs or ()
    assert [entry.token for entry in position] == ["x", "a"]
    assert sinks[1].chunks[0].logprobs is None


@pytest.mark.parametrize("tick_seconds", [0, 0.0001])
async def test_the_event_loop_ticks(tick_seconds: float) -> None:
    engine, sinks = await started(RandomScript(1), tick_seconds=tick_seconds, max_num_seqs=3), []
    for index in range(10):
        sinks.append(Recorder())
        await engine.submit(make_request(str(index), (index,)), sinks[-1])
    for sink in sinks:
        await sink.ended.wait()
    ticks = engine.num_ticks
    await asyncio.sleep(0.001)  # would show a callback that goes on when there is nothing to do
    assert engine.num_ticks == ticks
    assert engine.stats().num_running == 0


async def test_random_text_depends_on_seed_and_prompt_only() -> None:
    async def texts(seed: int, num_seqs: int) -> list[str]:
        engine = await started(RandomScript(seed), max_num_seqs=num_seqs)
        sinks = [Recorder() for _ in range(20)]
        for index, sink in enumerate(sinks):
            await engine.submit(make_request(str(index), (index, seed)), sink)
        engine.run_until_idle()
        return [sink.text for sink in sinks]

    assert await texts(1, 1) == await texts(1, 7)
    assert await texts(1, 1) != await texts(2, 1)
    assert any(len(character.encode()) == 4 for text in await texts(1, 1) for character in text)


@pytest.mark.parametrize("stop", [(), ("words, of",)])
async def test_a_generation_goes_on_behind_what_was_generated(stop: tuple[str, ...]) -> None:
    script = RandomScript(7, 40, 40)
    engine, whole = await started(script), Recorder()
    await engine.submit(make_request("a", stop=stop), whole)
    engine.run_until_idle()
    tokens = [token_id for chunk in whole.chunks for token_id in chunk.token_ids]
    for cut in range(len(tokens)):
        engine, rest = await started(script), Recorder()
        await engine.submit(msgspec.structs.replace(make_request("a", stop=stop), generated=tokens[:cut]), rest)
        engine.run_until_idle()
        assert rest.chunks == whole.chunks[cut:]


async def test_random_aborts_leave_nothing() -> None:
    rng = random.Random(7)
    engine = await started(RandomScript(3), max_num_seqs=3, abort_ticks=2)
    sinks: list[Recorder] = []
    tasks = []
    for index in range(200):
        sinks.append(Recorder())
        await engine.submit(make_request(str(index), (index + 1,)), sinks[-1])
        engine.step(rng.randrange(4))
        tasks.append(asyncio.create_task(engine.abort(str(rng.randint(0, index)))))
        await asyncio.sleep(0)
    engine.run_until_idle()
    await asyncio.gather(*tasks)
    assert engine.stats() == EngineStats(0, 0, 0.0)
    assert all(sink.ended.is_set() and sink.error is None for sink in sinks)


def test_tokenizer_round_trip() -> None:
    tokenizer = ScriptedTokenizer()
    text = tokenizer.apply_chat_template([{"role": "user", "content": "héllo 🙂 <think>"}])
    assert isinstance(text, str)
    assert text == "<|im_start|>user\nhéllo 🙂 <think><|im_end|>\n<|im_start|>assistant\n"
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert tokenizer.decode(ids, skip_special_tokens=True) == "user\nhéllo 🙂 <think>\nassistant\n"
    assert tokenizer.get_vocab()["<think>"] in ids
    assert "get_weather" in str(tokenizer.apply_chat_template([], tools=[{"name": "get_weather"}]))
