"""Traces: a span for each response, with its stages, its links and what the client has begun."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import logging
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from realtime.engine.scripted import Script, say
from realtime.observability import gen_ai
from realtime.observability.otel import OtelTracing
from realtime.observability.tracing import NoTracing, TracingError, start_tracing
from realtime.settings.fields import Settings
from tests.behaviour.test_items import Turns
from tests.behaviour.test_mcp import serving, use
from tests.support.calls import called
from tests.support.http import http
from tests.support.mcp_server import tool_server
from tests.support.server import Running, changed, running
from tests.support.steps import begin, finish

TRACE_ID, PARENT_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = {"traceparent": f"00-{TRACE_ID}-{PARENT_ID}-01"}


class Traces:
    """What was traced."""

    def __init__(self, *, contents: bool) -> None:
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracing = OtelTracing(provider, contents=contents)

    def named(self, name: str) -> list[ReadableSpan]:
        """The spans of this name that have ended, in the order of their ends."""
        return [span for span in self.exporter.get_finished_spans() if span.name == name]

    @property
    def responses(self) -> list[ReadableSpan]:
        """The spans of responses."""
        return self.named("chat starter")

    def stages(self, span: ReadableSpan) -> list[str]:
        """The names of its children, by their begin."""
        children = [one for one in self.exporter.get_finished_spans() if one.parent and one.parent == span.context]
        return [one.name for one in sorted(children, key=lambda one: (one.start_time, one.end_time))]


@contextlib.asynccontextmanager
async def traced(
    script: Script, settings: Settings | None = None, *, contents: bool = False, **options: Any
) -> AsyncIterator[tuple[Running, Traces]]:
    traces = Traces(contents=contents)
    async with running(script, settings, **options) as server:
        server.gateway.observer.tracing = traces.tracing
        yield server, traces


def attributes(span: ReadableSpan) -> Mapping[str, Any]:
    return dict(span.attributes or {})


async def test_a_response_is_a_span_with_its_stages() -> None:
    async with traced(say("a", "b")) as (server, traces), server.client(native=True) as client:
        events = await client.create("what?", temperature=0.5, max_output_tokens=20)
        [span] = traces.responses
    response = events[-1]["response"]
    assert span.kind is SpanKind.SERVER
    assert span.status.status_code is StatusCode.UNSET
    assert traces.stages(span) == ["render", "prefill", "decode"]
    found = attributes(span)
    assert found[gen_ai.OPERATION] == "chat"
    assert found[gen_ai.REQUEST_MODEL] == found[gen_ai.RESPONSE_MODEL] == "starter"
    assert found[gen_ai.RESPONSE_ID] == response["id"]
    assert found[gen_ai.REQUEST_TEMPERATURE] == 0.5
    assert found[gen_ai.REQUEST_MAX_TOKENS] == 20
    assert found[gen_ai.INPUT_TOKENS] == response["usage"]["input_tokens"]
    assert found[gen_ai.OUTPUT_TOKENS] == response["usage"]["output_tokens"]
    assert found[gen_ai.FINISH_REASONS] == ("stop",)
    assert found[gen_ai.TIME_TO_FIRST_TOKEN] > 0
    assert found[gen_ai.REQUEST_ID].startswith("sess_")
    for child in traces.exporter.get_finished_spans():
        assert (span.start_time or 0) <= (child.start_time or 0) <= (child.end_time or 0) <= (span.end_time or 0)


async def test_no_contents_unless_somebody_has_asked_for_them() -> None:
    async with traced(say("hush")) as (server, traces), server.client() as client:
        await client.create("a secret", metadata={"who": "charles"}, instructions="quietly")
        [span] = traces.responses
    assert not any(word in str(attributes(span)) for word in ("hush", "secret", "charles", "quietly"))
    async with traced(say("hush"), contents=True) as (server, traces), server.client() as client:
        await client.create("a secret")
        [span] = traces.responses
    assert "a secret" in attributes(span)[gen_ai.INPUT_MESSAGES]
    assert "hush" in attributes(span)[gen_ai.OUTPUT_MESSAGES]


@pytest.mark.parametrize("door", ["http", "stream", "handshake", "metadata"])
async def test_the_clients_trace_goes_on(door: str) -> None:
    async with traced(say("a")) as (server, traces):
        if door in ("http", "stream"):
            async with http(server) as client:
                body = {"input": "x", "stream": door == "stream"}
                answer = await client.post("/v1/responses", json=body, headers=PARENT)
            given = answer.headers["traceresponse"]
        else:
            handshake, metadata = (PARENT, {}) if door == "handshake" else ({}, PARENT)
            async with server.client(headers=handshake) as socket:
                await socket.create("x", metadata=metadata)
            given = None
        [span] = traces.responses
    assert span.context is not None
    assert f"{span.context.trace_id:032x}" == TRACE_ID
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == PARENT_ID
    if given is not None:
        assert given == f"00-{TRACE_ID}-{span.context.span_id:016x}-01"


async def test_what_waits_is_cancelled_and_fails_is_seen() -> None:
    settings = changed(max_running_responses=1)
    async with traced(say("a", "b"), settings, tick_seconds=None) as (server, traces), server.client() as client:
        first = await begin(client, stream_id="a")
        await client.send("response.create", input="hi", stream_id="b")
        await client.send("response.cancel", response_id=first)
        await client.until_done(first)
        await finish(server)
        await client.until_done()
        await client.send("response.create", input="x " * 9000)
        await client.until_done()
    cancelled, completed, failed = traces.responses
    assert attributes(cancelled)[gen_ai.STATUS] == attributes(cancelled)[gen_ai.REASON] == "cancelled"
    assert traces.stages(completed)[0] == "queue"
    assert failed.status.status_code is StatusCode.ERROR
    assert attributes(failed)[gen_ai.ERROR_TYPE] == "context_length_exceeded"


async def test_continuations_and_resumes_are_linked() -> None:
    async with traced(say("a")) as (server, traces), server.client(native=True) as client:
        first = (await client.create())[-1]["response"]["id"]
        await client.create(previous_response_id=first)
        await client.send("response.resume", response_id=first, starting_after=1)
        await client.until_done()
        await client.send("response.resume", response_id="resp_what is it?", starting_after=1)
        await client.receive()
    one, two = traces.responses
    assert one.context is not None
    [link] = two.links
    assert (link.context.span_id, dict(link.attributes or {})) == (one.context.span_id, {gen_ai.LINK: "continues"})
    assert attributes(two)[gen_ai.PREVIOUS_ID] == first
    resumed, unknown = traces.named("resume")
    assert [link.context.span_id for link in resumed.links] == [one.context.span_id]
    assert attributes(resumed)[gen_ai.OUTCOME] == "resumed"
    assert attributes(resumed)[gen_ai.REPLAYED] > 0
    assert attributes(unknown)[gen_ai.OUTCOME] == "response_not_found"
    assert "what is it" not in str(attributes(unknown))


async def test_tools_are_a_stage_and_their_server_is_told_of_the_trace() -> None:
    traces, script = Traces(contents=False), Turns(called("get_weather", {"city": "Oslo"}), ("It is sunny.",))
    async with tool_server() as tools, serving(tools, script=script) as (server, client):
        server.gateway.observer.tracing = traces.tracing
        await client.create(tools=[use(tools)])
        [span] = traces.responses
    assert "list tools" in traces.stages(span)
    assert "tools" in traces.stages(span)
    assert span.context is not None
    parents = {headers.get("traceparent", "")[:52] for headers in tools.headers}  # then come flags
    assert parents == {f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}"}


async def test_a_tracer_that_fails_costs_no_response(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(NoTracing):
        def begin(self, beginning: Any) -> Any:
            raise RuntimeError("no")

        def resumed(self, *_: Any) -> None:
            raise RuntimeError("no")

    async with running(say("a")) as server, server.client(native=True) as client:
        server.gateway.observer.tracing = Broken()
        events = await client.create()
        assert events[-1]["response"]["status"] == "completed"
        await client.send("response.resume", response_id=events[-1]["response"]["id"], starting_after=-1)
        assert (await client.receive())["type"] == "response.resumed"
    assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == [
        f"not traced response_id={events[-1]['response']['id']}", "resume not traced",
    ]  # fmt: skip
    caplog.clear()


@pytest.mark.parametrize("variables", [{}, {"OTEL_EXPORTER_OTLP_ENDPOINT": " "}, {
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_SDK_DISABLED": "true",
}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_TRACES_EXPORTER": "none"}])  # fmt: skip
def test_nothing_is_traced_unless_there_is_somewhere_to_send_it(variables: dict[str, str]) -> None:
    assert isinstance(start_tracing(variables), NoTracing)


def test_without_the_packages_the_person_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "realtime.observability.otel")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(TracingError, match="extra `otel`"):
        start_tracing({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"})


async def test_a_real_collector_gets_the_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    with collector() as (endpoint, received):
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_SERVICE_NAME": "mine"}
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        sending = start_tracing(variables)
        async with running(say("a")) as server, server.client() as client:
            server.gateway.observer.tracing = sending
            await client.create()
        await asyncio.to_thread(sending.close)
    [resource] = [one for request in received for one in request.resource_spans]
    told = {one.key: one.value.string_value for one in resource.resource.attributes}
    assert told["service.name"] == "mine"
    spans = [span.name for scope in resource.scope_spans for span in scope.spans]
    assert sorted(spans) == sorted(["chat starter", "render", "prefill", "decode"])


@contextlib.contextmanager
def collector() -> Iterator[tuple[str, list[ExportTraceServiceRequest]]]:
    """A collector that takes OTLP over HTTP, and what it was sent."""
    received: list[ExportTraceServiceRequest] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            assert self.path == "/v1/traces"
            received.append(ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", received
        finally:
            server.shutdown()
            thread.join()
