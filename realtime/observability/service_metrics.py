"""Metrics of the service, named `realtime_*`. A label is one of our own words, never a tenant, an id or a text.

Momentary values (open connections, the queue) are not counted here but read at each scrape by `server/gauges.py`.
"""

from __future__ import annotations

from collections.abc import Iterator

from .instruments import Distribution, Tally

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 3600.0)
SHORT = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_PROBES = frozenset({"/health", "/ready", "/metrics"})
_CLASSES = [("interactive",), ("default",), ("batch",)]
STATUSES = ("completed", "incomplete", "failed", "cancelled")


class ServiceMetrics:
    """The metrics of the service. `Observer` feeds all of them but those that the doors feed themselves."""

    def __init__(self) -> None:
        self.responses = Tally(
            "realtime_responses", "Responses that are over.", ("status", "reason"), [(one, "") for one in STATUSES]
        )
        self.response_seconds = Distribution(
            "realtime_response_duration_seconds", "From a response's creation to its end.", SECONDS, ("status",)
        )
        self.queue_seconds = Distribution(
            "realtime_response_queue_seconds", "Time that a response waits for its turn.", SECONDS, ("class",), _CLASSES
        )
        self.aside_seconds = Distribution(
            "realtime_response_put_aside_seconds",
            "Time that an answer was put aside for others, each time.",
            SECONDS,
            ("class",),
            _CLASSES,
        )
        self.render_seconds = Distribution(
            "realtime_response_render_seconds", "Time to render and tokenize the prompts of a response.", SHORT
        )
        self.first_token_seconds = Distribution(
            "realtime_response_first_token_seconds",
            "From a response's creation to its first token.",
            SECONDS,
            ("class",),
            _CLASSES,
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
        self.continuations = Tally(
            "realtime_continuations", "Answers that were to go on, by what had ended in the middle of them.",
            ("after", "outcome"), [(one, "exact") for one in ("server", "drain", "engine")],
        )  # fmt: skip
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

        # Under the names that dashboards of vLLM ask for; what probes ask for is left out, as there.
        self._as_vllm_counts = Tally("http_requests", "Requests over HTTP.", ("handler", "method", "status"))
        self._as_vllm_times = Distribution(
            "http_request_duration_seconds", "Time to answer over HTTP, streams included.", SECONDS,
            ("handler", "method"),
        )  # fmt: skip

    def request_answered(self, route: str, method: str, code: int, seconds: float) -> None:
        """Note that a request over HTTP was answered completely. `route`: the template of its path."""
        self.http_requests.add(1, route, method, str(code))
        self.http_seconds.observe(seconds, route, method)
        if route not in _PROBES:
            self._as_vllm_counts.add(1, route, method, f"{code // 100}xx")
            self._as_vllm_times.observe(seconds, route, method)

    def collect(self) -> Iterator[Tally | Distribution]:
        """Yield all families of metrics."""
        yield from vars(self).values()
