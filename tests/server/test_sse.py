"""Streams of events over HTTP that end early, or never begin."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from realtime.engine.scripted import say
from realtime.runs.endings import Failed
from realtime.server.http import created
from realtime.server.http.sse import RESPONSE_EVENTS, SseResponse
from realtime.service.principal import LOCAL
from realtime.wire.errors import ErrorCode, WireError
from tests.support.jobs import make_request
from tests.support.patience import SECONDS
from tests.support.responses import Answer
from tests.support.restarts import house
from tests.support.server import changed


def events_in(written: list[bytes]) -> list[dict[str, Any]]:
    lines = b"".join(written).split(b"\n")
    return [json.loads(line[6:]) for line in lines if line.startswith(b"data: {")]


async def test_what_a_log_has_is_sent_before_it_is_left_to_the_next_process() -> None:
    answer, written = Answer("resp_0").say("a", "b"), list[bytes]()
    peer: Any = SimpleNamespace(can_write=True, write=written.append)
    service: Any = SimpleNamespace()
    stream = SseResponse(service, answer, 0, peer, LOCAL, SECONDS)
    answer.log.left = True
    stream._flush()
    *events, failure = events_in(written)
    assert [event["sequence_number"] for event in events] == list(range(answer.log.tip))
    assert (failure["code"], failure["sequence_number"]) == ("server_draining", answer.log.tip)


async def test_a_failure_that_the_store_does_not_take_is_an_http_error(tmp_path: Path) -> None:
    settings = changed(look_up_seconds=0.05)
    async with house(tmp_path / "store.db", say("a"), settings=settings, waits=True) as here:
        run = await here.create(make_request())
        peer = SimpleNamespace(gone=False, on_gone=None)
        call: Any = SimpleNamespace(gateway=here.gateway, peer=peer, principal=LOCAL)
        answering = asyncio.create_task(created.stream_from_output(call, run, RESPONSE_EVENTS))
        await here.settle()
        run.stopping.ask(Failed("server_error", "it went wrong"))
        with pytest.raises(WireError) as refused:
            await asyncio.wait_for(answering, SECONDS)  # guards against hanging only
        assert refused.value.code is ErrorCode.STORE_UNAVAILABLE
