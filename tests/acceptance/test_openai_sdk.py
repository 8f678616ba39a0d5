"""The official SDK, unmodified, against the server as a newcomer starts it (OpenAI's wire: clients dial base URL)."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types.responses import Response, ResponsesServerEvent
from pydantic import TypeAdapter

from tests.support.node import find_node
from tests.support.real import RealServer

pytestmark = pytest.mark.vllm

JS = Path(__file__).parent / "js"
_EVENT = TypeAdapter(ResponsesServerEvent)


def check(events: list[Any]) -> Response:
    """Numbers without a gap, one terminal, each event valid by the SDK's own types; the final response."""
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.done for event in events] == [False] * (len(events) - 1) + [True]
    for event in events:
        _EVENT.validate_python(event.to_dict(), strict=True)
    assert events[-1].type == "response.completed"
    final: Response = events[-1].response
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == final.output_text
    return final


def test_sync_client_streams_an_answer_and_a_second_turn(real: RealServer) -> None:
    client = openai.OpenAI(base_url=real.base_url, api_key="unused")
    with client.responses.connect() as connection:

        def turn(**members: Any) -> Response:
            connection.response.create(model="starter", temperature=0, **members)
            events = []
            for event in connection:
                events.append(event)
                if event.done:
                    break
            return check(events)

        first = turn(input="My name is Ada.")
        second = turn(input="What is my name?", previous_response_id=first.id)
    assert first.usage is not None
    assert second.usage is not None
    assert second.previous_response_id == first.id
    assert "Ada" in second.output_text
    assert second.usage.input_tokens > first.usage.input_tokens + first.usage.output_tokens


async def test_async_client_streams_an_answer_and_a_second_turn(real: RealServer) -> None:
    client = openai.AsyncOpenAI(base_url=real.base_url, api_key="unused")
    async with client, client.responses.connect() as connection:

        async def turn(**members: Any) -> Response:
            await connection.response.create(model="starter", temperature=0, **members)
            events = []
            async for event in connection:
                events.append(event)
                if event.done:
                    break
            return check(events)

        first = await turn(input="count to 5", store=False)
        second = await turn(input="add 3 and 4", previous_response_id=first.id, store=False)
    assert first.output_text == "1, 2, 3, 4, 5."
    assert "7" in second.output_text


def test_sdk_for_javascript_over_both_doors(real: RealServer) -> None:
    """Its parts are in the program, which says `ok` for each; the count is here so that none gets lost."""
    command = [find_node(JS), "openai_sdk.mjs", real.base_url]
    ran = subprocess.run(command, cwd=JS, capture_output=True, text=True, timeout=240, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert len(ran.stdout.splitlines()) == 11


def test_the_lock_names_no_registry() -> None:
    assert "resolved" not in (JS / "package-lock.json").read_text()
