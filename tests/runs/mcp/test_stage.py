"""MCP in the life of a response, on sessions that answer what the test says: who is asked for what, and when."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from realtime.context.mcp_tools import ServerUse
from realtime.context.tools import McpOrigin, Mode, ToolSet
from realtime.dialects.base import CallBegin, CallDelta, CallEnd, TextDelta
from realtime.engine.parsing import ALWAYS
from realtime.runs.assembler import Assembler
from realtime.runs.mcp import stage as module
from realtime.runs.mcp.open_items import CallResult
from realtime.runs.mcp.plan import McpPlan
from realtime.runs.mcp.session import McpFailure
from realtime.runs.mcp.stage import McpStage
from realtime.settings.fields import McpServer, McpSettings
from realtime.wire.events import Event
from realtime.wire.items import (
    InputItem,
    McpApprovalRequest,
    McpApprovalResponse,
    McpCall,
    McpListTools,
    McpTool,
    OutputItem,
)
from realtime.wire.requests import ResponseCreate

SETTINGS = McpSettings(mcp_servers={"s": McpServer(url="https://s.test/mcp", require_approval="never")})
TOOLS = [McpTool(name="a", input_schema={})]
A = [CallBegin("a", mcp=McpOrigin("s", needs_approval=False)), CallDelta("{}"), CallEnd()]
ASKED = McpApprovalRequest(id="mcpr_1", server_label="s", name="a", arguments='{"x": 1}')
YES = McpApprovalResponse(approval_request_id="mcpr_1", approve=True)


class Session:
    """In the place of `McpSession`: notes what it is asked, and waits where the test wants that."""

    def __init__(self, use: ServerUse, response_id: str, **limits: Any) -> None:
        self.asked: list[Any] = []
        self.listing: list[McpTool] | McpFailure = TOOLS
        self.waits = False
        self.closed = False

    async def list_tools(self) -> list[McpTool]:
        self.asked.append("list")
        await self._wait()
        if isinstance(self.listing, McpFailure):
            raise self.listing
        return self.listing

    async def call(self, name: str, arguments: str) -> CallResult:
        self.asked.append((name, arguments))
        await self._wait()
        return CallResult(output=f"result {len(self.asked)}")

    async def close(self) -> None:
        self.closed = True

    async def _wait(self) -> None:
        if self.waits:
            await asyncio.Event().wait()


@pytest.fixture(autouse=True)
def sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "McpSession", Session)


class Played:
    """A stage with what it needs."""

    def __init__(self, *, before: list[InputItem] | None = None, items: list[InputItem] | None = None, **members: Any):
        self.items = [*(before or []), *(items or [])]
        tools = [{"type": "mcp", "server_label": "s"}]
        request = ResponseCreate(tools=tools, items=items or [], **members)
        plan = McpPlan.of(request, before or [], [], SETTINGS, ALWAYS)
        assert plan is not None
        ids = iter(range(1000))
        self.assembler = Assembler(lambda prefix: f"{prefix}_{next(ids)}", None, plan.max_calls)
        self.events: list[Event] = []
        self.stage = McpStage("resp_1", plan, self.assembler, self.events.extend)
        session = self.stage._sessions["s"]
        assert isinstance(session, Session)
        self.session = session

    async def prepare(self) -> ToolSet | None:
        return await self.stage.prepare(self.items, self.items)

    async def generate(self, *pieces: Any) -> ToolSet | None:
        """A generation that says this, and what follows it."""
        list(self.assembler.feed(pieces))
        return await self.stage.go_on(ToolSet(tools=self.stage._plan.tools([TOOLS]).tools, mode=Mode.REQUIRED))

    @property
    def output(self) -> list[OutputItem]:
        return self.assembler.output


async def test_a_server_is_asked_for_its_tools_unless_the_history_has_them() -> None:
    played = Played()
    tools = await played.prepare()
    assert tools is not None
    assert [tool.name for tool in tools.tools] == ["a"]
    assert [type(item) for item in played.output] == [McpListTools]
    known = Played(before=[McpListTools(server_label="s", tools=TOOLS)])
    assert await known.prepare() == tools
    assert (known.session.asked, known.output) == ([], [])


async def test_a_listing_that_fails_is_an_item_and_the_response_goes_on_without_tools() -> None:
    played = Played()
    played.session.listing = McpFailure("gone", code=502)
    tools = await played.prepare()
    assert tools is not None
    assert tools.tools == ()
    (item,) = played.output
    assert isinstance(item, McpListTools)
    assert item.error == "gone"


async def test_calls_that_were_allowed_are_made_before_anything_is_generated() -> None:
    played = Played(before=[ASKED], items=[YES])
    assert await played.prepare() is not None
    assert played.session.asked == ["list", ("a", '{"x": 1}')]
    call = played.output[-1]
    assert isinstance(call, McpCall)
    assert (call.approval_request_id, call.output) == ("mcpr_1", "result 2")


async def test_a_call_that_was_made_meanwhile_is_not_made_again() -> None:
    played = Played(before=[ASKED], items=[YES])
    made = McpCall(server_label="s", name="a", arguments="{}", approval_request_id="mcpr_1")
    await played.stage.prepare(played.items, [*played.items, made])
    assert played.session.asked == ["list"]


async def test_the_calls_of_a_generation_are_made_in_order_and_the_model_goes_on_freely() -> None:
    played = Played()
    tools = await played.generate(*A, *A, TextDelta("and"))
    assert played.session.asked == [("a", "{}")] * 2
    assert [getattr(item, "output", None) for item in played.output] == ["result 1", "result 2", None]
    assert tools is not None
    assert (len(tools.tools), tools.mode, tools.only) == (1, Mode.AUTO, None)


async def test_nothing_follows_when_the_model_only_spoke_or_the_client_has_to_answer() -> None:
    assert await Played().generate(TextDelta("done")) is None
    played = Played()
    assert await played.generate(*A, CallBegin("mine"), CallEnd()) is None
    assert played.session.asked == [("a", "{}")]
    asking = CallBegin("a", mcp=McpOrigin("s", needs_approval=True))
    assert await Played().generate(asking, CallDelta("{}"), CallEnd()) is None


async def test_when_no_call_is_left_the_model_goes_on_without_these_tools() -> None:
    played = Played(max_tool_calls=1)
    tools = await played.generate(*A, *A)
    assert played.session.asked == [("a", "{}")]
    assert tools is not None
    assert tools.tools == ()


@pytest.mark.parametrize("where", ["listing", "approved call", "call"])
async def test_who_is_cancelled_waits_for_no_server(where: str) -> None:
    known: list[InputItem] = [McpListTools(server_label="s", tools=TOOLS)] if where != "listing" else []
    played = Played(before=[*known, ASKED], items=[YES])
    played.session.waits = True
    task = asyncio.create_task(played.generate(*A) if where == "call" else played.prepare())
    while not played.session.asked:  # noqa: ASYNC110 - turns of the loop, not time
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    list(played.assembler.close("incomplete"))
    last = played.output[-1]
    if where == "listing":
        assert isinstance(last, McpListTools)
        assert last.error == "The listing was cut off."
    else:
        assert isinstance(last, McpCall)
        assert last.status == "incomplete"


async def test_its_end_is_the_sessions_end() -> None:
    played = Played()
    await played.stage.close()
    assert played.session.closed
