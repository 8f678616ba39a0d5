"""Members that nobody knows: a native client is told of them, a plain one sees the same bytes as without."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from realtime.engine.scripted import say
from tests.support.server import running
from tests.support.transcript import check


async def test_a_native_client_is_told_once_on_created() -> None:
    async with running(say("a")) as server, server.client(native=True) as client:
        events = await client.create(temprature=0.1, nobody="knows")
        assert check(events)["status"] == "completed"
        assert [(one["param"], "did you mean" in one["message"]) for one in events[0]["warnings"]] == [
            ("temprature", True),
            ("nobody", False),
        ]
        assert not any("warnings" in event or "warnings" in event.get("response", {}) for event in events[1:])
        assert "warnings" not in (await client.create(temperature=0.1))[0]


async def test_a_plain_client_sees_what_it_would_see_without_them(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "realtime.service")
    strange: dict[str, Any] = {"max_tokens": 3, "line\nend": 1}
    async with running(say("a")) as server, server.client() as client:
        without: Any = await client.create()
        assert not [record for record in caplog.records if "unknown members" in record.message]
        told: Any = await client.create("hi", **strange)
        assert [event.keys() for event in told] == [event.keys() for event in without]
        assert told[0]["response"].keys() == without[0]["response"].keys()
    (line,) = [record.getMessage() for record in caplog.records if "unknown members" in record.getMessage()]
    assert "\n" not in line
    assert "max_tokens" in line


async def test_a_retry_is_the_same_request_whatever_of_it_is_ignored() -> None:
    async with running(say("a")) as server, server.client(native=True) as client:
        first = await client.create(request_id="r", nobody=1)
        again = await client.create(request_id="r", nobody=1)
        other = await client.create(request_id="r", somebody=1)
        assert first[0]["response_id"] == again[0]["response_id"] == other[0]["response_id"]
