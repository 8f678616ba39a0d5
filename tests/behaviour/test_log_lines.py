"""One line for each response and connection, with the name that the client was given, and nothing that was said."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from realtime.engine.scripted import say
from tests.support.http import http
from tests.support.server import changed, running
from tests.support.steps import begin, cut, make_keys, until


@pytest.fixture
def info(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO)
    return caplog


def members(caplog: pytest.LogCaptureFixture, logger: str) -> list[dict[str, Any]]:
    return [record.members for record in caplog.records if record.name == f"realtime.{logger}"]  # type: ignore[attr-defined]


async def test_a_response_on_a_socket(info: pytest.LogCaptureFixture, tmp_path: Any) -> None:
    keys = make_keys(tmp_path / "keys.json", "ada")
    settings = changed(api_keys_file=str(tmp_path / "keys.json"))
    async with running(say("hush"), settings) as server, server.client(native=True, key=keys["ada"]) as client:
        name = client.connection.response.headers["x-request-id"]  # type: ignore[union-attr]
        events = await client.create("a secret")
    [line] = members(info, "responses")
    usage = events[-1]["response"]["usage"]
    assert (line["response_id"], line["status"]) == (events[-1]["response"]["id"], "completed")
    assert (line["tenant"], line["request"]) == ("ada", name)
    assert (line["input_tokens"], line["output_tokens"]) == (usage["input_tokens"], usage["output_tokens"])
    assert 0 < line["ttft_ms"] <= line["seconds"] * 1e3 + 1
    [closed] = members(info, "connections")
    assert (closed["session"], closed["profile"], closed["code"], closed["responses"]) == (name, "native", 1000, 1)
    assert not any(word in info.text for word in ("hush", "a secret", keys["ada"]))


async def test_a_response_over_http_has_the_requests_name(info: pytest.LogCaptureFixture) -> None:
    async with running(say("a")) as server, http(server) as client:
        answer = await client.post("/v1/responses", json={"input": "x"})
    [line] = members(info, "responses")
    assert line["request"] == answer.headers["x-request-id"]
    assert line["tenant"] == "local"


async def test_why_it_ended_and_how_the_socket_did(info: pytest.LogCaptureFixture) -> None:
    async with running(say("a", "b"), tick_seconds=None) as server, server.client() as client:
        await begin(client)
        await cut(client)
        await until(lambda: not server.gateway.service.num_running)
        await until(lambda: not server.gateway.sockets.shells)
    [line] = members(info, "responses")
    assert (line["status"], line["reason"]) == ("cancelled", "client_disconnected")
    [closed] = members(info, "connections")
    assert closed["code"] in (1005, 1006)
