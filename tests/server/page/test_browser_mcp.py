"""MCP in the chat page in Chromium: a real MCP server, requests for approval, cards of calls and of what failed."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Page, expect

from realtime.engine.base import EngineRequest
from realtime.engine.scripted import Script, Step
from realtime.settings.fields import McpServer
from tests.server.page.asking import ATTACK, ROOM, ask, axe_of, harmless, responses, violations, wait_shown, watch
from tests.support.browser import Browser, Chromium
from tests.support.calls import TAGGED, called
from tests.support.mcp_server import ToolServer, tool_server
from tests.support.server import Running, changed, running

pytestmark = pytest.mark.asyncio(loop_scope="session")  # that of the browser


def script(request: EngineRequest) -> Iterable[Step]:
    """Call what the last question asks for; when there is an output, say so."""
    prompt = bytes(token for token in request.prompt_token_ids if token < 256).decode(errors="replace")
    asked = prompt[max(prompt.rfind("weather?"), prompt.rfind("fail!")) :]
    if "sunny in Paris" in asked:
        return ["It ", "is ", "sunny."]
    if "no rain" in asked.removeprefix("fail!"):
        return ["That ", "failed."]
    if "did not allow" in asked:
        return ["Then ", "not."]
    return called("fail", {"why": "no rain"}) if asked.startswith("fail!") else called("get_weather", {"city": "Paris"})


@asynccontextmanager
async def chatting(
    browsing: Chromium, script: Script = script, said: str = ""
) -> AsyncIterator[tuple[Running, ToolServer, Browser, Page]]:
    """A page that offers the tools of a real server, which has this to say."""
    async with tool_server(said, about=said) as tools:
        settings = changed(mcp_servers={"weather": McpServer(url=tools.url)})
        async with (
            running(script, settings, tick_seconds=0, max_model_len=ROOM, family=TAGGED) as server,
            browsing(server.http) as browser,
        ):
            await watch(browser)
            page = await browser.open()
            await page.get_by_role("button", name="Settings").click()
            await page.get_by_label("MCP servers").fill("weather")
            await page.get_by_role("button", name="Save").click()
            yield server, tools, browser, page


async def test_a_call_waits_for_approval_and_its_result_is_shown(browsing: Chromium) -> None:
    async with chatting(browsing) as (server, tools, browser, page):
        await ask(page, "weather?")
        await expect(page.locator(".card").first).to_contain_text("weather offers 4 tools")
        approval = page.locator(".approval")
        await expect(approval).to_contain_text("May weather run get_weather?")
        await expect(approval).to_contain_text('{"city": "Paris"}')
        assert tools.calls == []
        assert await violations(page, axe_of()) == []
        await page.reload()  # it waits for whoever comes back
        await approval.get_by_role("button", name="Allow").focus()
        await page.keyboard.press("Enter")
        await wait_shown(page, "It is sunny.")
        await expect(approval).to_contain_text("Allowed")
        assert await approval.get_by_role("button").count() == 0
        card = page.locator(".card").last
        await expect(card).to_contain_text("weather: get_weather")
        await card.locator("summary").click()
        await expect(card.locator(".result")).to_have_text("sunny in Paris")
        assert tools.calls == [("get_weather", "Paris")]
        assert await violations(page, axe_of()) == []
        other = await browser.open("/" + page.url[page.url.index("#") :])
        await expect(other.locator(".approval")).to_contain_text("Allowed")
        await wait_shown(other, "It is sunny.")
        assert [one["status"] for one in await responses(server)] == ["completed"] * 2


async def test_a_refusal_a_tool_that_fails_and_the_way_back(browsing: Chromium) -> None:
    async with chatting(browsing) as (server, tools, _, page):
        await ask(page, "weather?")
        await page.get_by_role("button", name="Refuse").click()
        await wait_shown(page, "Then not.")
        await expect(page.locator(".approval")).to_contain_text("Refused")
        assert tools.calls == []
        await ask(page, "fail!")
        await page.get_by_role("button", name="Allow").click()
        await wait_shown(page, "That failed.")
        card = page.locator(".card").last
        await expect(card).to_contain_text("weather: fail failed")
        await card.locator("summary").click()
        await expect(card.locator(".wrong")).to_have_text("Error executing tool fail")
        assert tools.calls == [("fail", "no rain")]
        before = len(await responses(server))
        await page.locator(".turn:last-child .regenerate").click()  # the question: what was allowed is asked for again
        await page.get_by_role("button", name="Allow").click()
        await expect(page.locator(".turn:last-child .answer")).to_contain_text("That failed.")
        await expect(page.locator(".answer .arrows")).to_contain_text("2 of 2")
        await page.get_by_role("button", name="Earlier version").click()
        await wait_shown(page, "That failed.")
        assert tools.calls == [("fail", "no rain")] * 2
        assert len(await responses(server)) == before + 2


def hostile(request: EngineRequest) -> Iterable[Step]:
    """Ask for the weather in a place that is an attack."""
    prompt = bytes(token for token in request.prompt_token_ids if token < 256).decode(errors="replace")
    return ["Well."] if "sunny in" in prompt else called("get_weather", {"city": ATTACK})


async def test_what_stands_in_cards_is_text(browsing: Chromium) -> None:
    async with chatting(browsing, hostile, ATTACK) as (_, tools, _, page):
        await ask(page, "weather?")
        approval = page.locator(".approval")
        await expect(approval.locator(".args")).to_contain_text("onerror=hit(1)")
        await page.locator("summary").click()
        await expect(page.locator(".card-body").first).to_contain_text(ATTACK)
        await harmless(page)
        assert await violations(page, axe_of()) == []
        await approval.get_by_role("button", name="Allow").click()
        await wait_shown(page, "Well.")
        await page.locator(".card").last.locator("summary").click()
        await expect(page.locator(".card .result")).to_have_text(f"{ATTACK}sunny in {ATTACK}")
        await harmless(page)
        assert tools.calls == [("get_weather", ATTACK)]


async def test_a_server_that_does_not_answer(browsing: Chromium) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    settings = changed(mcp_servers={"weather": McpServer(url=f"http://127.0.0.1:{port}/mcp")}, mcp_timeout_seconds=5)
    async with (
        running(script, settings, tick_seconds=0, max_model_len=ROOM, family=TAGGED) as server,
        browsing(server.http) as browser,
    ):
        page = await browser.open()
        await page.evaluate("localStorage['realtime.settings'] = JSON.stringify({ mcp: 'weather' })")
        await page.reload()
        await ask(page, "weather?")
        await expect(page.locator("#log .answer").last).to_contain_text("weather does not answer")
        await page.locator("#composer[data-ready]").wait_for()
        await page.evaluate("localStorage['realtime.settings'] = JSON.stringify({ mcp: 'nobody' })")
        await page.reload()
        await ask(page, "weather?")  # a name that the operator has not given
        await expect(page.locator("#state")).to_contain_text("nobody")
        await expect(page.get_by_role("textbox").last).to_have_value("weather?")
