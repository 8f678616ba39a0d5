"""The chat page in Chromium: attacks stay text, and axe, which stands for who can't see, has no complaint."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.server.page.asking import ROOM, ask, axe_of, responses, violations
from tests.support.browser import Chromium
from tests.support.node import find_node
from tests.support.server import running

pytestmark = pytest.mark.asyncio(loop_scope="session")  # that of the browser

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def attacks() -> str:
    """What a model could be made to write, all in one answer."""
    source = "import('./attacks.mjs').then(({ ATTACKS }) => console.log(JSON.stringify(ATTACKS)))"
    said = subprocess.run([find_node(), "-e", source], cwd=HERE, capture_output=True, text=True, check=True).stdout
    return "\n\n".join(json.loads(said))


async def test_attacks_stay_text(browsing: Chromium, attacks: str) -> None:
    pieces = re.findall(r"\S+\s*", attacks)
    async with (
        running(lambda _: pieces, tick_seconds=0, max_model_len=ROOM) as server,
        browsing(server.http) as browser,
    ):
        page = await browser.open()
        await page.evaluate("window.hits = []; window.hit = (number) => window.hits.push(number); 0")
        await ask(page, "attack")
        await expect(page.locator(".answer .regenerate")).to_be_visible()
        inside = page.locator("#log .prose")
        active = inside.locator("script, style, iframe, object, embed, form, link, meta, base, svg:not(.icon)")
        assert await active.count() == 0
        links = await inside.locator("a").evaluate_all("all => all.map((a) => [a.getAttribute('href'), a.rel])")
        assert all(re.match(r"https?://", href) and "noopener" in rel for href, rel in links)
        assert await inside.locator("a[href*='thief']").count() > 0
        for link in await inside.locator("summary, button").all():
            await link.click()
        names = "(root) => [...root.querySelectorAll('*')].flatMap((one) => one.getAttributeNames())"
        assert not [name for name in await inside.evaluate(names) if name.startswith("on")]
        assert await page.evaluate("window.hits") == []
        (response,) = await responses(server)
        assert response["status"] == "completed"


async def test_axe_finds_nothing(browsing: Chromium) -> None:
    axe = axe_of()
    text = (HERE / "sample.md").read_text()
    pieces = re.findall(r"\S+\s*", text)
    async with (
        running(lambda _: pieces, tick_seconds=0, max_model_len=ROOM) as server,
        browsing(server.http, color_scheme="dark", reduced_motion="reduce") as browser,
    ):
        page = await browser.open()
        await ask(page, "a sample")
        await expect(page.locator(".answer .regenerate")).to_be_visible()
        await page.locator("math").first.wait_for()
        await page.locator(".hl-keyword").first.wait_for()
        await page.keyboard.press("Control+Shift+E")
        assert await violations(page, axe) == []
        await page.emulate_media(color_scheme="light")
        await page.get_by_role("button", name="Settings").click()
        await page.set_viewport_size({"width": 390, "height": 844})
        assert await violations(page, axe) == []
