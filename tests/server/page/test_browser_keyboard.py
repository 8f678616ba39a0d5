"""The chat page in Chromium by keyboard alone, by search, from right to left, and what axe says of each state."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from tests.server.page.asking import ROOM, ask, axe_of, script, violations, wait_running, wait_shown
from tests.support.browser import Chromium
from tests.support.server import running

pytestmark = pytest.mark.asyncio(loop_scope="session")  # that of the browser

MANY_TABS = 60
ARABIC = ["أهلا ", "بك ", "`code`\n\n", "- أولا\n", "- ثانيا\n\n", "| أ | ب |\n|--|--|\n| ج ", "| د |\n"]


async def tab_to(page: Page, selector: str, *, backwards: bool = False) -> None:
    """Press Tab until something like this has the focus, and see that the focus can be seen."""
    for _ in range(MANY_TABS):
        await page.keyboard.press("Shift+Tab" if backwards else "Tab")
        if await page.evaluate(f"document.activeElement.matches({selector!r})"):
            assert await page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
            return
    raise AssertionError(f"no way to {selector} by Tab")


async def test_the_whole_page_by_keyboard_alone(browsing: Chromium) -> None:
    async with running(script, tick_seconds=0, max_model_len=ROOM) as server, browsing(server.http) as browser:
        page = await browser.open()
        await page.locator("#composer[data-ready]").wait_for()
        await page.evaluate("document.activeElement.blur()")
        await tab_to(page, ".skip")
        await page.keyboard.press("Enter")
        await page.keyboard.type("a question")
        await page.keyboard.press("Enter")
        await wait_shown(page, "word59")
        await tab_to(page, ".answer .regenerate", backwards=True)
        await page.keyboard.press("Enter")
        await expect(page.locator(".answer .arrows")).to_contain_text("2 of 2")
        await expect(page.locator(".answer .regenerate")).to_be_visible()
        await tab_to(page, ".answer .arrows button", backwards=True)
        await page.keyboard.press("Enter")
        await expect(page.locator(".answer .arrows")).to_contain_text("1 of 2")
        await page.evaluate("document.activeElement.blur()")
        await tab_to(page, ".question [aria-label=Edit]")
        await page.keyboard.press("Enter")
        await page.keyboard.press("Control+A")
        await page.keyboard.type("another question")
        await page.keyboard.press("Enter")
        await expect(page.locator(".asked")).to_have_text("another question")

        await page.keyboard.press("Control+K")
        await page.keyboard.type("question")
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await page.keyboard.type("A name")
        await page.keyboard.press("Enter")
        await page.keyboard.press("Control+K")
        await page.keyboard.press("Control+A")
        await page.keyboard.press("Backspace")
        await expect(page.locator(".chats a")).to_have_text("A name")
        await tab_to(page, ".foot .quiet")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("dialog")).to_be_visible()
        await tab_to(page, "dialog textarea")
        await page.keyboard.type("Be brief")
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("dialog")).to_have_count(0)
        assert await page.evaluate("document.activeElement.matches('.foot .quiet')")
        await page.keyboard.press("Control+Shift+E")
        await tab_to(page, "#net-cut")
        await page.keyboard.press("Control+Shift+O")
        await expect(page.get_by_role("heading", name="mind")).to_be_visible()
        assert await page.evaluate("document.activeElement.id") == "composer-field"


async def test_a_search_finds_what_was_said_and_leads_to_it(browsing: Chromium) -> None:
    async with running(script, tick_seconds=0, max_model_len=ROOM) as server, browsing(server.http) as browser:
        page = await browser.open()
        for text in ("about cats", "about dogs"):
            await page.keyboard.press("Control+Shift+O")
            await ask(page, text)
            await wait_shown(page, "word59")
            await ask(page, f"and more {text}, please: zebra" if "cats" in text else "and birds")
            await expect(page.locator(".answer .regenerate")).to_have_count(2)
        await page.locator(".answer .regenerate").last.click()  # what is found may be on another branch
        await expect(page.locator(".answer .arrows")).to_contain_text("2 of 2")
        await page.keyboard.press("Control+K")
        await page.keyboard.type("ZEBRA word3")
        await expect(page.locator(".chats a")).to_have_count(1)
        await expect(page.locator(".chats mark")).to_have_text("zebra")
        assert await violations(page, axe_of()) == []
        await page.keyboard.press("Enter")
        await expect(page.locator(".asked")).to_have_text(["about cats", "and more about cats, please: zebra"])
        await page.locator(".search").fill("word59")
        await expect(page.locator(".chats mark")).to_have_count(2)
        await page.locator(".search").fill("nowhere")
        await expect(page.locator("#sidebar nav")).to_contain_text("Nothing found")


async def test_from_right_to_left(browsing: Chromium) -> None:
    async with (
        running(lambda _: ARABIC, tick_seconds=0, max_model_len=ROOM) as server,
        browsing(server.http, locale="de") as browser,
    ):
        page = await browser.open()
        await expect(page.get_by_role("heading", name="Was beschäftigt dich?")).to_be_visible()
        await ask(page, "تكلم العربية")
        await expect(page.locator(".answer .regenerate")).to_be_visible()
        for selector in (
            ".asked",
            ".answer .prose > p",
            ".answer ul",
            ".answer li",
            ".answer table",
            ".top h1",
            ".chats a",
        ):
            assert await page.locator(selector).first.evaluate("one => getComputedStyle(one).direction") == "rtl", (
                selector
            )
        assert await page.locator(".answer code").first.evaluate("one => getComputedStyle(one).direction") == "ltr"


async def test_axe_has_no_complaint_of_any_state(browsing: Chromium) -> None:
    axe = axe_of()
    async with (
        running(script, tick_seconds=None, max_model_len=ROOM) as server,
        browsing(server.http, reduced_motion="reduce") as browser,
    ):
        page = await browser.open()
        await page.locator("#composer[data-ready]").wait_for()
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme=scheme)
            assert await violations(page, axe) == [], f"empty, {scheme}"
        await ask(page, "a story")
        await wait_running(page, server)
        server.engine.step(20)
        await wait_shown(page, "word18")
        assert await violations(page, axe) == [], "in mid-answer"
        await page.keyboard.press("Escape")
        await expect(page.locator("#log .note")).to_contain_text("Stopped")
        await page.locator(".question").hover()
        await page.get_by_role("button", name="Edit", exact=True).click()
        assert await violations(page, axe) == [], "in a change of the question"
        await page.set_viewport_size({"width": 390, "height": 844})
        await page.keyboard.press("Escape")
        await page.keyboard.press("Control+B")
        assert await violations(page, axe) == [], "the list on a phone"
