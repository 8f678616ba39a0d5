"""The observer: takes reports of responses and generations, and feeds metrics, traces and the log.

A server has one observer. `response_began` returns a `Watch`, which the response keeps until it is over. Nothing in
this module raises: a response goes on even when it can't be observed.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping

from realtime.wire.errors import CloseCode, WireError

from . import lines
from .cluster_metrics import ClusterMetrics
from .engine_metrics import EngineMetrics
from .fleet_metrics import FleetMetrics
from .origin import Origin
from .report import After, Beginning, Report
from .service_metrics import ServiceMetrics
from .timeline import Timeline
from .tracing import NoTracing, Span, Tracing

logger = logging.getLogger("realtime.observer")

_CLOSE_CODES = frozenset({*range(1000, 1016), *CloseCode})  # a client may send any: the others make no series


class Observer:
    """The server's observer. The engine feeds `engine`, remote engines feed `fleet`, the doors feed `service`, and the
    node feeds `cluster`.
    """

    def __init__(self, model_name: str = "", tracing: Tracing | None = None) -> None:
        self.engine = EngineMetrics(model_name)
        self.fleet = FleetMetrics()
        self.cluster = ClusterMetrics()
        self.service = ServiceMetrics()
        self.tracing = tracing or NoTracing()

    def response_began(self, beginning: Beginning) -> Watch:
        """Begin to watch a response."""
        return Watch(self, beginning)

    def response_over(self, report: Report, span: Span | None) -> None:
        """Note that a response is over."""
        try:
            self._count(report)
            self.engine.generated(report.num_generated)
            lines.response_over(report, span.headers.get("traceparent") if span is not None else None)
            if span is not None:
                span.end(report)
        except Exception:
            logger.exception("not observed response_id=%s", report.beginning.response_id)

    def resumed(self, origin: Origin, response_id: str, outcome: str, num_replayed: int = 0) -> None:
        """Note that a client resumed a response, or tried to. `outcome`: `resumed`, or an error code."""
        self.service.resumes.add(1, outcome)
        self.service.replayed_events.add(num_replayed)
        try:
            self.tracing.resumed(origin, response_id, outcome, num_replayed)
        except Exception:
            logger.exception("resume not traced")

    def went_on(
        self, after: After, outcome: str, response_id: str, attempts: int, num_tokens: int | None = None
    ) -> None:
        """Note that an answer continued, or could not. `outcome`: `exact` or `prefix_exact` as in its `recovery`, or
        the reason why it did not. `num_tokens`: the tokens that it had.
        """
        self.service.continuations.add(1, after, outcome)
        lines.went_on(after, outcome, response_id, attempts, num_tokens)

    @contextlib.contextmanager
    def resuming(self, origin: Origin, response_id: str) -> Iterator[Callable[[int], None]]:
        """Watch an attempt to resume. The body is given a function to call with the number of past events to send."""
        replayed = 0

        def replays(number: int) -> None:
            nonlocal replayed
            replayed = number

        try:
            yield replays
        except WireError as error:
            self.resumed(origin, response_id, error.spec.code)
            raise
        self.resumed(origin, response_id, "resumed", replayed)

    def connection_closed(
        self, name: str, profile: str, tenant: str, code: int, seconds: float, num_responses: int
    ) -> None:
        """Note that a socket is closed, with this code; 1006 if it was lost."""
        self.service.connections.add(1, profile, str(code) if code in _CLOSE_CODES else "other")
        self.service.connection_seconds.observe(seconds, profile)
        lines.connection_closed(name, profile, tenant, code, seconds, num_responses)

    def request_answered(self, route: str, method: str, code: int, seconds: float) -> None:
        """Note that a request over HTTP was answered completely. `route`: the template of its path."""
        self.service.request_answered(route, method, code, seconds)

    def refused(self, door: str, code: str) -> None:
        """Note that something was refused, with this error."""
        self.service.refusals.add(1, door, code)

    def _count(self, report: Report) -> None:
        metrics, times = self.service, report.times
        metrics.responses.add(1, report.status, report.reason)
        metrics.queue_seconds.observe(times.seconds_in("queued"), report.beginning.service_class)
        metrics.render_seconds.observe(times.seconds_in("rendering"))
        first_at = times.first_token_at
        if first_at is not None:
            metrics.first_token_seconds.observe(first_at - times.began_at, report.beginning.service_class)
        if times.ended_at is None:
            return
        metrics.response_seconds.observe(times.ended_at - times.began_at, report.status)
        if times.stop_asked_at is not None:
            metrics.cancel_seconds.observe(times.ended_at - times.stop_asked_at)
            if report.abort_ms:
                metrics.abort_seconds.observe(report.abort_ms / 1e3)


class Watch:
    """One response while it is observed. `times` is written by the response."""

    __slots__ = ("_observer", "_span", "beginning", "times")

    def __init__(self, observer: Observer, beginning: Beginning) -> None:
        self.beginning = beginning
        self.times = Timeline(time.monotonic(), beginning.began_unix)
        self._observer = observer
        self._span: Span | None = None
        try:
            self._span = observer.tracing.begin(beginning)
        except Exception:
            logger.exception("not traced response_id=%s", beginning.response_id)

    @property
    def headers(self) -> Mapping[str, str]:
        """Return the headers to send to a server that is called for this response: none if it is not traced."""
        return self._span.headers if self._span is not None else {}

    def entered(self, state: str) -> None:
        """Note that the response has entered this state."""
        self.times.entered.append((state, time.monotonic()))

    def stop_asked(self) -> None:
        """Note that a stop was requested. The first one counts."""
        if self.times.stop_asked_at is None:
            self.times.stop_asked_at = time.monotonic()

    def over(self, report: Report) -> None:
        """Note that it is over."""
        self.times.ended_at = time.monotonic()
        self._observer.response_over(report, self._span)


UNOBSERVED = Observer()  # for callers without a server
