"""The compiler of constraints: compiles them before the engine gets them, in another process: see grammar_process.

A constraint that compiles there within its time and memory compiles in the engine too. Any other is refused, with the
reason and its place in the request. Tenants take turns, each with one constraint at a time. Results are remembered by
salt, so that the time that a schema takes does not reveal whether somebody else has used it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from realtime.engine.backoff import Backoff
from realtime.engine.base import EngineDead, EngineOverloaded, EngineRefused
from realtime.engine.fair_queue import FairQueue
from realtime.engine.parsing import Constraint
from realtime.engine.recent_texts import RecentTexts

from . import grammar_messages as messages
from .grammar_messages import Cancel, Compile, Compiled, Refused, Serving, Setup

if TYPE_CHECKING:
    from vllm.v1.engine.async_llm import AsyncLLM

log = logging.getLogger("realtime.engine.vllm.grammars")

_COMMAND = (sys.executable, "-m", "realtime.engine.vllm.grammar_process")
_MEMORY_BYTES = 512 << 20  # for one constraint; 128 tools for a vocabulary of 200,000 tokens take 50 MB
_REMEMBERED_CHARS = 64 << 20
_REMEMBERED_CHARS_PER_SALT = 4 << 20
_WAIT_SECONDS = 60.0
_TRIES = 2  # of a constraint in whose time the process has died, which may have been the fault of nobody
_BACKOFF = Backoff(first_seconds=0.1, max_seconds=10.0)
_LOST = "the process that compiled it has ended: simplify it"


class _Job:
    """A constraint that waits, or is being compiled. `waiters`: the number of requests that wait for it."""

    def __init__(self, number: int, constraint: Constraint, tenant: str, key: tuple[str | None, bytes]) -> None:
        self.number = number
        self.constraint = constraint
        self.tenant = tenant
        self.key = key
        self.waiters = 0
        self.tries = 0
        self.compiled: asyncio.Future[Constraint] = asyncio.get_running_loop().create_future()

    def fail(self, error: Exception) -> None:
        """End without a result."""
        if not self.compiled.done():
            self.compiled.set_exception(error)
            self.compiled.exception()  # nobody may be left to ask for it


class GrammarCompiler:
    """The compiler of constraints. `start` must be called once, and `close` at the end.

    num_compiled: constraints that the process has compiled.
    """

    def __init__(
        self, seconds: float, *, slots: int | None = None, wait_seconds: float = _WAIT_SECONDS,
        memory_bytes: int = _MEMORY_BYTES, command: Sequence[str] = _COMMAND, backoff: Backoff = _BACKOFF,
    ) -> None:  # fmt: skip
        """seconds: CPU time for a constraint with one schema or grammar in it. slots: constraints that are compiled at
        once, each of another tenant.
        """
        self.num_compiled = 0
        self._seconds, self._memory_bytes, self._wait_seconds = seconds, memory_bytes, wait_seconds
        self._slots = slots or max(1, min(4, (os.cpu_count() or 1) // 4))
        self._command, self._backoff = command, backoff
        self._queue: FairQueue[_Job] = FairQueue()
        self._jobs: dict[tuple[str | None, bytes], _Job] = {}  # waiting or running
        self._running: dict[int, _Job] = {}
        self._known = RecentTexts(_REMEMBERED_CHARS, _REMEMBERED_CHARS_PER_SALT)
        self._num_jobs = 0
        self._serves = False
        self._trouble: str | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def trouble(self) -> str | None:
        """Return why nothing can be compiled now; None if it can, or soon will."""
        return self._trouble

    @property
    def num_running(self) -> int:
        """The constraints that are being compiled."""
        return len(self._running)

    @property
    def num_waiting(self) -> int:
        """The constraints that wait to be compiled."""
        return len(self._jobs) - len(self._running)

    @property
    def pid(self) -> int | None:
        """The id of the process, while there is one."""
        return self._process.pid if self._process is not None else None

    def start(self, tokenizer_info: Callable[[], str]) -> None:
        """Begin to start the process. `tokenizer_info`: makes xgrammar's description, in a thread."""
        self._task = asyncio.create_task(self._supervise(tokenizer_info), name="grammar-compiler")

    async def close(self) -> None:
        """End the process, and everything that waits for it."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self._trouble = "it was shut down"
        self._fail_all()

    async def compile(self, constraint: Constraint, tenant: str, salt: str | None) -> Constraint:
        """Return the constraint in the engine's form. A cancelled call returns at once. Raises EngineRefused for a
        constraint that does not compile; EngineOverloaded or EngineDead if that can't be found out now.
        """
        try:
            key = (salt, hashlib.sha256(f"{constraint.kind}\0{constraint.value}".encode()).digest())
        except UnicodeEncodeError:
            raise EngineRefused("it has half of a surrogate pair in it", constraint.param) from None
        if (known := self._known.get(*key)) is not None:
            return Constraint(constraint.kind, known)
        if self._trouble is not None:
            raise EngineDead(f"grammars can't be compiled: {self._trouble}")
        job = self._jobs.get(key) or self._enqueue(constraint, tenant, key)
        job.waiters += 1
        try:
            async with asyncio.timeout(self._wait_seconds):
                return await asyncio.shield(job.compiled)
        except TimeoutError:
            raise EngineOverloaded("too many grammars wait to be compiled") from None
        finally:
            job.waiters -= 1
            if not job.waiters and not job.compiled.done():
                self._drop(job)

    # -- the jobs

    def _enqueue(self, constraint: Constraint, tenant: str, key: tuple[str | None, bytes]) -> _Job:
        self._num_jobs += 1
        job = self._jobs[key] = _Job(self._num_jobs, constraint, tenant, key)
        self._queue.push(tenant, job)
        self._send_next()
        return job

    def _drop(self, job: _Job) -> None:
        """Drop a constraint that nobody waits for. A running one keeps its slot until the process has said that it is
        over.
        """
        self._forget(job)
        job.compiled.cancel()
        if not self._queue.remove(job.tenant, job):
            self._send(Cancel(job.number))

    def _send_next(self) -> None:
        while self._serves and len(self._running) < self._slots:
            job = self._queue.pop({one.tenant for one in self._running.values()})
            if job is None:
                return
            self._running[job.number] = job
            self._send(Compile(job.number, job.constraint.kind, job.constraint.value, job.constraint.param))

    def _send(self, order: messages.Order) -> None:
        if self._writer is not None:
            self._writer.write(messages.frame(order))

    def _take(self, answer: messages.Answer) -> None:
        match answer:
            case Serving():
                self._serves, self._trouble = True, None
            case Compiled(number, value):
                self.num_compiled += 1
                job = self._finish(number)
                self._known.put(*job.key, value)
                if not job.compiled.done():
                    job.compiled.set_result(Constraint(job.constraint.kind, value))
            case Refused(number, reason, param):
                self._finish(number).fail(EngineRefused(reason, param))
        self._send_next()

    def _finish(self, number: int) -> _Job:
        job = self._running.pop(number)
        self._forget(job)
        return job

    def _forget(self, job: _Job) -> None:
        if self._jobs.get(job.key) is job:  # not another one for the same constraint, after this was given up
            del self._jobs[job.key]

    def _fail_all(self) -> None:
        for job in self._jobs.values():
            job.fail(EngineDead(f"grammars can't be compiled: {self._trouble}"))
        self._jobs.clear()
        self._running.clear()
        self._queue = FairQueue()

    # -- the process

    async def _supervise(self, tokenizer_info: Callable[[], str]) -> None:
        info: str | None = None
        attempt = 0
        while True:
            try:
                if info is None:
                    info = await asyncio.to_thread(tokenizer_info)
                await self._serve(info)
                error = "its process has ended"
            except Exception as failure:
                error = str(failure) or type(failure).__name__
            attempt = 0 if self._serves else attempt + 1
            self._ended(error, died=self._serves)
            log.warning("the compiler of grammars restarts attempt=%d error=%s", attempt, error)
            await asyncio.sleep(self._backoff.seconds(attempt - 1) if attempt else 0)

    def _ended(self, error: str, *, died: bool) -> None:
        """Note the death of the process. A new one is started at once; if that fails, `trouble` says so until one
        starts.
        """
        self._serves = False
        running, self._running = self._running, {}
        for job in running.values():
            job.tries += 1
            if job.tries < _TRIES and job.waiters:
                self._queue.push_first(job.tenant, job)
            else:
                self._forget(job)
                job.fail(EngineRefused(_LOST, job.constraint.param))
        if not died:
            self._trouble = error
            self._fail_all()

    async def _serve(self, info: str) -> None:
        """Run a process until it ends."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            process = self._spawn(theirs)
            try:
                theirs.close()
                await self._converse(process, ours, info)
            finally:
                self._process = self._writer = None
                process.kill()
                await asyncio.shield(asyncio.to_thread(process.wait))

    def _spawn(self, connection: socket.socket) -> subprocess.Popen[bytes]:
        """Start a process, out of reach of a Ctrl-C that is meant for the server. Does not wait for it."""
        return subprocess.Popen(
            self._command,
            stdin=connection.fileno(),
            stdout=subprocess.DEVNULL,
            env=_environment(),
            process_group=0,
        )

    async def _converse(self, process: subprocess.Popen[bytes], connection: socket.socket, info: str) -> None:
        reader, writer = await asyncio.open_unix_connection(sock=connection)
        self._process, self._writer = process, writer
        try:
            self._send(Setup(info, self._seconds, self._memory_bytes))
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    size = int.from_bytes(await reader.readexactly(messages.HEADER), "big")
                    self._take(messages.decode_answer(await reader.readexactly(size)))
        finally:
            writer.close()


def _environment() -> dict[str, str]:
    """Return the environment for a process that handles strangers' input: no secrets."""
    kept = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "SYSTEMROOT")
    found = {name: os.environ[name] for name in kept if name in os.environ}
    return {**found, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OPENBLAS_NUM_THREADS": "1"}


def tokenizer_info(llm: AsyncLLM) -> str:
    """Return xgrammar's description of the tokenizer, made by vLLM as in EngineCore."""
    from vllm.v1.structured_output.backend_xgrammar import XgrammarBackend

    config = llm.vllm_config
    backend = XgrammarBackend(config, tokenizer=llm.get_tokenizer(), vocab_size=config.model_config.get_vocab_size())
    info: str = backend.compiler.compile_regex("a").tokenizer_info.serialize_json()
    return info
