"""The chat page in Chromium behind a network that resets, swallows and delays at random moments."""

from __future__ import annotations

import asyncio
import random
import re

import httpx2
import pytest
from playwright.async_api import Page, expect

from tests.server.page.asking import ROOM, WORDS, ask, responses, script, shown, text_of, wait_running, wait_shown
from tests.support.browser import Browser, Chromium
from tests.support.long import effort
from tests.support.network import Network, network
from tests.support.patience import SECONDS
from tests.support.server import Running, running

pytestmark = pytest.mark.asyncio(loop_scope="session")  # that of the browser

WHOLE = " ".join("".join(WORDS).split())


async def come(server: Running, number: int) -> None:
    """Wait until the server has so many responses: a create that was lost comes again, and nobody tells."""
    async with asyncio.timeout(90):
        while len(await responses(server)) < number:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def spoil(way: Network, rng: random.Random, page: Page, what: str) -> None:
    """One moment at which the network fails."""
    match what:
        case "reset":
            way.reset()
        case "delay":
            way.delay_seconds = rng.uniform(0.01, 0.15)
        case "swallow":
            way.swallow()
            await asyncio.sleep(rng.uniform(0.1, 1.5))
            way.recover()
        case "reload":
            way.reset()
            await page.reload()
            await page.locator("#composer-field").wait_for()


async def follow(browser: Browser, round_: int) -> Page:
    """A second tab, which opens the newest chat from the list."""
    other = await browser.open()
    await other.get_by_role("link", name=re.compile(rf"^question {round_}\b")).click()
    await expect(other.locator(".turn")).to_have_count(1)
    return other


async def test_a_network_that_fails_at_random_moments(browsing: Chromium) -> None:
    """What is shown is what the server has, in both tabs, and it was generated once."""
    rng = random.Random(11)
    kinds = ["reset", "delay", "reset", "reload", "swallow"]
    async with (
        running(script, tick_seconds=None, max_model_len=ROOM) as server,
        network(server.port) as way,
        browsing(f"http://127.0.0.1:{way.port}") as browser,
    ):
        page = await browser.open()
        for round_ in range(effort(1, 17)):
            await page.keyboard.press("Control+Shift+O")
            await ask(page, f"question {round_}")
            for what in rng.sample(kinds[: 5 if round_ else 4], 3):  # 51 moments in the long form
                server.engine.step(rng.randrange(20))
                await spoil(way, rng, page, what)
            await come(server, round_ + 1)
            way.delay_seconds = 0
            other = await follow(browser, round_)
            server.engine.run_until_idle()
            for tab in (page, other):
                await wait_shown(tab, "word59")
                await expect(tab.locator(".answer .regenerate")).to_be_visible()
            kept = await responses(server)
            assert len(kept) == round_ + 1
            assert await shown(page) == await shown(other) == text_of(kept[-1]) == WHOLE
            await other.close()
        browser.problems.clear()  # Chromium tells of each request that was cut


async def test_stop_from_the_other_tab_while_the_first_hears_nothing(browsing: Chromium) -> None:
    async with (
        running(script, tick_seconds=None, max_model_len=ROOM) as server,
        network(server.port) as way,
        browsing(f"http://127.0.0.1:{way.port}") as browser,
    ):
        page = await browser.open()
        await ask(page, "question 0")
        await wait_running(page, server)
        server.engine.step(12)
        await wait_shown(page, "word9")
        way.swallow()
        server.engine.step(6)
        way.recover()
        other = await follow(browser, 0)
        await wait_shown(other, "word15")
        await other.get_by_role("button", name="Stop").click()
        for tab in (other, page):
            await expect(tab.locator("#log .note")).to_contain_text("Stopped")
        (response,) = await responses(server)
        assert response["status"] == "cancelled"
        assert await shown(page) == await shown(other) == text_of(response) != ""
        async with httpx2.AsyncClient(base_url=server.http, timeout=SECONDS) as client:
            listed = (await client.get("/v1/responses?metadata.realtime_ui=chat")).json()["data"]
        assert len(listed) == 1
        browser.problems.clear()
