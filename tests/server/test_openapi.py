"""The document describes what is served, and what is served keeps to it, whatever is asked."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, cast

import jsonschema
import msgspec
import pytest

from realtime.engine.scripted import say
from realtime.server.http.schemas import stream_events
from realtime.server.routes import OPERATIONS
from realtime.wire.response import Response
from tests.support.http import DOCUMENT, http
from tests.support.long import effort
from tests.support.server import Running, changed, running

EXAMPLES = effort(2, 8)  # of an operation, right ones and as many wrong ones


async def test_it_is_served_and_names_every_operation() -> None:
    async with running(say("a")) as server, http(server) as client:
        document = (await client.get("/openapi.json")).json()
    assert document == DOCUMENT
    described = {(method.upper(), path) for path, some in document["paths"].items() for method in some}
    assert described == {(one.method, one.path) for one in OPERATIONS}
    ids = [one["operationId"] for some in document["paths"].values() for one in some.values()]
    assert len(ids) == len(set(ids)) == len(OPERATIONS)


def test_every_schema_is_one_and_every_reference_leads_somewhere() -> None:
    for schema in DOCUMENT["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    for ref in references(DOCUMENT):
        assert ref.removeprefix("#/components/schemas/") in DOCUMENT["components"]["schemas"]


def test_what_an_answer_always_has_is_required() -> None:
    response = DOCUMENT["components"]["schemas"]["Response"]
    may_miss = {f.encode_name for f in msgspec.structs.fields(Response) if f.default is msgspec.UNSET}
    assert "cancel" in may_miss
    assert set(response["properties"]) - set(response["required"]) == may_miss
    assert len(DOCUMENT["components"]["schemas"]["ResponseStreamEvent"]["anyOf"]) == len(stream_events().__args__)
    body = DOCUMENT["components"]["schemas"]["CreateResponse"]
    assert "required" not in body or body["required"] == []
    assert {"input", "stream", "background", "tools", "previous_response_id"} <= body["properties"].keys()
    assert (
        not {"items", " items", "unknown", "num_before", "event_id", "stream_id", "response"}
        & body["properties"].keys()
    )


def references(value: Any) -> list[str]:
    """Every `$ref`."""
    match value:
        case dict():
            own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
            return own + [ref for member in value.values() for ref in references(member)]
        case list():
            return [ref for member in value for ref in references(member)]
        case _:
            return []


async def test_generated_requests_get_answers_of_the_document() -> None:
    """schemathesis makes requests from the document, right ones and wrong ones, in a thread beside the server."""
    settings = changed(request_body_seconds=5.0)
    async with running(say("a", "b"), settings) as server, http(server) as client:
        known = (await client.post("/v1/responses", json={"input": "hi"})).json()["id"]
        tried = await asyncio.to_thread(generate, server, known)
    assert set(tried) == {f"{one.method} {one.path}" for one in OPERATIONS}
    assert all(count >= (EXAMPLES if "{" in name or "POST" in name else 1) for name, count in tried.items()), tried


def generate(server: Running, known: str) -> dict[str, int]:
    """Try every operation; the number of requests for each."""
    import hypothesis
    import schemathesis
    from hypothesis import HealthCheck, Phase
    from hypothesis.errors import FailedHealthCheck, Unsatisfiable

    schema = schemathesis.openapi.from_dict(DOCUMENT)
    schema.config.update(base_url=server.http)
    settings = hypothesis.settings(
        max_examples=EXAMPLES, database=None, derandomize=True, phases=[Phase.explicit, Phase.generate],
        suppress_health_check=set(HealthCheck) - {HealthCheck.filter_too_much},
    )  # fmt: skip
    tried: dict[str, int] = {}
    for result in schema.get_all_operations():
        operation = cast(Any, result).ok()
        name = f"{operation.method.upper()} {operation.path}"
        tried[name] = 0
        for mode in schemathesis.GenerationMode:

            def attempt(case: Any) -> None:
                tried[name] += 1  # noqa: B023  called in this turn of the loop only
                if tried[name] % 2 and "response_id" in (case.path_parameters or {}):  # noqa: B023
                    case.path_parameters["response_id"] = known
                answer = case.call(timeout=20)
                assert answer.status_code < 500, (case.as_curl_command(), answer.text)
                case.validate_response(answer, checks=CHECKS)

            # There is nothing that could be wrong with some requests; after 50 attempts it gives up.
            with contextlib.suppress(Unsatisfiable, FailedHealthCheck):
                hypothesis.given(case=operation.as_strategy(generation_mode=mode))(settings(attempt))()
    return tried


CHECKS: list[Any] = []


@pytest.fixture(autouse=True)
def _checks() -> None:
    from schemathesis import checks
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_headers_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

    CHECKS[:] = [
        checks.not_a_server_error,
        status_code_conformance,
        content_type_conformance,
        response_headers_conformance,
        response_schema_conformance,
    ]
