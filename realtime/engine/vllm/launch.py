"""The launch of vLLM: its arguments and environment, and the process that it runs in. See `start_launch`.

Places that rely on vLLM's internals are marked `# internal:`, as in `engine.py`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import logging
import multiprocessing.connection
import multiprocessing.forkserver
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import cache
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from realtime.engine.base import EngineError
from realtime.engine.cpu import is_cpu_build
from realtime.engine.options import VllmOptions
from realtime.observability.progress import Progress

from . import core_patches
from .child import end_with_parent, leave_terminal
from .parsers import check_names, named
from .sampling import BACKEND
from .scratch import Scratch, name_semaphores
from .startup import hear_phases, tell_phases

if TYPE_CHECKING:
    from vllm.v1.engine.async_llm import AsyncLLM

log = logging.getLogger("realtime.engine.vllm")

MIB = 1 << 20
GIB = 1 << 30
SMALL_MODEL_BYTES = 256 * MIB  # weights up to here run best on CPU in one thread of one process
SMALL_MODEL_KV_BYTES = 512 * MIB  # address space: the kernel hands the pages out when they are first written
# The prefix cache re-uses whole blocks. vLLM's 128 tokens on CPU would miss all of a short conversation; 32 is the
# least that its attention on CPU takes.
SMALL_MODEL_BLOCK_SIZE = 32

# What vLLM has under no name, or under another meaning.
_NOT_VLLM = (
    "extra", "served_name", "reasoning_parser", "tool_parser", "family", "dialect", "harmony_vocabulary",
    "grammar_compile_seconds", "seed_every_request",
)  # fmt: skip
_TRACES = frozenset({"otlp_traces_endpoint", "collect_detailed_traces"})  # of vLLM's own
_SCHEDULING = {"scheduling_policy": "priority"}  # by a request's class of service, then as it came

# What the fork server imports: how it is to behave, then what takes EngineCore long.
_PRELOADED = [
    "realtime.engine.vllm.fork_server",
    "vllm.v1.engine.core",
    "vllm.v1.worker.cpu_worker",
    "vllm.v1.executor.uniproc_executor",
]

_pending: SimpleQueue[Callable[[], None]] = SimpleQueue()


@cache
def _launcher() -> threading.Thread:
    """Start the thread in which all engines start, one at a time, as the environment belongs to the process.

    It never ends, because its children are killed when it does (see `child`). Nothing waits for it, so the process can
    end while it imports or loads. It gets no Ctrl-C, nor do its children before they have left the terminal.
    """

    def work() -> None:
        resource_tracker.ensure_running()  # which ends with its last user; it would unblock the signal below
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        while True:
            _pending.get()()

    thread = threading.Thread(target=work, daemon=True, name="vllm-launcher")
    thread.start()
    return thread


def start_launch(options: VllmOptions, scratch: Scratch, progress: Progress) -> Future[AsyncLLM]:
    """Have the engine built in a thread; vLLM starts its tasks later, on our loop. `progress` takes its reports."""
    launching: Future[AsyncLLM] = Future()

    def work() -> None:
        if launching.set_running_or_notify_cancel():
            try:
                launching.set_result(_launch(options, scratch, progress))
            except BaseException as error:
                launching.set_exception(error)

    _launcher()
    _pending.put(work)
    return launching


def _launch(options: VllmOptions, scratch: Scratch, progress: Progress) -> AsyncLLM:
    """Build the engine; blocks until it serves."""
    progress.begin("importing vLLM")
    cpu = is_cpu_build()
    small = cpu and is_small(options)
    with environment(variables(options, small, str(scratch.folder))):
        log.info("starting model=%s device=%s", options.model, "cpu" if cpu else "accelerator")
        method = os.environ.get("VLLM_WORKER_MULTIPROC_METHOD")
        fork_server = _start_fork_server() if small and method is None else None
        from vllm.engine.arg_utils import AsyncEngineArgs
        from vllm.model_executor.models import registry
        from vllm.v1.engine import utils
        from vllm.v1.engine.async_llm import AsyncLLM

        class OwnedLLM(AsyncLLM):  # type: ignore[misc]
            def __del__(self) -> None:
                """Nothing: `shutdown` is ours to call, and AsyncLLM's own finalizer fails when the interpreter ends."""

        check_names(options)
        progress.begin("reading the model's configuration")
        args = AsyncEngineArgs(**_engine_args(options, cpu))
        # internal: the first time ever, vLLM looks at the model's class in a new process, lest CUDA be initialized in
        # this one; that imports vLLM once more, 7 s. On CPU it can as well look here.
        with _replaced(registry, "_run_in_subprocess", lambda look: look()) if cpu else contextlib.nullcontext():
            config = args.create_engine_config()
        if method is not None:  # the CPU platform overwrites even what the user has set
            os.environ["VLLM_WORKER_MULTIPROC_METHOD"] = method
        _pin_backend(config)
        _share_steps(config.scheduler_config, config.model_config.max_model_len)
        _tell_core_of_reasoning(options, config)
        progress.begin("starting the engine's process")
        get_context = utils.get_mp_context  # internal: where vLLM asks how to start EngineCore
        with (
            hear_phases(progress) as sender,
            _replaced(utils, "get_mp_context", lambda: _Context(fork_server or get_context(), scratch, sender)),
        ):
            return OwnedLLM.from_vllm_config(config, disable_log_stats=False)


def _pin_backend(config: Any) -> None:
    """Fix the backend: vLLM's `auto` switches to another one where the first grammar needs it, and then can't read any
    of ours.
    """
    given = config.structured_outputs_config.backend
    if given not in ("auto", BACKEND):
        raise EngineError(
            f"structured_outputs_config: the backend must be {BACKEND!r}, not {given!r}: the server's own grammars are "
            "structural tags, which no other one knows; leave it out of `extra`"
        )
    config.structured_outputs_config.backend = BACKEND


def _share_steps(scheduler: Any, max_model_len: int) -> None:
    """Leave half of each step to others while a long prompt is read, so that a short one behind it need not wait for
    its end. vLLM gives a prompt the whole step while it is alone.
    """
    if not scheduler.long_prefill_token_threshold:
        scheduler.long_prefill_token_threshold = min(max_model_len, max(1, scheduler.max_num_batched_tokens // 2))


def _tell_core_of_reasoning(options: VllmOptions, config: Any) -> None:
    """Let reasoning run free before a constraint holds, where only vLLM's parser knows its form. The server's own
    constraints describe an answer from its first token.
    """
    reasoning = named(options).reasoning
    if reasoning is not None:
        config.structured_outputs_config.reasoning_parser = reasoning


@contextlib.contextmanager
def _replaced(owner: Any, name: str, value: object) -> Iterator[None]:
    """Set an attribute for a while."""
    original = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, original)


class _Context:
    """A multiprocessing context whose processes run `_engine_core`."""

    def __init__(self, context: BaseContext, scratch: Scratch, phases: Connection) -> None:
        self._context: Any = context
        self._phases = phases
        self._scratch = scratch

    def Process(self, *, target: Callable[..., None], name: str, kwargs: dict[str, Any]) -> Any:
        args = (dict(os.environ), str(self._scratch.folder), self._scratch.semaphores, self._phases, target)
        return self._context.Process(target=_engine_core, args=args, name=name, kwargs=kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)


def _engine_core(
    environment: dict[str, str], folder: str, semaphores: str, phases: Connection, target: Callable[..., None],
    **kwargs: Any,
) -> None:  # fmt: skip
    """Run EngineCore: the main function of its process.

    A group of its own keeps Ctrl-C away from it: the server gets that, drains, and ends EngineCore itself. In return
    EngineCore must notice by itself that the server was killed; vLLM's own would stay. The thread also ends the workers
    of vLLM's executor; the kernel's signal comes even when Python runs no threads.
    """
    os.environ.clear()
    os.environ.update(environment)  # a fork server has that of its own start
    leave_terminal()
    end_with_parent()
    name_semaphores(semaphores)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True, name="end-with-parent").start()
    core_patches.install(folder)
    tell_phases(phases)
    target(**kwargs)


def _start_fork_server() -> BaseContext:
    """Begin to import vLLM in Python's fork server, in parallel with our own import; used on CPU, for small models.

    Most of the start of a small model is importing vLLM, once here and once in EngineCore. The fork server is a process
    without threads and without our sockets that imports while we do, then forks: where two cores are free the second
    import costs no time, and at a restart it never does. Forking this process instead
    (VLLM_WORKER_MULTIPROC_METHOD=fork) would be as quick, but EngineCore would share the clients' sockets, which would
    stay open when we close them, and the event loop's wake-up descriptor, by which a signal to EngineCore would look
    like one to us.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    multiprocessing.forkserver.ensure_running()  # does not wait for the imports
    return context


def _engine_args(options: VllmOptions, cpu: bool) -> dict[str, Any]:
    """Return the AsyncEngineArgs fields to set. What the user left open stays vLLM's default, but on a
    CPU build ours.
    """
    from vllm.engine.arg_utils import AsyncEngineArgs

    ours = {name for name in VllmOptions.__struct_fields__ if name not in _NOT_VLLM}
    theirs = {field.name for field in dataclasses.fields(AsyncEngineArgs)}
    for name in options.extra:
        if name in ours:
            raise EngineError(f"engine argument {name!r} is a setting of its own: don't put it in `extra`")
        if name in _TRACES:
            raise EngineError(
                f"engine argument {name!r} can't be used: vLLM's own traces need its statistics for each token, which "
                "are off. The server traces each response by itself: set OTEL_EXPORTER_OTLP_ENDPOINT"
            )
        if name not in theirs:
            close = difflib.get_close_matches(name, sorted(theirs))
            hint = f"; close to {', '.join(close)}" if close else ""
            raise EngineError(f"vLLM has no engine argument {name!r}{hint}")
    given = {name: getattr(options, name) for name in ours}
    args = {name: value for name, value in given.items() if value is not None} | options.extra
    return (_cpu_defaults(options) if cpu else {}) | _SCHEDULING | _quiet() | args


def _quiet() -> dict[str, Any]:
    """Hide vLLM's progress bars: its start is reported in phases. With the log at `debug` everything is shown."""
    return {} if log.isEnabledFor(logging.DEBUG) else {"use_tqdm_on_load": False}


def _cpu_defaults(options: VllmOptions) -> dict[str, Any]:
    """Return defaults that start in seconds, and take no more memory than is sensible on a machine that is not vLLM's
    alone.

    vLLM would take 92 % of all memory for the KV cache, and compile for 20 s to decode a small model twice as fast.
    """
    defaults: dict[str, Any] = {"enforce_eager": True}
    if is_small(options):
        kv_bytes = SMALL_MODEL_KV_BYTES
        defaults["block_size"] = SMALL_MODEL_BLOCK_SIZE
    else:
        available = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        kv_bytes = max(GIB, min(8 * GIB, available // 4))
    if "VLLM_CPU_KVCACHE_SPACE" not in os.environ:
        defaults["kv_cache_memory_bytes"] = kv_bytes
    return defaults


def variables(options: VllmOptions, small: bool, folder: str) -> dict[str, str]:
    """Return the environment in which vLLM starts. A variable that the user has set wins."""
    loud = log.isEnabledFor(logging.DEBUG)
    variables = {
        "VLLM_LOGGING_LEVEL": "INFO" if loud else "WARNING",
        "VLLM_NO_USAGE_STATS": "1",  # self-hosted: tell nobody
        "VLLM_RPC_BASE_PATH": folder,  # vLLM leaves its ZMQ sockets behind; we remove the folder
    }
    if Path(options.model).is_dir():
        variables["HF_HUB_OFFLINE"] = "1"  # a local model needs no hub, and a look-up without network takes long
    if small:
        variables |= {
            # Model and scheduler in one process. Threads don't help tiny matrices, and on a busy machine their
            # barriers spin for ever. Larger models keep vLLM's default: a worker whose threads are bound to cores.
            "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
            "OMP_NUM_THREADS": "1",
            "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        }
    if small and not loud:
        variables |= {
            # What is said about a CPU without Triton, compiler or preloaded libraries is of no use to anyone here.
            "VLLM_LOGGING_LEVEL": "ERROR",
            "TRANSFORMERS_VERBOSITY": "error",
            "TORCH_CPP_LOG_LEVEL": "ERROR",
            "PYTHONWARNINGS": "ignore",  # in EngineCore
        }
    if small and options.enforce_eager is not False:
        # Some of vLLM's samplers compile at first use even when eager: 17 s for the first request with logprobs.
        variables["TORCHDYNAMO_DISABLE"] = "1"
        variables["TORCHINDUCTOR_CACHE_DIR"] = folder  # torch makes one, though nothing is compiled
    return variables


@contextlib.contextmanager
def environment(variables: dict[str, str]) -> Iterator[None]:
    """Set unset variables; at the end restore the environment, including what vLLM changed in it
    (LD_PRELOAD, for one).
    """
    before = dict(os.environ)
    for name, value in variables.items():
        os.environ.setdefault(name, value)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


def is_small(options: VllmOptions) -> bool:
    path = Path(options.model)
    weights = sum(file.stat().st_size for file in path.glob("*.safetensors")) if path.is_dir() else 0
    devices = options.tensor_parallel_size * options.pipeline_parallel_size * options.data_parallel_size
    return 0 < weights <= SMALL_MODEL_BYTES and devices == 1
