"""What waits for its client waits over a restart as well: calls for their outputs, requests for approval for a word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from realtime.engine.base import EngineRequest
from realtime.engine.scripted import Step
from realtime.runs.run import Run
from realtime.settings.fields import McpServer
from realtime.wire import codec
from realtime.wire.items import FunctionCall, McpApprovalRequest, McpCall
from realtime.wire.requests import ResponseCreate
from tests.support.calls import TAGGED, called
from tests.support.jobs import make_request
from tests.support.mcp_server import tool_server
from tests.support.restarts import House, house, texts_of
from tests.support.server import changed

CALL = called("get_weather", {"city": "Paris"})
WEATHER = {"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": {"city": {}}}}


class Turns:
    """Says the call first, and then what the weather is. `prompts`: that it was given."""

    def __init__(self) -> None:
        self.prompts: list[str] = []

    def __call__(self, request: EngineRequest) -> list[Step]:
        self.prompts.append(bytes(one for one in request.prompt_token_ids if one < 256).decode())
        return list(CALL) if len(self.prompts) == 1 else ["Sunny."]


def answer(response_id: str, items: list[dict[str, Any]], **members: Any) -> ResponseCreate:
    request = make_request(previous_response_id=response_id, **members)
    request.items = codec.decode_input(msgspec.json.encode(items), codec.Limits())
    return request


async def asked(here: House, how: str, **members: Any) -> Run:
    """The answer that makes the call, and the end of its process."""
    run = await here.create(make_request("Paris?", **members))
    await here.finish()
    here.flush()
    if how == "killed":
        await here.die()
    return run


@pytest.mark.parametrize("how", ["killed", "ended"])
async def test_a_call_waits_for_its_output(tmp_path: Path, how: str) -> None:
    script = Turns()
    async with house(tmp_path / "store.db", script, family=TAGGED) as here:
        run = await asked(here, how, tools=[WEATHER])
    async with house(tmp_path / "store.db", script, family=TAGGED) as here:
        source = await here.find(run.response_id)
        [call] = [item for item in source.response.output if isinstance(item, FunctionCall)]
        output = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny in Paris"}
        second = await here.create(answer(run.response_id, [output], tools=[WEATHER]))
        await here.finish()
        assert texts_of(await here.find(second.response_id)) == "Sunny."
        assert "sunny in Paris" in script.prompts[1]


@pytest.mark.parametrize("how", ["killed", "ended"])
async def test_an_approval_is_given_after_the_restart(tmp_path: Path, how: str) -> None:
    script = Turns()
    async with tool_server() as tools:
        tool = {"type": "mcp", "server_label": "s", "server_url": tools.url, "require_approval": "always"}
        options: dict[str, Any] = {
            "family": TAGGED, "settings": changed(mcp_servers={"weather": McpServer(url=tools.url)}),
        }  # fmt: skip
        async with house(tmp_path / "store.db", script, **options) as here:
            run = await asked(here, how, tools=[tool])
        assert tools.calls == []
        async with house(tmp_path / "store.db", script, **options) as here:
            source = await here.find(run.response_id)
            [request] = [item for item in source.response.output if isinstance(item, McpApprovalRequest)]
            yes = {"type": "mcp_approval_response", "approval_request_id": request.id, "approve": True}
            second = await here.create(answer(run.response_id, [yes], tools=[tool]))
            await here.finish()
            source = await here.find(second.response_id)
            [call] = [item for item in source.response.output if isinstance(item, McpCall)]
            assert (call.approval_request_id, call.output) == (request.id, "sunny in Paris")
            assert tools.calls == [("get_weather", "Paris")]
            assert texts_of(source) == "Sunny."
