"""What the service does, as `realtime_*` metrics. The labels are words of ours, never a tenant's, an id or a text.

What is momentary (open connections, what waits) is not counted here but read at each scrape: `server/momentary.py`.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.samples import Sample

from .instruments import Distribution, Tally

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 3600.0)
SHORT = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
PROBES = frozenset({"/health", "/ready", "/metrics"})  # vLLM's HTTP metrics are without these
STATUSES = ("completed", "incomplete", "failed", "cancelled")


class ServiceMetrics:
    """See the module. Each is fed by `Observer`, but for those that the doors feed themselves."""

    def __init__(self) -> None:
        self.responses = Tally(
            "realtime_responses", "Responses that are over.", ("status", "reason"), [(one, "") for one in STATUSES]
        )
        self.response_seconds = Distribution(
            "realtime_response_duration_seconds", "From a response's creation to its end.", SECONDS, ("status",)
        )
        self.queue_seconds = Distribution(
            "realtime_response_queue_seconds", "Time that a response waits for its turn.", SECONDS
        )
        self.render_seconds = Distribution(
            "realtime_response_render_seconds", "Time to render and tokenize the prompts of a response.", SHORT
        )
        self.first_token_seconds = Distribution(
            "realtime_response_first_token_seconds", "From a response's creation to its first token.", SECONDS
        )
        self.cancel_seconds = Distribution(
            "realtime_cancel_seconds", "From the wish that a response ends to its terminal event.", SHORT
        )
        self.abort_seconds = Distribution(
            "realtime_abort_seconds", "Time that the engine took to let go of a response.", SHORT
        )
        self.tool_seconds = Distribution(
            "realtime_mcp_call_duration_seconds", "Time of a call to an MCP server.", SECONDS, ("outcome",)
        )
        self.refusals = Tally("realtime_refusals", "Requests that were refused, by the error's code.", ("door", "code"))
        self.resumes = Tally("realtime_resumes", "Attempts to resume a response.", ("outcome",), [("resumed",)])
        self.replayed_events = Tally("realtime_replayed_events", "Past events that readers who resumed had to be sent.")
        self.slow_readers = Tally(
            "realtime_slow_readers", "Readers who were detached because they read too slowly.", ("door",),
            [("websocket",), ("http",)],
        )  # fmt: skip
        self.connections = Tally("realtime_connections_closed", "Sockets that are closed.", ("profile", "code"))
        self.connection_seconds = Distribution(
            "realtime_connection_duration_seconds", "Time that a socket was open.", SECONDS, ("profile",)
        )
        self.http_requests = Tally(
            "realtime_http_requests", "Requests over HTTP, by the template of their path.", ("route", "method", "code")
        )
        self.http_seconds = Distribution(
            "realtime_http_request_duration_seconds", "Time to answer over HTTP, streams included.", SECONDS,
            ("route", "method"),
        )  # fmt: skip
        self.loop_lag_seconds = Distribution(
            "realtime_event_loop_lag_seconds", "How late the event loop was, looked at ten times a second.", SHORT
        )

    def collect(self) -> Iterator[Metric]:
        """All families."""
        for instrument in vars(self).values():
            yield from instrument.collect()
        yield from self._as_vllm_has_them()

    def _as_vllm_has_them(self) -> Iterator[Metric]:
        """The HTTP metrics under the names that dashboards of vLLM ask for."""
        text = "Requests over HTTP by class of status; what probes ask for is left out."
        requests = CounterMetricFamily("http_requests", text, labels=("handler", "method", "status"))
        counts: dict[tuple[str, ...], float] = {}
        for sample in _samples(self.http_requests.collect()):
            handler, method, code = (sample.labels[name] for name in ("route", "method", "code"))
            if handler not in PROBES:
                key = (handler, method, f"{code[:1]}xx")
                counts[key] = counts.get(key, 0) + sample.value
        for labels, number in counts.items():
            requests.add_metric(labels, number)
        yield requests
        text = "Time to answer over HTTP, streams included."
        seconds = HistogramMetricFamily("http_request_duration_seconds", text, labels=("handler", "method"))
        for sample in _samples(self.http_seconds.collect()):
            named = dict(sample.labels)
            named["handler"] = named.pop("route")
            if named["handler"] not in PROBES:
                seconds.add_sample(sample.name.removeprefix("realtime_"), named, sample.value)
        yield seconds


def _samples(families: Iterator[Metric]) -> Iterator[Sample]:
    for family in families:
        yield from family.samples
