"""The chat page in Chromium while an answer comes: reloads, a bad network, random moments, two tabs."""

from __future__ import annotations

import asyncio
import random
import re

import pytest
from playwright.async_api import expect

from tests.server.page.asking import ROOM, WORDS, ask, responses, script, shown, text_of, wait_running, wait_shown
from tests.support.browser import Chromium
from tests.support.long import effort
from tests.support.server import running

pytestmark = pytest.mark.asyncio(loop_scope="session")  # that of the browser


async def test_a_reload_in_mid_answer_goes_on(browsing: Chromium) -> None:
    async with running(script, tick_seconds=None, max_model_len=ROOM) as server, browsing(server.http) as browser:
        page = await browser.open()
        await ask(page, "a story")
        await wait_running(page, server)
        server.engine.step(20)
        await wait_shown(page, "word18")
        address = page.url
        await page.reload()
        await wait_shown(page, "word18")
        assert page.url == address
        server.engine.step(10)
        await wait_shown(page, "word28")
        await page.reload()
        server.engine.run_until_idle()
        await wait_shown(page, "word59")
        await expect(page.locator(".answer .regenerate")).to_be_visible()
        (response,) = await responses(server)
        assert await shown(page) == text_of(response)
        await page.reload()
        await wait_shown(page, "word59")
        assert await shown(page) == text_of(response)
        log = page.get_by_role("log")
        assert await log.count() == 1
        assert (await log.inner_text()).startswith("a story")
        assert await page.get_by_role("textbox").last.get_attribute("id") == "composer-field"


async def test_a_bad_network_does_not_show_in_the_text(browsing: Chromium) -> None:
    async with running(script, tick_seconds=None, max_model_len=ROOM) as server, browsing(server.http) as browser:
        page = await browser.open()
        await page.keyboard.press("Control+Shift+E")
        await ask(page, "a story")
        await wait_running(page, server)
        for step, button in ((10, "#net-cut"), (22, "#net-swallow"), (40, "#net-cut")):
            server.engine.step(step - server.engine.num_ticks)
            await page.locator(button).click()
            server.engine.step(5)
            await wait_shown(page, f"word{server.engine.num_ticks - 2} ")
        await expect(page.locator("#state")).to_contain_text("caught up")
        await page.locator("#drawer .cursor").fill("5")
        await page.locator("#net-restart").click()
        server.engine.run_until_idle()
        await wait_shown(page, "word59")
        (response,) = await responses(server)
        assert await shown(page) == text_of(response)
        await expect(page.locator("#drawer .events li").last).to_contain_text("completed")


async def test_random_moments(browsing: Chromium) -> None:
    """Reloads and cuts at any moment: the text is the server's, and it was generated once."""
    rng = random.Random(7)
    async with running(script, tick_seconds=None, max_model_len=ROOM) as server, browsing(server.http) as browser:
        page, other = await browser.open(), await browser.open()
        await page.keyboard.press("Control+Shift+E")
        for round_ in range(effort(1, 25)):
            await page.keyboard.press("Control+Shift+O")
            await ask(page, f"question {round_}")
            await expect(page.locator(".turn")).to_have_count(1)
            await wait_running(page, server)
            for _ in range(2):
                server.engine.step(rng.randrange(25))
                match rng.choice(["reload", "cut", "cut", "swallow", "at once"]):
                    case "reload":
                        await page.reload()
                        await page.locator("#composer-field").wait_for()
                        await page.keyboard.press("Control+Shift+E")
                    case "cut":
                        await page.locator("#net-cut").click()
                    case "swallow":
                        await page.locator("#net-swallow").click()
                    case "at once":
                        await page.evaluate("document.body.dataset.old = 1; location.reload()")
                        await page.locator("body:not([data-old]) #composer-field").wait_for()
                        await page.keyboard.press("Control+Shift+E")
            await other.get_by_role("link", name=re.compile(rf"^question {round_}\b")).click()
            await expect(page.locator(".turn")).to_have_count(1)
            async with asyncio.timeout(60):
                while len(await responses(server)) <= round_:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)  # a create that was cut comes again, and nobody tells
            server.engine.run_until_idle()
            for one in (page, other):
                await wait_shown(one, "word59")
                await expect(one.locator(".answer .regenerate")).to_be_visible()
            kept = await responses(server)
            assert len(kept) == round_ + 1
            assert await shown(page) == await shown(other) == text_of(kept[-1]) == " ".join("".join(WORDS).split())
        browser.problems.clear()  # of sockets that were cut


async def test_a_second_tab_shows_it_live_and_can_stop_it(browsing: Chromium) -> None:
    async with running(script, tick_seconds=None, max_model_len=ROOM) as server, browsing(server.http) as browser:
        first = await browser.open()
        await ask(first, "a story")
        await wait_running(first, server)
        server.engine.step(8)
        second = await browser.open()
        await second.get_by_role("link", name="a story").click()
        await wait_shown(second, "word6")
        server.engine.step(4)
        await wait_shown(second, "word10")
        await second.get_by_role("button", name="Stop").click()
        for page in (first, second):
            await expect(page.locator("#log .note")).to_contain_text("Stopped")
        (response,) = await responses(server)
        assert response["status"] == "cancelled"
        assert await shown(first) == await shown(second) == text_of(response) != ""
        await second.keyboard.press("Control+Shift+E")
        await expect(second.get_by_label("Receipt of the cancel")).to_contain_text("tokens_generated")
        await ask(second, "and more")  # the first one learns of it and follows
        await expect(first.locator(".answer")).to_have_count(2)
        await wait_running(first, server)
        server.engine.run_until_idle()
        await wait_shown(first, "word59")
        assert len(await responses(server)) == 2
