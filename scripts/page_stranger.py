"""Use the chat page as a stranger would, on a real small model: twenty turns, branches, reloads, restarts, an export.

`.venv/bin/python -m scripts.page_stranger [--model smollm2] [--pictures FOLDER]` takes some minutes and prints what it
saw. At every step the text on the page has to be the server's. The pictures are of the chat of twenty turns.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import socket
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
from playwright.async_api import Locator, Page, expect

from tests.server.page.asking import ask, text_of
from tests.support.browser import Browser, browsing
from tests.support.process import ServerProcess, serve

PATIENCE_MS = 180_000
FAR_ENOUGH = """(words) => {
  const answer = document.querySelector(".turn:last-child .answer");
  return !answer.classList.contains("is-running") || answer.innerText.split(/\\s/).length > words;
}"""
QUESTIONS = (
    "Hello, who are you?", "What is the capital of France?", "And of Italy?", "Which of them is older?",
    "Tell me about the Seine.", "Write one line of a poem about rain.", "Another one, about snow.",
    "What is a haiku?", "Name three colours.", "Which of them is the sky?", "What is 2 plus 2?", "Why do cats purr?",
    "Do dogs dream?", "What is a river?", "How is bread made?", "What is salt?", "Who was Ada Lovelace?",
    "What is a computer?", "What is a network?", "Say goodbye.",
)  # fmt: skip
STORY = "Tell me a long story."
STORY_TOKENS = {"smollm2": 80}  # what takes a slow model some seconds; the others are given room for all of it
ROOM_TOKENS = 400
MESSAGE = ".answer-items > .prose"  # what was thought is one level further down
LOOKS = [
    (f"{where}-{scheme}", width, height, scheme)
    for where, width, height in (("desktop", 1280, 820), ("phone", 390, 844))
    for scheme in ("light", "dark")
]


def said(text: str) -> None:
    """Print a line for the person who watches."""
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


class Stranger:
    """A user with one tab. `story_tokens`: how long a story may be."""

    def __init__(self, page: Page, http: str, story_tokens: int) -> None:
        self.page = page
        self.http = http
        self.story_tokens = story_tokens

    async def kept(self) -> list[dict[str, Any]]:
        """Return all responses of all chats at the server, oldest first."""
        async with httpx2.AsyncClient(base_url=self.http, timeout=60) as client:
            query = "metadata.realtime_ui=chat&order=asc&limit=100"
            listed = (await client.get(f"/v1/responses?{query}")).json()["data"]
            return [(await client.get(f"/v1/responses/{one['id']}")).json() for one in listed]

    async def shown(self) -> str:
        """Return the words of the newest answer on the page."""
        return " ".join(
            " ".join(await self.page.locator("#log .answer").last.locator(MESSAGE).all_inner_texts()).split()
        )

    async def over(self) -> None:
        """Wait for the end of the newest answer."""
        await self.page.locator(".turn:last-child .answer:not(.is-running) .regenerate").wait_for(timeout=PATIENCE_MS)

    async def is_the_servers(self) -> None:
        """Compare what is shown with what is stored: as rendered, so without marks of Markdown."""
        await self.over()
        newest = (await self.kept())[-1]
        await self.page.reload()
        await self.over()
        words = plain(text_of(newest))
        assert plain(await self.shown()) == words, (await self.shown(), text_of(newest))

    async def running(self, words: int) -> int:
        """Ask for a story in a new chat until so much of it is there and it still runs. Returns how often that was."""
        await set_length(self.page, self.story_tokens)
        for asked in range(1, 6):
            await self.page.keyboard.press("Control+Shift+O")
            await expect(self.page.locator(".turn")).to_have_count(0)
            await ask(self.page, STORY)
            await expect(self.page.locator(".turn")).to_have_count(1)
            await self.page.wait_for_function(FAR_ENOUGH, arg=words, timeout=PATIENCE_MS)
            if await self.page.locator(".turn:last-child .answer.is-running").count():
                return asked
        raise AssertionError("every answer was shorter")


def plain(text: str) -> str:
    """Letters alone: the figures of a list are no part of its text on the page."""
    return "".join(filter(str.isalpha, text))


async def set_length(page: Page, tokens: int) -> None:
    """Set in the settings how long an answer may be."""
    await page.locator(".foot .quiet").click()
    await page.get_by_label("Longest answer").fill(str(tokens))
    await page.get_by_role("button", name="Save").click()
    await page.get_by_role("dialog").wait_for(state="detached")


async def talk(stranger: Stranger) -> None:
    """Take twenty turns, at some of them with another answer, another question, and the way back."""
    page = stranger.page
    await set_length(page, stranger.story_tokens // 4)
    for number, question in enumerate(QUESTIONS, 1):
        await ask(page, question)
        await expect(page.locator(".turn")).to_have_count(number, timeout=PATIENCE_MS)
        await stranger.over()
        if number in (3, 9):
            await page.locator(".turn:last-child .regenerate").click()
            await expect(page.locator(".turn:last-child .answer .arrows")).to_contain_text("2 of 2")
            await stranger.over()
        if number == 6:
            await page.locator(".turn:last-child .question").hover()
            await page.locator(".turn:last-child").get_by_role("button", name="Edit", exact=True).click()
            await page.locator(".editing textarea").fill("Write one line about the wind.")
            await page.keyboard.press("Enter")
            await expect(page.locator(".turn:last-child .question .arrows")).to_contain_text("2 of 2")
            await stranger.over()
    await page.locator(".turn").nth(5).hover()
    await page.locator(".turn").nth(5).locator(".question").get_by_role("button", name="Earlier").click()
    await expect(page.locator(".turn")).to_have_count(6)
    await page.locator(".turn").nth(5).locator(".question").get_by_role("button", name="Later").click()
    await expect(page.locator(".turn")).to_have_count(20)
    await stranger.is_the_servers()
    said(f"twenty turns, {len(await stranger.kept())} answers")


async def pictures(page: Page, folder: Path) -> None:
    """Take one of each look, at the end of the chat."""
    for name, width, height, scheme in LOOKS:
        await page.set_viewport_size({"width": width, "height": height})
        await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        await page.reload()
        await page.locator(".turn:last-child .answer .regenerate").wait_for(timeout=PATIENCE_MS)
        await asyncio.sleep(0.5)  # of motion
        await page.screenshot(path=folder / f"{name}.png")
    await page.set_viewport_size({"width": 1280, "height": 860})
    await page.reload()


async def reload_in_mid_answer(stranger: Stranger) -> None:
    """Again and again in one answer, as long as it runs."""
    page = stranger.page
    await stranger.running(8)
    count = 0
    while count < 3 and await page.locator(".answer.is-running").count():
        await page.reload()
        await page.locator(f".turn:last-child {MESSAGE}").wait_for(timeout=PATIENCE_MS)
        count += 1
        await asyncio.sleep(1)
    await stranger.is_the_servers()
    said(f"{count} reloads in one answer")


async def restarted(stranger: Stranger, process: ServerProcess, number: signal.Signals, start: Any) -> ServerProcess:
    """End the server in the middle of an answer, start another one, and see the answer continue."""
    count = len(await stranger.kept())
    count += await stranger.running(10)
    before = await stranger.shown()
    process.send(number)
    await process.end()
    await expect(stranger.page.locator("#state")).to_contain_text("Reconnecting", timeout=PATIENCE_MS)
    process = await start()
    said(f"{number.name}: it is up again")
    await stranger.over()
    assert plain(await stranger.shown()).startswith(plain(before)[:-20])
    assert len(await stranger.kept()) == count
    (newest,) = (await stranger.kept())[-1:]
    assert newest["status"] in ("completed", "incomplete"), newest["status"]
    said(f"{number.name}: {len(before.split())} words before, {len((await stranger.shown()).split())} at the end")
    await stranger.is_the_servers()
    return process


async def open_first(stranger: Stranger) -> Locator:
    """Open the chat of twenty turns from the list. Returns what was asked and said in it."""
    await stranger.page.get_by_role("link", name=QUESTIONS[0]).click()
    await expect(stranger.page.locator(".turn")).to_have_count(len(QUESTIONS), timeout=PATIENCE_MS)
    await stranger.over()
    return stranger.page.locator(f"#log .asked, #log {MESSAGE}")


async def take_along(stranger: Stranger, folder: Path) -> None:
    """Find a chat by its text, export it, delete it, put it back."""
    page = stranger.page
    told = await open_first(stranger)
    await page.locator(".search").fill("lovelace")
    await page.locator(".chats mark").wait_for(timeout=PATIENCE_MS)
    await page.locator(".search").fill("")
    shown = await told.all_inner_texts()
    count = len(await stranger.kept())
    async with page.expect_download(timeout=PATIENCE_MS) as download:
        await page.get_by_role("button", name="Export chats").click()
    await (await download.value).save_as(folder / "chats.json")
    await delete_all(page)
    assert await stranger.kept() == []
    await page.locator("#sidebar input[type=file]").set_input_files(folder / "chats.json")
    await page.locator(".chats [aria-current=page]").wait_for(timeout=PATIENCE_MS)  # at the end it opens the first
    await open_first(stranger)
    assert len(await stranger.kept()) == count
    assert await told.all_inner_texts() == shown
    await ask(page, "And after the import?")
    await page.locator(".answer.is-running").wait_for(timeout=PATIENCE_MS)
    await stranger.over()
    said(f"exported, deleted and imported: {count} answers")


async def delete_all(page: Page) -> None:
    """Delete all chats, one by one."""
    chats = page.locator(".chats li")
    await chats.first.wait_for()
    for left in reversed(range(await chats.count())):
        await chats.first.hover()
        await page.locator(".chats").get_by_role("button", name="Delete").first.click()
        await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        await expect(chats).to_have_count(left, timeout=PATIENCE_MS)


async def measure(browser: Browser) -> Page:
    """Measure first paint with an empty cache, and the first token as the page saw it."""
    page = await browser.open()
    paint = await page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    await page.keyboard.press("Control+Shift+E")
    await set_length(page, 40)
    for _ in range(2):
        await page.keyboard.press("Control+Shift+O")
        await ask(page, "Hello!")
        await page.locator(".answer:not(.is-running) .regenerate").wait_for(timeout=PATIENCE_MS)
        await asyncio.sleep(0.5)
        numbers = await page.locator("#drawer .numbers").inner_text()
        said(f"first paint {paint:.0f} ms; {' '.join(numbers.split())}")
    await expect(page.locator(".chats li")).to_have_count(2)
    await delete_all(page)
    await page.keyboard.press("Control+Shift+E")
    return page


@contextlib.asynccontextmanager
async def servers(model: str, folder: Path) -> AsyncIterator[Any]:
    """Return a function that starts a server, again and again, on the same port with the same store."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with contextlib.AsyncExitStack() as stack:

        async def start() -> ServerProcess:
            store = f"sqlite:{folder}/store.db"
            process = await stack.enter_async_context(
                serve("--model", model, "--port", str(port), "--store", store, "--drain-seconds", "0.5")
            )
            await process.ready()
            return process

        yield port, start


async def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--no-restarts", action="store_true", help="where a server takes minutes to start")
    given = parser.parse_args()
    model = given.model
    with tempfile.TemporaryDirectory() as name:
        async with servers(model, Path(name)) as (port, start):
            process = await start()
            said(f"{model} serves")
            http = f"http://127.0.0.1:{port}"
            async with browsing(http) as browser:
                stranger = Stranger(await measure(browser), http, STORY_TOKENS.get(model, ROOM_TOKENS))
                await talk(stranger)
                if given.pictures:
                    await pictures(stranger.page, given.pictures)
                await reload_in_mid_answer(stranger)
                for number in () if given.no_restarts else (signal.SIGTERM, signal.SIGKILL):
                    process = await restarted(stranger, process, number, start)
                await take_along(stranger, Path(name))
                browser.problems.clear()
            process.send(signal.SIGTERM)
            await process.end()


if __name__ == "__main__":
    asyncio.run(main())
