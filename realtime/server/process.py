"""The server as a process: logging, the listening socket, the engine's start, the end.

The socket listens and the store is locked before a model is downloaded or loaded, so that a port in use and a file that
can't be written are reported at once, and `/health` answers while the model loads. Creates are refused with a retryable
error until the engine serves.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
import uvloop

from realtime.engine.base import Engine, EngineError
from realtime.engine.scripted import ScriptedEngine
from realtime.engine.scripts import RandomScript
from realtime.engine.supervisor import EngineState, SupervisedEngine
from realtime.observability import lines
from realtime.observability.log_format import formatter
from realtime.observability.observer import Observer
from realtime.observability.progress import Progress, StderrHandler, on_terminal
from realtime.observability.tracing import Tracing, TracingError, start_tracing
from realtime.settings.fields import ServerSettings, Settings
from realtime.store.cluster.membership import CannotJoin
from realtime.store.sqlite.lock import FileLock
from realtime.store.sqlite.schema import CannotOpen
from realtime.wire.errors import WireError

from .app import build_app
from .auth import exposure_warning
from .cluster_settings import NO_SECRET, Node, configured_node, with_shared_key
from .doctor.command import explain, explain_cluster
from .families import for_engine
from .faults import Faults
from .gateway import Gateway
from .http.transport import StreamProtocol
from .http.waiting import Waiting
from .listening import CannotListen, announcement, listen, reachable
from .loop_lag import LoopLag
from .metrics_listener import MetricsListener
from .notice import Notice
from .remote_engines import remote_factory
from .script_file import CannotPlay, ScriptFile, read_script
from .scrubbing import scrub_handlers
from .service_manager import ServiceManager
from .signals import Server, halt, halt_soon, handle_signals
from .store_file import hold_store, open_configured, store_path, with_key
from .websocket_transport import FrameProtocol

logger = logging.getLogger("realtime.server")

#: For which an idle HTTP connection stays open. Clients and proxies must be the first to close theirs (httpx after 5 s,
#: nginx after 60, Go's clients after 90, Caddy after 120), or they may send a request into one that is being closed.
KEEP_ALIVE_SECONDS = 130
_WAITING_BESIDE = 200  # connections beside those that max_connections allows: to refuse clients, and to be idle


def serve(
    settings: Settings, config: Path | None = None, prepare: Callable[[Settings], Settings] = lambda settings: settings
) -> int:
    """Run the server until a signal ends it. `config`: see make_gateway. `prepare`: work that may take long, such as
    the download of a model; it runs once the ports and the store are held. Return the exit status: 0, or 1 if there was
    no port or no engine.
    """
    _configure_logging(settings.server.log_level, settings.server.log_format)
    with contextlib.ExitStack() as sockets:  # closed in the end, whoever has used them and whatever has failed
        try:
            listening = sockets.enter_context(listen(settings.server.host, settings.server.port))
            for_metrics = _listen_for_metrics(settings.server)
            sockets.enter_context(for_metrics or contextlib.nullcontext())
            script = read_script(Path(settings.script)) if settings.script is not None else None
            node = configured_node(settings.cluster, settings.server, listening.getsockname()[1])
            gateway = _prepared_gateway(settings, prepare, script, config, node)
        except (CannotListen, CannotPlay, TracingError, CannotOpen, CannotJoin) as error:
            print(f"realtime: {error}", file=sys.stderr)
            if isinstance(error, CannotJoin):
                explain_cluster(settings)
            return 1
        if warning := exposure_warning(gateway.settings):
            logger.warning(warning)
        if node is not None and not node.shared:
            logger.warning(NO_SECRET)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_serve(gateway, listening, for_metrics, script))


def _prepared_gateway(
    settings: Settings, prepare: Callable[[Settings], Settings], script: ScriptFile | None, config: Path | None,
    node: Node | None,
) -> Gateway:  # fmt: skip
    """Make the gateway once the store is held and everything is prepared. Its stores have the lock then."""
    with contextlib.ExitStack() as undo:
        if (lock := hold_store(settings)) is not None:
            undo.callback(lock.release)
        gateway = make_gateway(prepare(settings), start_tracing(os.environ), script, config, lock, node)
        undo.pop_all()
        return gateway


def make_gateway(
    settings: Settings,
    tracing: Tracing | None = None,
    script: ScriptFile | None = None,
    config: Path | None = None,
    lock: FileLock | None = None,
    node: Node | None = None,
) -> Gateway:
    """Make the gateway, with the engine and the stores that the settings ask for; nothing is started yet. `config`: the
    file of settings, whose tenants' limits are followed. `lock`: the store's, if it is held. `node`: this one, in a
    cluster. Raises CannotOpen, and CannotJoin.
    """
    observer = Observer(settings.vllm.name, tracing)
    path = store_path(settings)
    stores = open_configured(settings, lock, node, observer.cluster.round_trip)
    try:
        server = with_shared_key(settings.server, node) if node is not None else settings.server
        settings = msgspec.structs.replace(settings, server=with_key(server, path))
        engine = SupervisedEngine(_engine_factory(settings, observer, script))
        return Gateway(settings, engine, stores, observer, config, node)
    except BaseException:
        stores.close()
        raise


def uvicorn_config(settings: Settings, gateway: Gateway, script: ScriptFile | None = None) -> uvicorn.Config:
    """Return uvicorn's configuration: our protocols, no access log, no lifespan. `script`: sockets fail as it says."""
    socket_protocol: Any = FrameProtocol if script is None else Faults(script.connections).protocol
    connections = settings.connections
    http_protocol: Any = partial(StreamProtocol, waiting=Waiting(connections.max_connections + _WAITING_BESIDE))
    return uvicorn.Config(
        build_app(gateway),
        host=settings.server.host,
        port=settings.server.port,
        loop="none",
        http=http_protocol,
        ws=socket_protocol,
        ws_max_size=connections.max_message_bytes,
        ws_ping_interval=connections.ping_interval_seconds,
        ws_ping_timeout=connections.ping_timeout_seconds,
        ws_per_message_deflate=connections.permessage_deflate,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=5,
    )


def _engine_factory(settings: Settings, observer: Observer, script: ScriptFile | None) -> Callable[[], Engine]:
    if settings.engine == "scripted":
        says = RandomScript(seed=settings.vllm.seed or 0, endless=True) if script is None else script.script
        tick_seconds = 0.005 if script is None else script.tick_seconds
        slots, name = settings.vllm.max_num_seqs or 256, settings.vllm.name
        return lambda: ScriptedEngine(says, tick_seconds=tick_seconds, max_num_seqs=slots, name=name)
    options = for_engine(settings.vllm)
    progress = Progress(shows=settings.server.log_format == "text" and on_terminal())
    if settings.engine == "remote":
        return remote_factory(options, settings.remote, observer.fleet, progress)
    from realtime.engine.vllm.engine import VllmEngine

    return lambda: VllmEngine(options, observer.engine, progress)


def _listen_for_metrics(settings: ServerSettings) -> socket.socket | None:
    """Bind the socket for metrics, if there is to be one. Raises CannotListen."""
    if settings.metrics_port is None:
        return None
    return listen(settings.metrics_host, settings.metrics_port, flags=("--metrics-host", "--metrics-port"))


async def _serve(
    gateway: Gateway, listening: socket.socket, for_metrics: socket.socket | None, script: ScriptFile | None
) -> int:
    async with _observed(gateway, for_metrics):
        return await _serve_observed(gateway, listening, script)


@contextlib.asynccontextmanager
async def _observed(gateway: Gateway, for_metrics: socket.socket | None) -> AsyncIterator[None]:
    """Run the parts that watch the server while it serves, until its end."""
    lag = LoopLag(gateway.observer.service.loop_lag_seconds)
    listener = MetricsListener(gateway.exposition, for_metrics) if for_metrics is not None else None
    lag.start()
    gateway.admission.lag = lambda: lag.seconds
    if listener is not None and for_metrics is not None:
        listener.start()
        logger.info("metrics on http://%s:%d/metrics", *for_metrics.getsockname()[:2])
    try:
        yield
    finally:
        lag.stop()
        if listener is not None:
            await listener.close()
        await asyncio.to_thread(gateway.observer.tracing.close)


async def _serve_observed(gateway: Gateway, listening: socket.socket, script: ScriptFile | None) -> int:
    settings = gateway.settings
    manager = ServiceManager(os.environ)
    server = Server(uvicorn_config(settings, gateway, script), gateway, manager)
    handle_signals(server.signalled)
    manager.loading(gateway.model_name)
    try:
        await gateway.recover()
    except (WireError, CannotJoin) as error:
        gateway.close_stores()
        why = error if isinstance(error, CannotJoin) else "the store can't be read: see the log"
        print(f"realtime: {why}", file=sys.stderr)
        await asyncio.to_thread(explain_cluster, settings)
        return 1
    host, port = listening.getsockname()[:2]
    notice = Notice()
    starting = asyncio.create_task(_start_engine(gateway, server, manager, host, port, notice), name="engine-start")
    await server.serve(sockets=[listening])
    manager.gone()
    notice.remove()
    if server.at_once or gateway.engine.status.state in (EngineState.STARTING, EngineState.RESTARTING):
        gateway.close_stores()
        halt(0)  # a model that is being loaded can't be left otherwise
    starting.cancel()
    (failed,) = await asyncio.gather(starting, return_exceptions=True)
    await gateway.leave_off()
    gateway.close_stores()
    await gateway.engine.shutdown()
    status = 1 if failed is False else 0
    halt_soon(status)
    return status


async def _start_engine(
    gateway: Gateway, server: Server, manager: ServiceManager, host: str, port: int, notice: Notice
) -> bool:
    started_at = time.perf_counter()
    logger.info("loading model=%s", gateway.settings.vllm.model)
    # What is loaded stays, some 600,000 objects: no collection while they come, and none that looks at them later,
    # which would stop all streams for 0.3 s at a time.
    gc.disable()
    try:
        await gateway.engine.start()
        await asyncio.to_thread(gateway.service.prepare)
    except EngineError as error:
        logger.error("the engine did not start: %s", error)
        await asyncio.to_thread(explain, gateway.settings)
        server.stop()
        return False
    finally:
        gc.freeze()
        gc.enable()
    url = f"ws://{reachable(host)}:{port}/v1/responses"
    notice.post(url)
    manager.ready(gateway.model_name, url)
    _announce(gateway, host, port, time.perf_counter() - started_at)
    return True


def _announce(gateway: Gateway, host: str, port: int, seconds: float) -> None:
    settings = gateway.settings.server
    if settings.log_format == "json":
        url = f"ws://{reachable(host)}:{port}/v1/responses"
        lines.write(logger, "ready", {"model": gateway.model_name, "url": url, "seconds": round(seconds, 1)})
        return
    keys = settings.api_keys_file is not None
    text = announcement(gateway.model_name, host, port, seconds, asks_for_keys=keys)
    print(text, file=sys.stderr, flush=True)


def _configure_logging(level: str, log_format: str = "text") -> None:
    handler = StderrHandler()
    handler.setFormatter(formatter(log_format))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    scrub_handlers(logging.getLogger().handlers)
    for name in ("uvicorn.error", "uvicorn.asgi", "websockets", "httpcore2"):  # each handshake; where a redirect leads
        logging.getLogger(name).setLevel(logging.WARNING)
