"""Traces by OpenTelemetry: a span for each response, with a child for each stage of its life. Imported only if wanted.

A response's span begins with the response, so that requests to other servers belong to it. It is filled when the
response is over; in between it costs nothing. It has contents of requests and answers only if the conventions' own
variable says so. The provider is not the process's global one: traces of other libraries are not sent.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from . import gen_ai
from .origin import Origin
from .report import Beginning, Report

logger = logging.getLogger("realtime.tracing")

_MAX_REMEMBERED = 4096  # spans that others may be linked to, the newest
_MAX_CONTENT = 64 * 1024  # characters of an attribute with contents
_PROPAGATOR = TraceContextTextMapPropagator()
# State of a run -> span. Where a state waits for nobody, there is none. `generating` is two: prefill and decode.
STAGES = {
    "queued": "queue",
    "loading images": "load images",
    "compacting": "compact",
    "listing tools": "list tools",
    "rendering": "render",
    "calling tools": "tools",
    "put aside": "put aside",
}


def exporting(environ: Mapping[str, str]) -> OtelTracing:
    """Return a tracer that exports as OpenTelemetry's variables say."""
    named = environ.get("OTEL_SERVICE_NAME") or "service.name=" in environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    resource = Resource.create({} if named else {"service.name": "realtime"})  # which reads the variables
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(_exporter(environ)))
    contents = environ.get(gen_ai.CAPTURE, "").strip().lower() in gen_ai.CAPTURES
    return OtelTracing(provider, contents=contents)


def _exporter(environ: Mapping[str, str]) -> SpanExporter:
    protocol = environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    if (protocol or "").strip() == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter

        return GrpcExporter()
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter

    return HttpExporter()


class OtelTracing:
    """`Tracing` by this provider. `contents`: spans may have the contents of requests and answers."""

    def __init__(self, provider: TracerProvider, *, contents: bool = False) -> None:
        self.contents = contents
        self.tracer = provider.get_tracer("realtime")
        self._provider = provider
        self._recent: OrderedDict[str, SpanContext] = OrderedDict()  # response id -> its span

    def begin(self, beginning: Beginning) -> OtelSpan:
        """See Tracing."""
        span = self.tracer.start_span(
            f"{gen_ai.CHAT} {beginning.model}",
            context=_parent(beginning.origin),
            kind=SpanKind.SERVER,
            attributes=_asked(beginning),
            links=self._links("continues", beginning.previous_id),
            start_time=_nanoseconds(beginning.began_unix),
        )
        self._recent[beginning.response_id] = span.get_span_context()
        if len(self._recent) > _MAX_REMEMBERED:
            self._recent.popitem(last=False)
        return OtelSpan(self, span)

    def resumed(self, origin: Origin, response_id: str, outcome: str, num_replayed: int) -> None:
        """See Tracing."""
        attributes: dict[str, Any] = {
            gen_ai.OUTCOME: outcome,
            gen_ai.REPLAYED: num_replayed,
            gen_ai.REQUEST_ID: origin.request_id,
        }
        known = response_id in self._recent
        self.tracer.start_span(
            "resume",
            context=_parent(origin),
            kind=SpanKind.SERVER,
            attributes=attributes | ({gen_ai.RESPONSE_ID: response_id} if known else {}),  # else it is any text
            links=self._links("resumes", response_id),
        ).end()

    def close(self) -> None:
        """See Tracing."""
        self._provider.shutdown()

    def _links(self, meaning: str, response_id: str | None) -> list[Link]:
        linked = self._recent.get(response_id or "")
        return [Link(linked, {gen_ai.LINK: meaning})] if linked is not None else []


class OtelSpan:
    """A `Span` of OpenTelemetry."""

    def __init__(self, tracing: OtelTracing, span: trace.Span) -> None:
        self._tracing = tracing
        self._span = span
        self.headers: dict[str, str] = {}
        _PROPAGATOR.inject(self.headers, context=trace.set_span_in_context(span))

    def end(self, report: Report) -> None:
        """See tracing.Span."""
        span, times = self._span, report.times
        if span.is_recording():
            span.set_attributes(_told(report))
            if self._tracing.contents:
                span.set_attribute(gen_ai.INPUT_MESSAGES, report.input()[:_MAX_CONTENT])
                span.set_attribute(gen_ai.OUTPUT_MESSAGES, report.output()[:_MAX_CONTENT])
            if report.status == "failed":
                span.set_attribute(gen_ai.ERROR_TYPE, report.reason)
                span.set_status(Status(StatusCode.ERROR, report.reason))
            context = trace.set_span_in_context(span)
            for name, began_at, ended_at in _stages(report):
                child = self._tracing.tracer.start_span(name, context, start_time=_nanoseconds(times.unix(began_at)))
                child.end(_nanoseconds(times.unix(ended_at)))
        span.end(_nanoseconds(times.unix(times.ended_at if times.ended_at is not None else times.began_at)))


def _parent(origin: Origin) -> Any:
    carrier = {"traceparent": origin.traceparent, "tracestate": origin.tracestate}
    return _PROPAGATOR.extract(carrier, context=trace.set_span_in_context(trace.INVALID_SPAN))


def _stages(report: Report) -> Iterator[tuple[str, float, float]]:
    """Yield the spans of a response's stages: name, begin, end."""
    generations = iter(report.times.generations)
    before = ""
    for stage in report.times.stages():
        went_on, before = before == "put aside", stage.name
        if stage.name in STAGES:
            yield STAGES[stage.name], stage.began_at, stage.ended_at
        elif went_on:
            yield "decode", stage.began_at, stage.ended_at
        elif stage.name == "generating":
            generation = next(generations, None)
            first_at = generation.first_at if generation is not None else None
            yield "prefill", stage.began_at, stage.ended_at if first_at is None else first_at
            if first_at is not None:
                yield "decode", first_at, stage.ended_at


def _asked(beginning: Beginning) -> dict[str, Any]:
    return _given({
        gen_ai.OPERATION: gen_ai.CHAT,
        gen_ai.PROVIDER: "vllm",
        gen_ai.REQUEST_MODEL: beginning.model,
        gen_ai.RESPONSE_ID: beginning.response_id,
        gen_ai.PREVIOUS_ID: beginning.previous_id,
        gen_ai.CONVERSATION_ID: beginning.conversation_id,
        gen_ai.REQUEST_MAX_TOKENS: beginning.max_output_tokens,
        gen_ai.REQUEST_TEMPERATURE: beginning.temperature,
        gen_ai.REQUEST_TOP_P: beginning.top_p,
        gen_ai.REQUEST_ID: beginning.origin.request_id or None,
    })  # fmt: skip


def _told(report: Report) -> dict[str, Any]:
    times = report.times
    first_at = times.first_token_at
    return _given({
        gen_ai.RESPONSE_MODEL: report.beginning.model,
        gen_ai.INPUT_TOKENS: report.num_input,
        gen_ai.CACHED_TOKENS: report.num_cached,
        gen_ai.OUTPUT_TOKENS: report.num_output,
        gen_ai.REASONING_TOKENS: report.num_reasoning,
        gen_ai.FINISH_REASONS: list(report.finish_reasons) or None,
        gen_ai.TIME_TO_FIRST_TOKEN: None if first_at is None else first_at - times.began_at,
        gen_ai.STATUS: report.status,
        gen_ai.REASON: report.reason or None,
        gen_ai.ABORT_MS: report.abort_ms or None,
        gen_ai.NUM_EVENTS: report.num_events,
    })  # fmt: skip


def _given(attributes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if value is not None}


def _nanoseconds(unix: float) -> int:
    return int(unix * 1e9)
