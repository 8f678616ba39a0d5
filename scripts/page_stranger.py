"""Use the chat page as a stranger would, on a real small model: twenty turns, branches, reloads, restarts, an export.

`.venv/bin/python -m scripts.page_stranger [--model smollm2]` takes some minutes and prints what it saw. At every step
the text on the page has to be the server's.
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
from playwright.async_api import Page, expect

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


ANIMALS = {signal.SIGTERM: "whale", signal.SIGKILL: "crab"}


def said(text: str) -> None:
    """Print a line for the person who watches."""
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


class Stranger:
    """A user with one tab. `server` is the current process."""

    def __init__(self, page: Page, http: str) -> None:
        self.page = page
        self.http = http

    async def kept(self) -> list[dict[str, Any]]:
        """Return all responses of all chats at the server, oldest first."""
        async with httpx2.AsyncClient(base_url=self.http, timeout=60) as client:
            query = "metadata.realtime_ui=chat&order=asc&limit=100"
            listed = (await client.get(f"/v1/responses?{query}")).json()["data"]
            return [(await client.get(f"/v1/responses/{one['id']}")).json() for one in listed]

    async def shown(self) -> str:
        """Return the words of the newest answer on the page."""
        return " ".join(
            " ".join(await self.page.locator("#log .answer").last.locator(".prose").all_inner_texts()).split()
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

    async def running(self, text: str, words: int) -> None:
        """Ask, again if necessary, until so much of an answer is there and it still runs."""
        for _ in range(5):
            count = await self.page.locator(".turn").count()
            await ask(self.page, text)
            await expect(self.page.locator(".turn")).to_have_count(count + 1)
            await self.page.wait_for_function(FAR_ENOUGH, arg=words, timeout=PATIENCE_MS)
            if await self.page.locator(".turn:last-child .answer.is-running").count():
                return
        raise AssertionError("every answer was shorter")


def plain(text: str) -> str:
    """Return letters and figures only."""
    return "".join(filter(str.isalnum, text))


async def set_length(page: Page, tokens: int) -> None:
    """Set in the settings how long an answer may be."""
    await page.locator(".foot .quiet").click()
    await page.get_by_label("Longest answer").fill(str(tokens))
    await page.get_by_role("button", name="Save").click()
    await page.get_by_role("dialog").wait_for(state="detached")


async def talk(stranger: Stranger) -> None:
    """Take twenty turns, at some of them with another answer, another question, and the way back."""
    page = stranger.page
    await set_length(page, 20)
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


async def reload_in_mid_answer(stranger: Stranger) -> None:
    """Reload the page again and again in one answer."""
    await set_length(stranger.page, 60)
    await stranger.running("Write a long story about a fox and a river.", 8)
    for _ in range(3):
        await stranger.page.reload()
        await stranger.page.locator(".answer.is-running .prose").wait_for(timeout=PATIENCE_MS)
        await asyncio.sleep(1)
    await stranger.is_the_servers()
    said("three reloads in one answer")


async def restarted(stranger: Stranger, process: ServerProcess, number: signal.Signals, start: Any) -> ServerProcess:
    """End the server in the middle of an answer, start another one, and see the answer continue."""
    count = len(await stranger.kept())
    await set_length(stranger.page, 80)
    await stranger.running(f"Write a long story about the sea and a {ANIMALS[number]}.", 10)
    before = await stranger.shown()
    process.send(number)
    await process.end()
    await expect(stranger.page.locator("#state")).to_contain_text("Reconnecting", timeout=PATIENCE_MS)
    process = await start()
    said(f"{number.name}: it is up again")
    await stranger.over()
    assert plain(await stranger.shown()).startswith(plain(before)[:-20])
    assert len(await stranger.kept()) == count + 1
    (newest,) = (await stranger.kept())[-1:]
    assert newest["status"] in ("completed", "incomplete"), newest["status"]
    said(f"{number.name}: {len(before.split())} words before, {len((await stranger.shown()).split())} at the end")
    await stranger.is_the_servers()
    return process


async def take_along(stranger: Stranger, folder: Path) -> None:
    """Find a chat by its text, export it, delete it, put it back."""
    page = stranger.page
    await page.locator(".search").fill("lovelace")
    await page.locator(".chats mark").wait_for(timeout=PATIENCE_MS)
    await page.locator(".search").fill("")
    shown = await page.locator("#log").locator(".asked, .prose").all_inner_texts()
    count = len(await stranger.kept())
    async with page.expect_download(timeout=PATIENCE_MS) as download:
        await page.get_by_role("button", name="Export chats").click()
    await (await download.value).save_as(folder / "chats.json")
    await page.locator(".chats li").first.hover()
    await page.locator(".chats").get_by_role("button", name="Delete").first.click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(page.locator(".chats a")).to_have_count(0, timeout=PATIENCE_MS)
    assert await stranger.kept() == []
    await page.locator("#sidebar input[type=file]").set_input_files(folder / "chats.json")
    await expect(page.locator(".turn").nth(19)).to_be_attached(timeout=PATIENCE_MS)
    await stranger.over()
    assert len(await stranger.kept()) == count
    assert await page.locator("#log").locator(".asked, .prose").all_inner_texts() == shown
    await ask(page, "And after the import?")
    await page.locator(".answer.is-running").wait_for(timeout=PATIENCE_MS)
    await stranger.over()
    said(f"exported, deleted and imported: {count} answers")


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
    await page.locator(".chats li").first.wait_for()
    for _ in range(2):
        await page.locator(".chats li").first.hover()
        await page.locator(".chats").get_by_role("button", name="Delete").first.click()
        await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        await page.get_by_role("dialog").wait_for(state="detached")
        await asyncio.sleep(1)
    await page.keyboard.press("Control+Shift+E")
    return page


@contextlib.asynccontextmanager
async def servers(model: str, folder: Path) -> AsyncIterator[Any]:
    """Return a function that starts a server, again and again, on the same port with the same store."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with contextlib.AsyncExitStack() as stack:

        async def start() -> ServerProcess:
            arguments = (
                "--model",
                model,
                "--port",
                str(port),
                "--store",
                f"sqlite:{folder}/store.db",
                "--drain-seconds",
                "1",
            )
            process = await stack.enter_async_context(serve(*arguments))
            await process.ready()
            return process

        yield port, start


async def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="smollm2")
    model = parser.parse_args().model
    with tempfile.TemporaryDirectory() as name:
        async with servers(model, Path(name)) as (port, start):
            process = await start()
            said(f"{model} serves")
            http = f"http://127.0.0.1:{port}"
            async with browsing(http) as browser:
                stranger = Stranger(await measure(browser), http)
                await talk(stranger)
                await reload_in_mid_answer(stranger)
                for number in (signal.SIGTERM, signal.SIGKILL):
                    process = await restarted(stranger, process, number, start)
                await take_along(stranger, Path(name))
                browser.problems.clear()
            process.send(signal.SIGTERM)
            await process.end()


if __name__ == "__main__":
    asyncio.run(main())
