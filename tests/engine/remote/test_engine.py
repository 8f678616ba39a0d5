"""Several engines that fail in every way: what was not heard goes elsewhere, what was begun ends with EngineLost."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from realtime.engine.base import (
    EngineDead,
    EngineError,
    EngineLost,
    EngineOverloaded,
    EngineRefused,
    EngineRequest,
    FinishReason,
    Sampling,
    Seen,
)
from realtime.engine.parsing import Constraint
from realtime.engine.remote.endpoint import Stream
from realtime.engine.remote.engine import RemoteEngine
from realtime.engine.remote.generation import Generation
from realtime.engine.remote.http import Address
from realtime.engine.vllm.features import Features
from tests.support.token_engine import STREAM, TokenEngine, answer, chunk, drip, event, raw, token_engines, tokens_then

from ..recorder import Recorder
from .fleet import Fleet, Reader, fleet

PROMPT = list(range(1, 130))


async def test_an_answer() -> None:
    async with token_engines(1) as engines, fleet(engines) as one:
        sink = await one.run(PROMPT, seed=3, cache_salt="salt", priority=4)
        assert sink.token_ids == answer(PROMPT, 20, 3)
        assert (sink.finish, sink.chunks[-1].num_cached_tokens) == (FinishReason.LENGTH, 2)
        (sent,) = engines[0].generations
        assert (sent["cache_salt"], sent["priority"], sent["token_ids"]) == ("salt", 4, PROMPT)
        assert engines[0].asked[0][1]["authorization"] == "Bearer sesame"
        assert one.engine.stats().num_running == 0
        assert (one.loaded.goes_on, one.loaded.model.max_model_len) == (True, 500)


async def test_how_an_engine_bundles_tokens_does_not_show() -> None:
    async def in_bundles(engine: TokenEngine, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        ids = answer(PROMPT, 20, 3)
        bundles = [ids[:1], ids[1:4], ids[4:4], ids[4:12], ids[12:]]
        said = b"".join(event(one, "length" if one is bundles[-1] else None) for one in bundles)
        writer.write(STREAM + chunk(said) + chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")
        await writer.drain()

    async with token_engines(1) as engines, fleet(engines) as one:
        engines[0].play = [None, in_bundles]
        singly, bundled = [await one.run(PROMPT, seed=3) for _ in range(2)]
    assert [(chunk.token_ids, chunk.text) for chunk in bundled.chunks] == [
        (chunk.token_ids, chunk.text) for chunk in singly.chunks
    ]
    assert (len(bundled.chunks), bundled.finish) == (20, FinishReason.LENGTH)


async def test_what_comes_in_one_bundle_behind_a_stop_string_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    stopper, read = answer(PROMPT, 20, 3)[5], Reader.read

    def stopping(self: Reader, token_id: Any, position: Any, finish: Any, stop_reason: Any) -> Any:
        return read(self, token_id, position, FinishReason.STOP if token_id == stopper else finish, stop_reason)

    async def at_once(engine: TokenEngine, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        said = event(answer(PROMPT, 20, 3), "length") + b"data: [DONE]\n\n"
        writer.write(STREAM + chunk(said) + b"0\r\n\r\n")
        await writer.drain()

    monkeypatch.setattr(Reader, "read", stopping)
    async with token_engines(1) as engines, fleet(engines) as one:
        engines[0].play = [at_once]
        sink = await one.run(PROMPT, seed=3)
    assert (sink.token_ids, sink.finish) == (answer(PROMPT, 20, 3)[:6], FinishReason.STOP)


async def test_a_conversation_stays_and_others_spread() -> None:
    async with token_engines(3) as engines, fleet(engines) as all_of_them:
        await all_serve(all_of_them)
        for _ in range(3):
            await all_of_them.run(PROMPT)
        assert sorted(len(engine.generations) for engine in engines) == [0, 0, 3]
        await all_of_them.run(PROMPT, cache_salt="another tenant's")
        busy = [await all_of_them.submit([number] * 5, max_tokens=400) for number in range(6)]
        assert all(engine.running >= 2 for engine in engines)
        for request_id, _ in busy:
            await all_of_them.engine.abort(request_id)
        assert all_of_them.counted("prefix_tokens") == 2 * 128


async def test_images_go_wherever_their_request_does() -> None:
    seen = shown([1, 2, 2, 2, 3], (1, "k"))
    async with token_engines(2) as engines, fleet(engines) as both:
        await all_serve(both)
        engines[0].play = [tokens_then(0)]
        begun = tuple(answer(list(seen.token_ids), 5))
        sink = await both.run([1, 2, 3], seen=seen, generated=begun)
        assert [*begun, *sink.token_ids] == answer(list(seen.token_ids), 20)
        sent = [body for engine in engines for body in engine.generations]
        assert [one["features"] for one in sent] == [{"mm_hashes": {"image": ["k"]}}] * 2
        assert [one["token_ids"] for one in sent] == [[1, 2, 2, 2, 3]] * 2


def shown(prompt: list[int], *places: tuple[int, str]) -> Seen:
    """A prompt with images, each with its place and hash."""
    sent = {"mm_hashes": {"image": [name for _, name in places]}}
    return Seen(prompt, Features(msgspec.Raw(msgspec.json.encode(sent)), places))


async def test_an_image_that_was_shown_leads_to_where_it_was_and_another_does_not() -> None:
    """The tokens of all images are the same, and engines tell images apart."""
    prompt = [1] * 10 + [2] * 20 + list(range(3, 393))
    async with token_engines(2) as engines, fleet(engines) as both:
        await all_serve(both)
        await both.run([1], seen=shown(prompt, (10, "red")))
        first, second = sorted(engines, key=lambda engine: -len(engine.generations))
        request_id, _ = await both.submit([1], seen=shown(prompt, (10, "red")), max_tokens=400)
        assert [len(one.generations) for one in (first, second)] == [2, 0]
        await both.run([1], seen=shown(prompt, (10, "red")))
        assert [len(one.generations) for one in (first, second)] == [3, 0], "what it has read is worth a place there"
        await both.run([1], seen=shown(prompt, (10, "blue")))
        assert [len(one.generations) for one in (first, second)] == [3, 1]
        await both.engine.abort(request_id)


BEFORE_ANY = {
    "vanishes": tokens_then(0),
    "closes": raw(b""),
    "no HTTP": raw(b"nonsense\r\n\r\n"),
    "says 500": raw(b"HTTP/1.1 500 X\r\ncontent-length: 0\r\n\r\n"),
    "says it has too much": raw(b"HTTP/1.1 503 X\r\ncontent-length: 0\r\n\r\n"),
    "says it failed": tokens_then(0, chunk(b'data: {"error": {"message": "x", "code": 500}}\n\n')),
    "garbage": tokens_then(0, chunk(b"data: {]\n\n")),
    "not the model's": tokens_then(0, chunk(event([10**6]))),
    "an end without a word": tokens_then(0, chunk(b"data: [DONE]\n\n"), b"0\r\n\r\n"),
    "gives it up": tokens_then(0, chunk(event([], "abort") + b"data: [DONE]\n\n"), b"0\r\n\r\n"),
    "silence": tokens_then(0, hang=True),
    "comments only": drip(b": still there\n\n"),
    "half an event": drip(b"data"),
    "events that say nothing": drip(b"data: {}\n\n" + event([])),
}


@pytest.mark.parametrize("play", BEFORE_ANY.values(), ids=BEFORE_ANY)
async def test_what_nobody_has_heard_goes_to_another(play: Any) -> None:
    async with token_engines(2) as engines, fleet(engines, engine_first_token_seconds=0.5) as both:
        await all_serve(both)
        engines[0].play = [play]
        sink = await both.run(PROMPT)
        assert sink.error is None
        assert sink.token_ids == answer(PROMPT, 20)
        assert sum(len(engine.generations) for engine in engines) == 2


BEHIND_SOME = {
    "vanishes": (tokens_then(5), 5),
    "garbage": (tokens_then(5, chunk(b"data: nonsense\n\n")), 5),
    "a token that there is not": (tokens_then(5, chunk(event([10**6]))), 5),
    "a chunk that is none": (tokens_then(5, b"zz\r\n"), 5),
    "gives it up": (tokens_then(5, chunk(event([], "abort") + b"data: [DONE]\n\n"), b"0\r\n\r\n"), 5),
    "more than the end": (tokens_then(5, chunk(event([1], "stop") + event([2]))), 5),
    "silence": (tokens_then(5, hang=True), 5),
}


@pytest.mark.parametrize(("play", "heard"), BEHIND_SOME.values(), ids=BEHIND_SOME)
async def test_what_was_begun_is_lost_and_goes_on_elsewhere(play: Any, heard: int) -> None:
    async with token_engines(2) as engines, fleet(engines, engine_silence_seconds=0.3) as both:
        await all_serve(both)
        engines[0].play = [play]
        sink = await both.run(PROMPT)
        assert isinstance(sink.error, EngineLost)
        assert sink.token_ids == answer(PROMPT, heard)
        engines[0].health = 500
        rest = await both.run(PROMPT, generated=tuple(sink.token_ids))
        assert sink.token_ids + rest.token_ids == answer(PROMPT, 20)


@pytest.mark.parametrize("number", [1, 2])
async def test_what_an_engine_has_lost_is_given_to_another_if_there_is_one(number: int) -> None:
    """Its prompt is where it was, and that engine may serve still: a check takes longer than to ask again."""
    failed = tokens_then(5, chunk(b'data: {"error": {"message": "x", "code": 500}}\n\n'))
    async with token_engines(number) as engines, fleet(engines) as all_of_them:
        await all_serve(all_of_them)
        engines[0].play = [failed]
        sink = await all_of_them.run(PROMPT, request_id="r")
        assert isinstance(sink.error, EngineLost)
        rest = await all_of_them.run(PROMPT, request_id="r", generated=tuple(sink.token_ids))
        assert sink.token_ids + rest.token_ids == answer(PROMPT, 20)
        assert [len(engine.generations) for engine in engines] == ([2] if number == 1 else [1, 1])
        assert all_of_them.engine._lost == {}


async def test_what_harms_every_engine_is_given_to_two() -> None:
    async with token_engines(3) as engines, fleet(engines) as three:
        await all_serve(three)
        for engine in engines:
            engine.play = [tokens_then(0)]
        sink = await three.run(PROMPT)
        assert isinstance(sink.error, EngineLost)
        assert sum(len(engine.generations) for engine in engines) == 2


async def test_a_refusal_is_the_requests() -> None:
    async with token_engines(2) as engines, fleet(engines) as both:
        for engine in engines:
            engine.play = [raw(b'HTTP/1.1 400 X\r\ncontent-length: 31\r\n\r\n{"error": {"message": "no good"}}'[:-2])]
        with pytest.raises(EngineRefused):
            await both.run(PROMPT)
        for engine in engines:
            engine.play = [tokens_then(0, chunk(b'data: {"error": {"message": "no", "code": 400}}\n\n'))]
        assert isinstance((await both.run(PROMPT)).error, EngineRefused)
        assert all_views(both) == {"serving"}


async def test_when_all_have_too_much_it_is_said() -> None:
    async with token_engines(2) as engines, fleet(engines) as both:
        for engine in engines:
            engine.play = [raw(b"HTTP/1.1 429 X\r\ncontent-length: 0\r\n\r\n")]
        await all_serve(both)
        with pytest.raises(EngineOverloaded):
            await both.run(PROMPT)
        assert [both.counted("failures", name, "overloaded") for name in "01"] == [1, 1]


async def test_a_request_that_engines_fail_of_puts_none_out() -> None:
    async with token_engines(2) as engines, fleet(engines) as both:
        await all_serve(both)
        _, bystander = await both.submit([5] * 5, max_tokens=400)
        for _ in range(4):
            for engine in engines:
                engine.play = [raw(b"HTTP/1.1 500 X\r\ncontent-length: 0\r\n\r\n")]
            with pytest.raises(EngineLost):
                await both.run(PROMPT)
        assert all_views(both) == {"serving"}
        await asyncio.wait_for(bystander.ended.wait(), 120)
        assert bystander.error is None


@pytest.mark.parametrize("health", [200, 503])
@pytest.mark.parametrize(("number", "bad"), [(1, 1), (2, 1), (2, 2), (3, 3)])
async def test_whose_fault_it_is_that_an_engine_fails_of_a_grammar(number: int, bad: int, health: int) -> None:
    """The request's, if two healthy engines fail of it, or the only one."""

    async def fail(engine: TokenEngine, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        engine.health = health
        error = chunk(b'data: {"error": {"message": "x", "code": 500}}\n\n')
        await tokens_then(0, error)(engine, body, writer)

    async with token_engines(number) as engines, fleet(engines) as all_of_them:
        await all_serve(all_of_them)
        for engine in engines[:bad]:
            engine.play = [fail]
        sink = await all_of_them.run(PROMPT, constraint=Constraint("regex", "a"))
        if bad < number:
            assert sink.token_ids == answer(PROMPT, 20)
        elif health == 200:
            assert isinstance(sink.error, EngineRefused)
            assert sum(len(engine.generations) for engine in engines) == min(number, 2)
        else:
            assert isinstance(sink.error, EngineDead)


async def test_an_engine_that_refuses_the_key_is_put_out() -> None:
    async with token_engines(2) as engines, fleet(engines) as both:
        await all_serve(both)
        engines[0].play = [raw(b"HTTP/1.1 401 X\r\ncontent-length: 0\r\n\r\n")]
        assert (await both.run(PROMPT)).token_ids == answer(PROMPT, 20)
        assert both.counted("ejections", "0") == 1


async def test_a_redirect_is_not_followed_and_the_key_stays() -> None:
    async with token_engines(2) as (engine, elsewhere), fleet([engine]) as one:
        place = b"HTTP/1.1 307 X\r\nlocation: %s/inference/v1/generate\r\ncontent-length: 0\r\n\r\n"
        engine.play = [raw(place % elsewhere.url.encode())]
        assert isinstance((await one.run(PROMPT)).error, EngineDead), "the only one is put out"
        assert elsewhere.asked == []


async def test_an_engine_that_vanishes_is_put_out_and_comes_back() -> None:
    async with token_engines(2) as engines, fleet(engines) as both:
        await all_serve(both)
        running = [await both.submit([number] * 5, max_tokens=400) for number in range(4)]
        await engines[0].vanish()
        await both.until(lambda: both.metrics.views[0].state == "out")
        for _, sink in running:
            await asyncio.wait_for(sink.ended.wait(), 120)
        lost = [sink for _, sink in running if sink.error is not None]
        assert all(isinstance(sink.error, EngineLost) for sink in lost)
        assert all(sink.token_ids for sink in lost), "what was not begun has gone to the other"
        assert (await both.run(PROMPT)).token_ids == answer(PROMPT, 20)
        assert both.counted("ejections", "0") == 1
        await engines[0].start()
        await all_serve(both)
        await both.run([7] * 3)


async def test_the_last_one_takes_all_with_it_and_the_next_start_waits() -> None:
    async with token_engines(1) as (engine,), fleet([engine]) as one:
        _, sink = await one.submit(PROMPT, max_tokens=400)
        await sink.first.wait()
        await engine.vanish()
        dead = await asyncio.wait_for(one.engine.wait_dead(), 120)
        assert isinstance(dead, EngineDead)
        await asyncio.wait_for(sink.ended.wait(), 120)
        assert isinstance(sink.error, EngineDead)
        with pytest.raises(EngineDead):
            await one.submit(PROMPT)
        again = asyncio.create_task(anext(fleet([engine]).gen))
        await asyncio.sleep(0.3)
        assert not again.done()
        await engine.start()
        started = await asyncio.wait_for(again, 120)
        assert (await started.run(PROMPT)).token_ids == answer(PROMPT, 20)
        await started.engine.shutdown()


async def test_an_abort_is_proved_by_the_final_event() -> None:
    async with token_engines(1) as (engine,), fleet([engine]) as one:
        request_id, sink = await one.submit(PROMPT, max_tokens=400)
        await sink.first.wait()
        await asyncio.gather(*(one.engine.abort(request_id) for _ in range(2)))
        assert (sink.finish, engine.running) == (FinishReason.ABORT, 0)
        assert (one.counted("aborts", "0", "event"), one.counted("aborts", "0", "closed")) == (1, 0)
        await one.engine.abort(request_id)
        await one.engine.abort("nobody's")


async def test_an_abort_that_is_ignored_closes_the_connection() -> None:
    async with token_engines(1) as (engine,), fleet([engine], engine_abort_seconds=0.2) as one:
        engine.honours_aborts = False
        engine.play = [tokens_then(3, hang=True)]
        request_id, sink = await one.submit(PROMPT)
        await sink.first.wait()
        await one.engine.abort(request_id)
        assert sink.finish is FinishReason.ABORT
        assert one.counted("aborts", "0", "closed") == 1
        await one.until(lambda: engine.running == 0)


async def test_a_cancelled_submit_leaves_nothing() -> None:
    async with token_engines(1) as (engine,), fleet([engine]) as one:
        engine.play = [raw_hang]
        task = asyncio.create_task(one.submit(PROMPT))
        await one.until(lambda: engine.running == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await one.until(lambda: engine.running == 0)
        assert one.engine.stats().num_waiting == 0


async def test_an_engine_that_hangs_is_found_by_its_checks() -> None:
    """The request is in its hands, and was not taken yet: whoever gives it hears of it, and goes on to the next."""
    async with token_engines(2) as engines, fleet(engines) as both:
        await all_serve(both)
        engines[0].play = [raw_hang]
        task = asyncio.create_task(both.run(PROMPT))
        await both.until(lambda: engines[0].running == 1)
        engines[0].health = 503
        sink = await asyncio.wait_for(task, 120)
        assert sink.token_ids == answer(PROMPT, 20)
        assert [len(engine.generations) for engine in engines] == [1, 1]


async def raw_hang(engine: TokenEngine, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("status", [401, 403, 404, 302])
async def test_an_engine_that_is_not_one_ends_the_first_start(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(self: TokenEngine, body: Any, writer: asyncio.StreamWriter) -> None:
        await self._reply(writer, status, {})

    monkeypatch.setattr(TokenEngine, "_generate", refuse)
    async with token_engines(1) as engines:
        with pytest.raises(EngineError, match=f"no engine can serve: .*{status}"):
            async with fleet(engines):
                pass


async def test_what_differs_serves_and_does_not_go_on() -> None:
    async with token_engines(2) as engines:
        engines[1].goes_on = False
        engines[1].takes_priority = False
        async with fleet(engines) as both:
            await all_serve(both)
            assert [view.alike for view in both.metrics.views] == [True, False]
            begun = tuple(answer(PROMPT, 5))
            for _ in range(3):
                sink = await both.run(PROMPT, generated=begun)
                assert [*begun, *sink.token_ids] == answer(PROMPT, 20)
            assert len(engines[0].generations) == 3
            engines[0].health = 500
            await both.until(lambda: both.metrics.views[0].state == "out")
            assert (await both.run(PROMPT, priority=5)).token_ids == answer(PROMPT, 20)
            assert engines[1].generations[-1]["priority"] == 0
            with pytest.raises(EngineLost):
                await both.run(PROMPT, generated=begun)


async def test_what_an_engine_refuses_while_it_is_put_out_is_given_on_once() -> None:
    """By whoever is submitting it, who hears of the refusal a moment later."""
    request = EngineRequest(request_id="r", prompt_token_ids=PROMPT, sampling=Sampling(max_tokens=20))
    failed, nobody, reader = list[str](), SimpleNamespace(close=lambda: None), cast(Any, Reader)
    generation = Generation(
        request, None, None, Recorder(), 1000, new_reader=reader, on_failed=lambda *told: failed.append(told[1]),
        on_surplus=lambda _: None, on_left=lambda _: None,
    )  # fmt: skip
    stream: Any = Stream(nobody, nobody, generation)  # type: ignore[arg-type]
    generation.on_begun(stream)
    stream.on_lost("refused")
    generation.give_up_engine("check", "put out")
    assert failed == []
    taken: Any = Stream(nobody, nobody, generation)  # type: ignore[arg-type]
    generation.on_begun(taken)
    taken.on_head(200)
    generation.give_up_engine("check", "put out")
    assert failed == ["check"]


def test_a_url_with_a_secret_is_refused() -> None:
    from realtime.engine.options import RemoteOptions, VllmOptions

    options = RemoteOptions(engine_url=("http://me:secret@host",))
    with pytest.raises(ValueError, match="no user") as refused:
        RemoteEngine(VllmOptions(), options, None, None)  # type: ignore[arg-type]
    assert "secret" not in str(refused.value)
    with pytest.raises(ValueError, match="HOST:PORT") as refused:
        Address.of("http://host:secret")
    assert "secret" not in str(refused.value)


async def all_serve(fleet: Fleet) -> None:
    await fleet.until(lambda: all_views(fleet) == {"serving"})


def all_views(fleet: Fleet) -> set[str]:
    return {view.state for view in fleet.metrics.views}
