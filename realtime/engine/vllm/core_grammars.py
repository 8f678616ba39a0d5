"""Grammars in EngineCore: compiled caches that tenants don't share, and threads in which they take turns.

A request finds in a cache only what requests of the same salt have left there, so the time that a schema takes does not
reveal whether another tenant uses it. xgrammar also reuses parts of grammars within one compiler, so each salt has its
own.
"""

from __future__ import annotations

import copy
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Any

from realtime.engine.fair_queue import FairQueue


class SaltedBackends:
    """A vLLM backend for each salt, each with a compiler of its own. Used from several threads.

    max_bytes: the most that all compilers keep together. Beyond it the least recently used one is dropped.
    """

    def __init__(self, make_compiler: Callable[[Any, int], Any], max_bytes: int) -> None:
        """make_compiler: makes one for a tokenizer info, with so many bytes to keep at most."""
        self._make_compiler = make_compiler
        self._max_bytes = max_bytes
        self._backends: OrderedDict[str, Any] = OrderedDict()
        self._info: Any = None
        self._lock = threading.Lock()

    def of(self, salt: str | None, shared: Any) -> Any:
        """Return the backend for a salt; without one, `shared`."""
        if salt is None:
            return shared
        with self._lock:
            backend = self._backends.get(salt)
            if backend is None:
                backend = self._backends[salt] = self._new(shared)
            self._backends.move_to_end(salt)
            while len(self._backends) > 1 and self._num_bytes() > self._max_bytes:
                self._backends.popitem(last=False)
            return backend

    def _new(self, shared: Any) -> Any:
        if self._info is None:
            self._info = shared.compiler.compile_regex("a").tokenizer_info
        backend = copy.copy(shared)
        backend.compiler = self._make_compiler(self._info, self._max_bytes // 4)
        return backend

    def _num_bytes(self) -> int:
        return sum(backend.compiler.get_cache_size_bytes() for backend in self._backends.values())


class TakingTurns(ThreadPoolExecutor):
    """Threads that compile grammars, in which a tenant with many does not make others wait for all of them. A request
    that was aborted before its turn is skipped.
    """

    def __init__(self, max_workers: int) -> None:
        super().__init__(max_workers, "grammars")
        self._waiting: FairQueue[tuple[Future[Any], Callable[[Any], Any], Any]] = FairQueue()
        self._turn = threading.Lock()

    def submit(self, function: Callable[[Any], Any], request: Any) -> Future[Any]:  # type: ignore[override]
        """Compile the grammar of a vLLM request."""
        compiled: Future[Any] = Future()
        with self._turn:
            self._waiting.push(tenant_of(request.cache_salt), (compiled, function, request))
        super().submit(self._run_next)
        return compiled

    def _run_next(self) -> None:
        with self._turn:
            found = self._waiting.pop()
        assert found is not None
        compiled, function, request = found
        if request.is_finished():
            compiled.set_exception(CancelledError())
            return
        try:
            compiled.set_result(function(request))
        except BaseException as error:
            compiled.set_exception(error)


def tenant_of(salt: str | None) -> str:
    """Return the tenant's part of a salt; see service.prefix_salts."""
    return (salt or "").partition(".")[0]


def install() -> None:
    """Make vLLM's manager of grammars use both."""
    from vllm import envs
    from vllm.v1.structured_output import StructuredOutputManager
    from xgrammar import GrammarCompiler

    max_bytes = envs.VLLM_XGRAMMAR_CACHE_MB << 20

    def make_compiler(info: Any, limit: int) -> Any:
        return GrammarCompiler(info, max_threads=8, cache_enabled=True, cache_limit_bytes=limit)

    backends = SaltedBackends(make_compiler, max_bytes)
    begin = StructuredOutputManager.__init__  # internal: see the test

    def begin_with_turns(self: Any, *args: Any, **kwargs: Any) -> None:
        begin(self, *args, **kwargs)
        if (executor := getattr(self, "executor", None)) is not None:
            self.executor = TakingTurns(executor._max_workers)

    def create_grammar(self: Any, request: Any) -> Any:
        kind, spec = request.structured_output_request.structured_output_key
        backend = backends.of(request.cache_salt, self.backend)
        stop_token_ids = request.sampling_params.all_stop_token_ids
        return backend.compile_grammar(kind, spec, stop_token_ids=stop_token_ids)

    StructuredOutputManager.__init__ = begin_with_turns
    StructuredOutputManager._create_grammar = create_grammar  # internal: see the test
