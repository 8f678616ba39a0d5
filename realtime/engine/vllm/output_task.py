"""The receiver of EngineCore's outputs: one task that replaces vLLM's two, the reader of its socket and the output
handler.

A step costs one callback of the event loop here: receive, decode, pass all outputs to the output processor. The tasks
that this wakes run next, and then the step behind it, so that steps which come faster than they can be written delay
nobody. vLLM awaits the socket, a queue and the queue's reader for each step instead. An engine whose client we don't
know (several EngineCores, elastic ones, fault tolerance) is left to vLLM's own tasks.

Relies on vLLM's internals, as `engine` does; pinned by `tests/engine/test_outputs.py`.
"""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vllm.v1.engine import EngineCoreOutputs
    from vllm.v1.engine.async_llm import AsyncLLM

log = logging.getLogger("realtime.engine.vllm")


def start_output_task(llm: AsyncLLM) -> asyncio.Task[None]:
    """Start the task, which ends exactly when the engine has died or was shut down; nothing starts another one."""
    if not _is_known(llm.engine_core):
        llm._run_output_handler()  # internal: else it would start with the first request, and a death go unseen
        handler: asyncio.Task[None] | None = llm.output_handler
        assert handler is not None
        return handler
    task = asyncio.create_task(_Receiver(llm).run(), name="vllm-outputs")
    llm.output_handler = task  # internal: by these two vLLM sees that it need not start its own; it cancels the latter
    llm.engine_core.resources.output_queue_task = task
    return task


def _is_known(core: Any) -> bool:
    """Return whether the client does no more with EngineCore's outputs than we do."""
    from vllm.v1.engine.core_client import AsyncMPClient

    parallel = core.vllm_config.parallel_config
    return type(core) is AsyncMPClient and not (parallel.enable_fault_tolerance or parallel.enable_elastic_ep)


class _Receiver:
    def __init__(self, llm: AsyncLLM) -> None:
        import zmq
        from vllm.v1.engine.core_client import _process_utility_output

        self._core = llm.engine_core
        self._processor = llm.output_processor
        self._images = llm.renderer.mm_processor_cache  # what EngineCore is taken to have; None without images
        self._answer = _process_utility_output
        self._socket: Any = zmq.Socket.shadow(llm.engine_core.resources.output_socket)
        self._again, self._dont_wait = zmq.Again, zmq.DONTWAIT
        self._events, self._readable = zmq.EVENTS, zmq.POLLIN
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._scheduled = False  # there is another step
        self._aborts: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Receive until EngineCore is dead, or until vLLM cancels this because it is."""
        import zmq

        # A number of our own for the descriptor: vLLM closes the socket's before it cancels the task, and another
        # connection may have got the number by then.
        descriptor = os.dup(self._socket.get(zmq.FD))
        self._loop.add_reader(descriptor, self._on_readable)
        try:
            self._receive()  # what came before
            await self._ended
        except Exception as error:
            log.error("no more outputs from EngineCore: %s", error or type(error).__name__)
            self._processor.propagate_error(error)
        finally:
            self._loop.remove_reader(descriptor)
            os.close(descriptor)

    def _on_readable(self) -> None:
        if not self._scheduled:
            self._receive()

    def _receive(self) -> None:
        """Take one step. The socket reports the next one only if we have looked whether it is there."""
        self._scheduled = False
        if self._ended.done():
            return
        try:
            frames = self._socket.recv_multipart(self._dont_wait, copy=False)
            self._core.resources.validate_alive(frames)
            self._take(self._core.decoder.decode(frames))
            if self._socket.get(self._events) & self._readable:
                self._scheduled = True
                self._loop.call_soon(self._receive)
        except self._again:
            pass
        except Exception as error:
            self._ended.set_exception(self._core._format_exception(error))

    def _take(self, outputs: EngineCoreOutputs) -> None:
        if outputs.utility_output is not None:
            self._answer(outputs.utility_output, self._core.utility_results)
            return
        if outputs.outputs:
            processed = self._processor.process_outputs(outputs.outputs, outputs.timestamp)
            if processed.reqs_to_abort:
                self._abort(processed.reqs_to_abort)
            if self._images is not None:
                for output in outputs.outputs:
                    for missed in output.mm_cache_miss_hashes or ():
                        self._images.invalidate(missed)  # so that it is sent the next time
        self._processor.update_scheduler_stats(outputs.scheduler_stats)

    def _abort(self, request_ids: list[str]) -> None:
        """Tell EngineCore about requests that a stop string has ended."""
        task = self._loop.create_task(self._core.abort_requests_async(request_ids), name="vllm-stopped")
        self._aborts.add(task)
        task.add_done_callback(self._on_aborted)

    def _on_aborted(self, task: asyncio.Task[None]) -> None:
        self._aborts.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("requests that had ended could not be aborted: %s", error)
