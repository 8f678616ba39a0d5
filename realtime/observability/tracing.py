"""Traces of responses: the interface of a tracer, a tracer that does nothing, and the choice between the two.

OpenTelemetry's own variables decide (`OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_SERVICE_NAME`, `OTEL_TRACES_SAMPLER`, ...).
If none of them names a place to send traces to, its packages are not imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from .origin import Origin
from .report import Beginning, Report

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
NO_PACKAGES = "{variable} is set, and OpenTelemetry is not installed: install realtime-llm with its extra `otel`"


class TracingError(ValueError):
    """An error: traces were asked for, and can't be made. The text is for the person at the terminal."""


class Span(Protocol):
    """The span of one response that is not over."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Return the headers to send to a server that is called for this response."""

    def end(self, report: Report) -> None:
        """End the span: the response is over."""


class Tracing(Protocol):
    """A tracer: makes spans."""

    def begin(self, beginning: Beginning) -> Span | None:
        """Begin the span of a response; None: it is not traced."""

    def resumed(self, origin: Origin, response_id: str, outcome: str, num_replayed: int) -> None:
        """Note that a client resumed a response, or tried to."""

    def close(self) -> None:
        """Send what has not been sent. May take seconds, so don't call it on the event loop."""


class NoTracing:
    """A tracer that traces nothing."""

    def begin(self, beginning: Beginning) -> Span | None:
        """See Tracing."""
        return None

    def resumed(self, origin: Origin, response_id: str, outcome: str, num_replayed: int) -> None:
        """See Tracing."""

    def close(self) -> None:
        """See Tracing."""


def start_tracing(environ: Mapping[str, str]) -> Tracing:
    """Make the tracer that OpenTelemetry's variables ask for. Raises TracingError."""
    variable = next((name for name in _ENDPOINTS if environ.get(name, "").strip()), None)
    off = environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    if variable is None or off or environ.get("OTEL_TRACES_EXPORTER", "otlp").strip() == "none":
        return NoTracing()
    try:
        from .otel import exporting
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("opentelemetry"):
            raise
        raise TracingError(NO_PACKAGES.format(variable=variable)) from None
    return exporting(environ)
