"""vLLM behind the `Engine` protocol. Imports vllm only once `start` is called, as do its neighbours: `launch` builds
the engine, `parsers` wraps its output parsers, `sight` prepares images. Nothing else here imports vllm or torch.

vLLM's `AsyncLLM` runs the model in a process of its own (EngineCore) and detokenizes in this one. A generation costs no
task and no wake-up per token here: `output_task` receives a step, `outputs` (or vLLM) calls our route, the route calls
the sink. That and a few other places rely on vLLM's internals; each is marked `# internal:` and pinned by
`tests/engine/test_vllm.py::test_internals_of_vllm_are_as_we_know_them`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import traceback
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from realtime.engine.base import (
    EngineDead,
    EngineError,
    EngineRefused,
    EngineRequest,
    EngineStats,
    Loaded,
    Sampling,
    Seen,
    Sink,
)
from realtime.engine.options import VllmOptions
from realtime.engine.pictures import View
from realtime.observability.engine_metrics import EngineMetrics
from realtime.observability.progress import Progress

from .continuation import prime_first, why_not
from .errors import translate
from .grammar_compiler import GrammarCompiler, tokenizer_info
from .launch import start_launch
from .loaded import look_at_loaded
from .output_task import start_output_task
from .outputs import SlimOutputs
from .route import Route
from .sampling import sampling_params
from .scratch import Scratch
from .sight import check_marker, look, marker_of
from .statistics import Statistics

if TYPE_CHECKING:
    from vllm.v1.engine.async_llm import AsyncLLM

log = logging.getLogger("realtime.engine.vllm")


class VllmEngine:
    """An `Engine` on vLLM. One start and one shutdown per instance; `supervisor.SupervisedEngine` makes new ones."""

    def __init__(
        self, options: VllmOptions, metrics: EngineMetrics | None = None, progress: Progress | None = None
    ) -> None:
        self._options = options
        self._progress = progress or Progress()
        self._llm: AsyncLLM | None = None
        self._defaults: Sampling | None = None  # the model's own
        self._routes: dict[str, Route] = {}  # what EngineCore may hold: until the last output or a confirmed abort
        self._next_abort: _AbortBatch | None = None  # collects the ids of one loop iteration
        self._abort_tasks: set[asyncio.Task[None]] = set()
        self._statistics = Statistics(metrics or EngineMetrics(options.name))
        self._grammars = GrammarCompiler(options.grammar_compile_seconds)
        self._dead: asyncio.Future[EngineDead] | None = None  # it died by itself
        self._ended: asyncio.Future[None] | None = None  # it died or was shut down: EngineCore answers nothing more
        self._scratch: Scratch | None = None
        self._outputs: SlimOutputs | None = None
        self._goes_on = False
        self._marker: int | None = None  # the model's, of an image

    async def start(self) -> Loaded:
        """Import vLLM, load the model and wait until EngineCore serves, in a thread: this takes seconds to minutes.

        When cancelled, it first waits for the thread and frees what that has built: a thread can't be stopped.
        """
        assert self._dead is None, "an engine starts once"
        loop = asyncio.get_running_loop()
        self._dead, self._ended = loop.create_future(), loop.create_future()
        self._scratch = Scratch()
        llm = await self._launch(self._options, self._scratch)
        if isinstance(llm, EngineError):
            await self.shutdown()
            raise llm
        self._llm = llm
        self._outputs = SlimOutputs(llm.output_processor)  # first: what else wants to see outputs stands before it
        prime_first(llm)
        self._statistics.attach(llm)
        start_output_task(llm).add_done_callback(self._on_output_task_done)
        await self._answer(llm.get_supported_tasks())  # cached from here on: `add_request` then has no round trip
        loaded = await look_at_loaded(self._options, llm, await self._answer(why_not(llm)))
        self._marker = marker_of(llm.model_config)
        self._defaults, self._goes_on = loaded.model.defaults, loaded.goes_on
        llm.input_processor.structured_outputs_config = None  # internal: else it would compile each on our event loop
        self._grammars.start(lambda: tokenizer_info(llm))
        return loaded

    async def look(self, prompt_token_ids: Sequence[int], views: Sequence[View]) -> Seen:
        """See `Engine.look`."""
        llm = self._require_alive()
        try:
            return await look(llm, prompt_token_ids, views)
        except Exception as error:
            raise translate(error) from error

    async def submit(self, request: EngineRequest, sink: Sink) -> None:
        """See `Engine.submit`."""
        from vllm.inputs.engine import tokens_input

        llm = self._require_alive()
        assert self._defaults is not None, "start() has not returned"
        if request.generated and not self._goes_on:
            raise EngineRefused("this engine can't go on behind what another one generated")
        if request.seen is not None:
            inputs = {**request.seen.inputs, **({"cache_salt": request.cache_salt} if request.cache_salt else {})}
        else:
            check_marker(self._marker, request.prompt_token_ids, 0)
            inputs = tokens_input(list(request.prompt_token_ids), cache_salt=request.cache_salt)
        if (constraint := request.constraint) is not None:
            constraint = await self._grammars.compile(constraint, request.tenant, request.cache_salt)
            llm = self._require_alive()
        if request.request_id in self._routes:
            raise EngineRefused(f"request id {request.request_id!r} is in use")
        route = Route(self, request.request_id, sink, constrained=constraint is not None)
        self._routes[request.request_id] = route
        try:
            collector = await llm.add_request(
                request.request_id,
                inputs,
                sampling_params(request, self._defaults, constraint),
                priority=request.priority,
                reasoning_ended=request.reasoning_ended if request.constraint is not None else None,
                reasoning_parser_kwargs={"chat_template_kwargs": request.template_kwargs},
            )
        except asyncio.CancelledError:
            route.live = False
            self.begin_abort(route)
            raise
        except Exception as error:
            route.live = False
            await asyncio.shield(self.begin_abort(route))  # vLLM may have registered it before it failed
            raise translate(error) from error
        # internal: from here on the output processor calls the route. Nothing was lost before: it runs on this loop,
        # and what it did put while we awaited is in the collector.
        route.core_id = collector.request_id
        collector.put = route.put
        if (early := collector.output) is not None:
            route.put(early)

    async def abort(self, request_id: str) -> None:
        """Abort a request; see `Engine.abort`. The aborts of one loop iteration share one message and one round trip.

        The sink gets its final chunk (`ABORT`, with any text held back for a stop string) at the beginning. The round
        trip proves that EngineCore has released the request: it reads requests in order, so before it answers it has
        handled the abort, which frees slot and blocks at once.
        """
        route = self._routes.get(request_id)
        if route is not None:
            await asyncio.shield(route.abort or self.begin_abort(route))

    def stats(self) -> EngineStats:
        """Return what the engine holds. The total is our own count and exact: a request counts from `submit` until its
        last chunk or the confirmation of its abort. The number of waiting requests and the use of the KV cache come
        from the scheduler's latest report. It reports with every engine step that has outputs, so both lag by one step.
        """
        held = len(self._routes)
        seen, grammars = self._statistics, self._grammars
        waiting = min(seen.num_waiting, held)
        return EngineStats(
            held - waiting,
            waiting,
            seen.kv_cache_usage if held else 0.0,
            grammars.trouble is None,
            num_deferred=min(seen.num_deferred, waiting),
            num_compiling=grammars.num_running,
            num_uncompiled=grammars.num_waiting,
            prefill=seen.prefill if held else {},
        )

    async def wait_dead(self) -> EngineDead:
        """Wait until the engine has died; see `Engine.wait_dead`. vLLM's monitor thread waits on the process; nothing
        polls.
        """
        assert self._dead is not None, "start() was not called"
        return await asyncio.shield(self._dead)

    async def shutdown(self) -> None:
        """See `Engine.shutdown`."""
        llm, self._llm = self._llm, None
        await self._grammars.close()
        if llm is not None and (handler := llm.output_handler) is not None:
            handler.remove_done_callback(self._on_output_task_done)
            handler.cancel()  # before vLLM's own shutdown, in which vLLM's handler would take its end for a failure
            await asyncio.gather(handler, return_exceptions=True)
        self._end(EngineDead("the engine was shut down"))
        await asyncio.gather(*self._abort_tasks)
        try:
            if llm is not None:
                await asyncio.to_thread(llm.shutdown)  # joins EngineCore
                if (reader := llm.engine_core.resources.output_queue_task) is not None:
                    await asyncio.gather(reader, return_exceptions=True)
                llm.engine_core.resources.ctx.destroy(linger=0)  # vLLM leaves it to the garbage collector
        finally:
            if self._scratch is not None:
                self._scratch.remove()

    async def _launch(self, options: VllmOptions, scratch: Scratch) -> AsyncLLM | EngineError:
        launching = asyncio.wrap_future(start_launch(options, scratch, self._progress))
        try:
            return await asyncio.shield(launching)
        except asyncio.CancelledError:
            with contextlib.suppress(Exception):
                self._llm = await launching
            await self.shutdown()
            raise
        except EngineError as error:
            return error
        except Exception as error:
            log.exception("vLLM did not start")
            traceback.clear_frames(error.__traceback__)  # they hold half an engine, with its sockets
            return EngineError(f"vLLM did not start: {error}")
        finally:
            self._progress.end()

    def _require_alive(self) -> AsyncLLM:
        if self._llm is None or self._ended is None or self._ended.done():
            raise EngineDead("the engine is not running")
        return self._llm

    # -- routes

    def adopt(self, route: Route) -> None:
        """See Owner."""
        if self._outputs is not None:
            self._outputs.adopt(route.core_id, route.take, route.give_up)

    def forget(self, route: Route) -> None:
        """See Owner."""
        if self._outputs is not None:
            self._outputs.forget(route.core_id)

    def has_left(self, route: Route) -> None:
        """See Owner."""
        self._routes.pop(route.request_id, None)

    def begin_abort(self, route: Route) -> asyncio.Task[None]:
        """See Owner."""
        if self._next_abort is None:
            self._next_abort = _AbortBatch()
            task = asyncio.create_task(self._run_abort(self._next_abort), name="vllm-abort")
            self._abort_tasks.add(task)
            task.add_done_callback(self._abort_tasks.discard)
            self._next_abort.task = task
        self._next_abort.routes.append(route)
        assert self._next_abort.task is not None
        route.abort = self._next_abort.task
        return route.abort

    async def _run_abort(self, batch: _AbortBatch) -> None:
        self._next_abort = None
        try:
            if self._llm is not None:
                await self._answer(self._abort_and_confirm(self._llm, batch))
        except EngineDead:
            pass  # it holds nothing any more
        finally:
            for route in batch.routes:
                route.live = False
                self._routes.pop(route.request_id, None)
                self.forget(route)

    @staticmethod
    async def _abort_and_confirm(llm: AsyncLLM, batch: _AbortBatch) -> None:
        await llm.abort([route.request_id for route in batch.routes])  # the final outputs are put synchronously
        await llm.is_paused()  # any call that EngineCore answers from its main loop

    async def _answer(self, call: Coroutine[Any, Any, Any]) -> Any:
        """Await a call to EngineCore. vLLM never answers one that was under way when EngineCore ended."""
        assert self._ended is not None
        answer = asyncio.ensure_future(call)
        try:
            await asyncio.wait((answer, self._ended), return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                raise EngineDead("EngineCore has ended")
            try:
                return answer.result()
            except Exception as error:
                raise translate(error) from error
        finally:
            answer.cancel()

    def _on_output_task_done(self, _: asyncio.Task[None]) -> None:
        assert self._dead is not None
        dead = EngineDead("EngineCore has died; the reason is in its log output above")
        self._end(dead)
        self._dead.set_result(dead)

    def _end(self, error: EngineDead) -> None:
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)
        for route in list(self._routes.values()):
            route.fail(error)
        self._routes.clear()


class _AbortBatch:
    """Requests that one message aborts."""

    def __init__(self) -> None:
        self.routes: list[Route] = []
        self.task: asyncio.Task[None] | None = None
