"""Take pictures of the chat page, in every state that people see.

`.venv/bin/python -m scripts.page_pictures [FOLDER]` takes all of them, for a look after a change of the page; with
`--readme` it writes those that docs/ and the README show. A script speaks for the model, and Chromium is needed.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image
from playwright.async_api import Page, expect

from realtime.engine.base import EngineRequest
from realtime.engine.scripted import Step
from realtime.settings.fields import McpServer
from tests.support.browser import Browser, Chromium, chromium
from tests.support.mcp_server import tool_server
from tests.support.server import Running, changed, running

IMAGES = Path(__file__).parent.parent / "docs" / "images"
CALL = ["<tool_call>", '{"name": "get_weather", "arguments": ', '{"city": "Paris"}}', "</tool_call>"]
ANSWERS = Path(__file__).parent / "page_pictures.md"
DESKTOP, PHONE = {"width": 1280, "height": 820}, {"width": 390, "height": 844}
MANY = 10**6
CHATS = (
    "A haiku about packet loss",
    "تكلم العربية",
    "Why is the sky blue?",
    "Plan a week in Lisbon",
    "Weather in Paris",
)


class Look(NamedTuple):
    """The way in which a picture is taken. `readme`: the name under which docs/ has it."""

    name: str
    size: dict[str, int]
    scheme: str
    scene: str
    readme: str | None = None


SCENES = (
    "empty", "middle", "middle-table", "whole", "settings", "drawer", "list", "approval", "cards", "edit", "lost",
    "focus",
)  # fmt: skip
LOOKS = [
    Look(f"{scene}-{where}-{scheme}", size, scheme, scene)
    for scene in SCENES
    for where, size in (("desktop", DESKTOP), ("phone", PHONE))
    for scheme in ("light", "dark")
]
FOR_README = [
    Look("desktop-light", DESKTOP, "light", "whole", "chat-desktop"),
    Look("desktop-dark", DESKTOP, "dark", "drawer", "chat-drawer"),
    Look("phone-light", PHONE, "light", "approval", "chat-phone-light"),
    Look("phone-dark", PHONE, "dark", "whole", "chat-phone"),
]


def answers() -> dict[str, list[str]]:
    """Return the model's answers, in tokens: the sections of the file next to this one, by their first line."""
    sections = re.split(r"^=== (.*)\n", ANSWERS.read_text("utf-8"), flags=re.MULTILINE)[1:]
    return {
        question: re.findall(r"<\w+>|</\w+>|\S+\s*|\s+", text.strip())
        for question, text in zip(sections[::2], sections[1::2], strict=True)
    }


def script(request: EngineRequest) -> Iterable[Step]:
    """Answer the last question of the prompt."""
    prompt = bytes(token for token in request.prompt_token_ids if token < 256).decode(errors="replace")
    if "Weather in Paris" in prompt:
        return ["It", " is", " sunny", " in", " Paris."] if "sunny" in prompt else CALL
    said = answers()
    asked = max(said, key=lambda question: prompt.rfind(question))
    return said[asked] if asked in prompt else said["*"]


async def ask(page: Page, text: str) -> None:
    """Write it and press Enter."""
    await page.locator("#composer[data-ready]").wait_for()
    await page.get_by_role("textbox").last.fill(text)
    await page.keyboard.press("Enter")


async def fill_list(browser: Browser, server: Running, titles: Iterable[str] = CHATS) -> None:
    """Add some earlier chats."""
    page = await browser.open()
    for title in titles:
        await page.keyboard.press("Control+Shift+O")
        await ask(page, title)
        await expect(page.locator(".turn")).to_have_count(1)
        await expect(page.locator(".answer.is-running")).to_be_visible()
        server.engine.run_until_idle()
        await expect(page.locator(".answer .regenerate, .approval").first).to_be_attached()
    await page.close()


async def show(scene: str, page: Page, server: Running) -> None:
    """Bring the page into this state."""
    if scene in ("empty", "settings"):
        await page.get_by_role("heading", name="mind").wait_for()
        if scene == "settings":
            await page.keyboard.press("Control+b")
            await page.locator(".foot .quiet").evaluate("one => one.click()")
        return
    question = {"approval": "Weather in Paris", "cards": "Weather in Paris"}.get(
        scene, "Can a stream survive a tunnel?"
    )
    if scene in ("approval", "cards"):
        await page.evaluate("localStorage['realtime.settings'] = JSON.stringify({ mcp: 'weather' })")
        await page.reload()
    if scene == "drawer" or scene == "lost":
        await page.keyboard.press("Control+Shift+E")
    await ask(page, question)
    await expect(page.locator(".answer.is-running, .answer .approval").first).to_be_visible()
    if scene in ("middle", "middle-table"):
        for _ in range(75 if scene == "middle" else 118):
            server.engine.step(1)
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.3)
        return
    if scene in ("drawer", "lost"):
        for at in range(110):
            server.engine.step(1)
            await asyncio.sleep(0.012 + 0.01 * (at % 7 == 0))
        await page.locator("#net-cut").click()
        server.engine.step(14)
        if scene == "lost":
            await page.locator("#net-swallow").click()
            await page.keyboard.press("Control+Shift+E")
            await page.wait_for_timeout(400)
            return
        await expect(page.locator("#state")).to_contain_text("caught up")
    server.engine.run_until_idle()
    if scene in ("approval", "cards"):
        await page.locator(".approval button").first.wait_for()
        if scene == "cards":
            await page.get_by_role("button", name="Allow").click()
            await expect(page.locator(".turn")).to_have_count(2)
            await asyncio.sleep(0.5)
            server.engine.run_until_idle()
            await expect(page.locator(".answer").last).to_contain_text("sunny")
            await page.locator("summary").last.click()
    else:
        await page.locator(".answer .regenerate").wait_for()
        await page.locator("math").first.wait_for()
        await page.locator(".hl-keyword").first.wait_for()
    if scene == "whole":
        await page.locator(".scroller").evaluate("one => one.scrollTop = 0")
    if scene == "list":
        if not await page.locator("#sidebar").is_visible():
            await page.keyboard.press("Control+b")
        await page.locator(".chats li").nth(2).hover()
    if scene == "edit":
        await page.locator(".scroller").evaluate("one => one.scrollTop = 0")
        await page.get_by_role("button", name="Edit", exact=True).click()
    if scene == "focus":
        await page.keyboard.press("Tab")
        await page.keyboard.press("Shift+Tab")
        await page.keyboard.press("Shift+Tab")


def save(data: bytes, path: Path) -> None:
    """Write a picture in 256 colours, which is all that the page uses."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    image.quantize(256, method=Image.Quantize.MEDIANCUT, kmeans=2, dither=Image.Dither.NONE).save(path, optimize=True)


@asynccontextmanager
async def serving() -> AsyncIterator[Running]:
    """Start a server with a tool server that needs approval."""
    async with tool_server() as tools:
        settings = changed(mcp_servers={"weather": McpServer(url=tools.url)})
        options: dict[str, Any] = {"tick_seconds": None, "max_model_len": MANY, "family": "qwen3"}
        async with running(script, settings, **options) as server:
            yield server


async def take(browsing: Chromium, look: Look, folder: Path) -> None:
    """Take one picture."""
    scale = 2 if look.size is PHONE or look.readme else 1
    options: dict[str, Any] = {"viewport": look.size, "color_scheme": look.scheme, "device_scale_factor": scale}
    if look.size is PHONE:
        options |= {"has_touch": True, "is_mobile": True}
    async with serving() as server, browsing(server.http, **options) as browser:
        await fill_list(browser, server, CHATS if look.size is DESKTOP or look.scene == "list" else CHATS[:1])
        page = await browser.open()
        await show(look.scene, page, server)
        await page.wait_for_timeout(450)  # of motion
        save(await page.screenshot(), folder / f"{look.readme or look.name}.png")
        server.engine.run_until_idle()
        browser.problems.clear()


async def main() -> None:
    """Take them all, or those of the README, or those whose names have a word in them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", nargs="?", type=Path, default=Path("page-pictures"))
    parser.add_argument("--readme", action="store_true")
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    folder = IMAGES if given.readme else given.folder
    folder.mkdir(exist_ok=True, parents=True)
    async with chromium() as browsing:
        for look in FOR_README if given.readme else LOOKS:
            if re.search(given.only, look.name):
                await take(browsing, look, folder)
                print(folder / f"{look.readme or look.name}.png", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
