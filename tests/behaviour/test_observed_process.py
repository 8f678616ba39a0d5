"""A server as a process, as an operator sets it up: a log of JSON, a listener for metrics, a collector of traces."""

from __future__ import annotations

import json
import signal

import httpx2

from tests.behaviour.test_tracing import collector
from tests.observability.scrapes import value
from tests.support.patience import SECONDS
from tests.support.process import serve


async def test_a_log_of_json_metrics_beside_and_traces_to_the_end() -> None:
    flags = ("--engine", "scripted", "--log-format", "json", "--metrics-port", "0")
    with collector() as (endpoint, received):
        async with serve(*flags, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint) as server:
            metrics = (await server.says(r"metrics on (http://127\.0\.0\.1:\d+/metrics)"))[1]
            address = await server.ready()
            async with httpx2.AsyncClient(trust_env=False, timeout=SECONDS) as client:
                body = {"input": "hi", "max_output_tokens": 3}
                answer = await client.post(f"http://{address}/v1/responses", json=body)
                scraped = (await client.get(metrics)).text
                while not value(scraped, "realtime_event_loop_lag_seconds_count"):  # it is sampled by a timer
                    scraped = (await client.get(metrics)).text
            server.send(signal.SIGTERM)
            assert await server.end() == 0
    lines = [json.loads(line) for line in server.said.splitlines()]  # each of them
    [over] = [line for line in lines if line["message"] == "response over"]
    assert over["response_id"] == answer.json()["id"]
    assert over["request"] == answer.headers["x-request-id"]
    assert value(scraped, "realtime_responses_total", status="incomplete", reason="max_output_tokens") == 1
    spans = [
        span
        for request in received
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    [span] = [one for one in spans if one.name.startswith("chat ")]
    assert span.trace_id.hex() == over["trace"]


async def test_where_metrics_can_not_be_served_is_told() -> None:
    async with serve("--engine", "scripted", "--metrics-host", "192.0.2.1", "--metrics-port", "9") as server:
        assert await server.end() == 1
    assert "--metrics-host" in server.said
