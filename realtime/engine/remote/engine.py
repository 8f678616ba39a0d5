"""Several remote engines behind the `Engine` protocol, each by vLLM's token-in, token-out endpoint.

A generation of which no sink has had anything moves to another engine by itself when its own fails. One that was begun
ends with EngineLost, and the caller submits the rest again with what it has (`EngineRequest.generated`), as after the
death of a local engine. When no engine serves any more, this engine is dead; the next one waits until one serves again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from realtime.engine.base import (
    Capacity,
    EngineDead,
    EngineError,
    EngineLost,
    EngineOverloaded,
    EngineRefused,
    EngineRequest,
    EngineStats,
    Loaded,
    Seen,
    Sink,
)
from realtime.engine.options import RemoteOptions, VllmOptions
from realtime.engine.parsing import Constraint
from realtime.engine.pictures import View
from realtime.engine.vllm.grammar_compiler import GrammarCompiler
from realtime.observability.fleet_metrics import FleetMetrics

from .affinity import keys_of
from .endpoint import GivenUp
from .generation import Generation
from .http import Address, NotServing, Unreachable
from .introduction import PROBE_TEXT
from .member import Member
from .members import Members
from .wire import body

if TYPE_CHECKING:
    from realtime.engine.vllm.front import Front

log = logging.getLogger("realtime.engine.remote")

_TICK_SECONDS = 0.25
_ABORT_AGAIN_SECONDS = 0.5
_MAX_LOST = 1024
_PLACEMENTS = 2  # engines that a generation is given to of which nothing was heard; it may be what ends them


class RemoteEngine:
    """Several remote engines as one `Engine`. One start and one shutdown per instance. `front`: what this process knows
    of the model.
    """

    def __init__(
        self, options: VllmOptions, remote: RemoteOptions, key: str | None, front: Callable[[], Awaitable[Front]],
        metrics: FleetMetrics | None = None, grammars: GrammarCompiler | None = None,
    ) -> None:  # fmt: skip
        """Raises ValueError for an invalid URL."""
        self._options, self._remote, self._load_front = options, remote, front
        self._metrics = metrics or FleetMetrics()
        self._addresses = [Address.of(url) for url in remote.engine_url]
        self._key = key
        self._members: Members | None = None
        self._front: Front | None = None
        self._max_model_len = 0
        self._held: dict[str, Generation] = {}
        self._lost: dict[str, Member] = {}  # which has lost a generation, until that is submitted again
        self._grammars = grammars or GrammarCompiler(options.grammar_compile_seconds)
        self._dead: asyncio.Future[EngineDead] | None = None
        self._monitor: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> Loaded:
        """Read the model's files, and wait until an engine serves, for as long as it takes."""
        assert self._dead is None, "an engine starts once"
        self._dead = asyncio.get_running_loop().create_future()
        self._front = front = await self._load_front()
        self._members = Members(self._addresses, self._key, self._remote, self._metrics, self._on_out)
        tokens = front.tokenizer.encode(PROBE_TEXT, add_special_tokens=False)
        limit = self._options.max_model_len
        measure = await self._members.first(tokens, front.vocab_size, front.facts, limit)
        self._max_model_len = self._members.max_model_len
        self._grammars.start(front.tokenizer_info)
        self._monitor = asyncio.create_task(self._watch(), name="remote-engines")
        return Loaded(
            msgspec.structs.replace(front.model, max_model_len=self._max_model_len),
            front.tokenizer,
            front.parsers,
            self._members.fingerprint,
            goes_on=measure.goes_on,
            capacity=Capacity(max_requests=(self._options.max_num_seqs or 0) * len(self._addresses)),
            seeds_are_free=bool(self._options.seed_every_request),
        )

    async def look(self, prompt_token_ids: Sequence[int], views: Sequence[View]) -> Seen:
        """See `Engine.look`. This node does it, for whichever engine."""
        front, _ = self._require_alive()
        return await front.look(prompt_token_ids, views)

    async def submit(self, request: EngineRequest, sink: Sink) -> None:
        """Submit a generation; see `Engine.submit`. EngineLost: the engines that were asked did not take it, but there
        may be others.
        """
        front, _ = self._require_alive()
        front.check(request, self._max_model_len)
        params = front.sampling(request)  # what is wrong with it is said before a constraint is compiled
        constraint = request.constraint
        if constraint is not None:
            constraint = await self._grammars.compile(constraint, request.tenant, request.cache_salt)
            front, _ = self._require_alive()
        if request.request_id in self._held:
            raise EngineRefused(f"request id {request.request_id!r} is in use")
        generation = self._new_generation(front, request, params, constraint, sink)
        self._held[request.request_id] = generation
        try:
            await self._place(generation)
        except BaseException:
            generation.live = False
            self._held.pop(request.request_id, None)
            raise

    def _new_generation(
        self, front: Front, request: EngineRequest, params: Any, constraint: Constraint | None, sink: Sink
    ) -> Generation:
        generation = Generation(
            request, params, constraint, sink, front.vocab_size, new_reader=lambda: front.reader(request, params),
            on_failed=self._on_failed, on_surplus=self._begin_abort, on_left=self._on_left,
        )  # fmt: skip
        places = request.seen.inputs.places if request.seen is not None else ()
        generation.keys = keys_of(request.whole_prompt, request.cache_salt, places)
        return generation

    async def abort(self, request_id: str) -> None:
        """Abort a generation; see `Engine.abort`. The engine's final event is the proof: its front end has dropped the
        request, and whatever it sends to EngineCore afterwards follows the abort. If that event does not come in time,
        the connection is closed.
        """
        generation = self._held.get(request_id)
        if generation is not None:
            await asyncio.shield(generation.abort or self._begin_abort(generation))

    def stats(self) -> EngineStats:
        """Return this server's requests at all engines. A request counts as running once tokens have come. The state of
        the engines' KV caches is not known.
        """
        held = self._held.values()
        running = sum(generation.delivered for generation in held)
        grammars = self._grammars
        return EngineStats(
            running, len(held) - running, 0.0, grammars.trouble is None,
            num_compiling=grammars.num_running, num_uncompiled=grammars.num_waiting,
        )  # fmt: skip

    async def wait_dead(self) -> EngineDead:
        """See `Engine.wait_dead`: no engine serves."""
        assert self._dead is not None, "start() was not called"
        return await asyncio.shield(self._dead)

    async def shutdown(self) -> None:
        """Free everything; see `Engine.shutdown`. Closing the connections ends this server's requests at the
        engines.
        """
        monitor, self._monitor = self._monitor, None
        if monitor is not None:
            monitor.cancel()
            await asyncio.gather(monitor, return_exceptions=True)
        members, self._members = self._members, None
        for task in list(self._tasks):
            task.cancel()
        for generation in list(self._held.values()):
            generation.drop(EngineDead("the engine was shut down"))
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._held.clear()
        await self._grammars.close()
        if members is not None:
            await members.close()

    # -- placing

    def _require_alive(self) -> tuple[Front, Members]:
        if self._front is None or self._members is None or self._dead is None or self._dead.done():
            raise EngineDead("no engine serves")
        return self._front, self._members

    async def _place(self, generation: Generation) -> None:
        """Submit it to the first engine that takes it. Raises as `submit`."""
        tried: set[Member] = set() if generation.member is None else {generation.member}
        loser = self._lost.pop(generation.request.request_id, None)
        overloaded: EngineOverloaded | None = None
        while generation.live:  # else it has ended meanwhile: nobody wants it
            front, members = self._require_alive()
            others = tried if loser is None else {*tried, loser}
            member = members.choose(generation.keys, others, alike=bool(generation.request.generated))
            if member is None and loser is not None:  # if nobody else can take it, it may try again
                await members.suspect(loser)
                loser = None
                continue
            if member is None:
                raise overloaded or EngineLost("no engine takes it")
            tried.add(member)
            try:
                await self._give(generation, front, members, member)
                return
            except EngineOverloaded as error:
                overloaded = error
                self._metrics.failures.add(1, member.name, "overloaded")
            except EngineRefused:
                raise
            except GivenUp:  # the engine is out, or nobody wants the answer: both have been noted
                continue
            except (Unreachable, EngineError) as error:
                log.warning("engine did not take a request engine=%s error=%s", member.name, error)
                kind = "unreachable" if isinstance(error, Unreachable) else "refused"
                if member.failed(kind, str(error), surely=isinstance(error, NotServing)):
                    members.put_out(member)
                await members.suspect(member)

    async def _give(self, generation: Generation, front: Front, members: Members, member: Member) -> None:
        request, constraint = generation.request, generation.constraint
        remote_id = f"{request.request_id}-{secrets.token_hex(6)}"  # an abort by id must mean this very one
        known = member.introduction
        sent = body(
            remote_id,
            request.whole_prompt,
            front.sent(generation.params, constraint, tells_stops=not request.generated),
            salt=request.cache_salt,
            priority=request.priority if known is not None and known.takes_priority else 0,
            reasoning_ended=request.reasoning_ended if constraint is not None else None,
            template_kwargs=request.template_kwargs if constraint is not None else None,
            features=request.seen.inputs.sent if request.seen is not None else None,
        )
        generation.placed(member, remote_id)
        member.held.add(generation)
        try:
            await member.endpoint.begin(sent, generation)
        except BaseException:
            generation.not_taken()
            member.held.discard(generation)
            raise
        members.note(generation.keys, member)

    def _on_failed(self, generation: Generation, kind: str, why: str) -> None:
        """Take an engine's failure of a generation: move it to another engine, or tell its sink."""
        member = generation.member
        assert member is not None
        member.held.discard(generation)
        self._metrics.moved.add(1, member.name)
        if kind != "check":  # else the engine is out, and that was said
            log.warning("engine failed engine=%s kind=%s error=%s", member.name, kind, why)
            mute = kind == "silent" and member.health.heard_at <= generation.heard_at  # to everybody, all that time
            out = member.failed(kind, why, surely=mute)
            if out and self._members is not None:
                self._members.put_out(member)
            elif self._members is not None:
                self._spawn(self._members.suspect(member))
        if kind == "refused" and generation.constraint is not None and not generation.delivered:
            generation.placing = self._spawn(self._judge(generation, member))
        elif generation.delivered or generation.num_placements >= _PLACEMENTS:
            self._note_loser(generation, member)
            generation.lose(f"the engine was lost: {why}")
        else:
            generation.placing = self._spawn(self._place_again(generation))

    def _note_loser(self, generation: Generation, member: Member) -> None:
        """Note who has lost a generation: its prompt leads there again, and a check takes longer than to ask again."""
        if len(self._lost) >= _MAX_LOST:
            del self._lost[next(iter(self._lost))]
        self._lost[generation.request.request_id] = member

    async def _judge(self, generation: Generation, member: Member) -> None:
        """Find out why an engine failed a request with a constraint, because vLLM doesn't say. If it is healthy, and so
        is another that fails of it too, they can't hold the model to the constraint.
        """
        alone = True
        if self._members is not None:
            await self._members.suspect(member)
            alone = self._members.serving == [member]
        if not (member.serves and (alone or generation.num_placements >= _PLACEMENTS)):
            await self._place_again(generation)
            return
        generation.placing = None
        generation.fail(EngineRefused("the engine can't hold the model to the schema or grammar: simplify it"))
        self._on_left(generation)

    async def _place_again(self, generation: Generation) -> None:
        try:
            await self._place(generation)
        except EngineError as error:
            generation.fail(error)
            self._on_left(generation)
        finally:
            if generation.placing is asyncio.current_task():  # it may have failed again at once
                generation.placing = None

    def _on_left(self, generation: Generation) -> None:
        if generation.member is not None:
            generation.member.held.discard(generation)
        if generation.abort is None:
            self._held.pop(generation.request.request_id, None)

    def _on_out(self, member: Member, why: str) -> None:
        """Note that an engine does not serve any more, nor will it finish what it has."""
        if self._members is not None and not self._members.serving:
            self._die()
        for generation in list(member.held):
            generation.give_up_engine("check", why)

    def _die(self) -> None:
        dead = EngineDead("no engine serves any more")
        if self._dead is not None and not self._dead.done():
            self._dead.set_result(dead)
        for generation in list(self._held.values()):
            generation.drop(dead)

    # -- aborts

    def _begin_abort(self, generation: Generation) -> asyncio.Task[None]:
        generation.abort = self._spawn(self._abort(generation))
        return generation.abort

    async def _abort(self, generation: Generation) -> None:
        if generation.placing is not None:
            generation.placing.cancel()
            await asyncio.gather(generation.placing, return_exceptions=True)
        member, proof = generation.member, "event"
        try:
            if member is not None and generation.is_taken:
                await self._prove_abort(member, generation)
        finally:
            if not generation.left.done():
                proof = "closed"
                generation.close()
            if member is not None:
                member.held.discard(generation)
                self._metrics.aborts.add(1, member.name, proof)
            self._held.pop(generation.request.request_id, None)

    async def _prove_abort(self, member: Member, generation: Generation) -> None:
        """Repeat the abort until the end comes, or the time is over. A single one may come too early: an engine knows a
        request only a moment after it has taken it, and ignores ids that it does not know.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._remote.engine_abort_seconds):
                while not generation.left.done():
                    member.endpoint.abort(generation.remote_id)
                    await asyncio.wait([generation.left], timeout=_ABORT_AGAIN_SECONDS)

    # -- time

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            if self._members is not None:
                self._members.tick(now := time.monotonic())
                self._find_silent(now)

    def _find_silent(self, now: float) -> None:
        first, further = self._remote.engine_first_token_seconds, self._remote.engine_silence_seconds
        for generation in list(self._held.values()):
            limit = further if generation.delivered else first
            if generation.is_taken and now - generation.heard_at > limit:
                generation.give_up_engine("silent", f"nothing came for {limit:g} seconds")

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
