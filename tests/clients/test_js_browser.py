"""Pages in Chromium, on the real server: AI SDK's `useChat` on our transport, and the example without a build step."""

from __future__ import annotations

import contextlib
import functools
import json
import shutil
import subprocess
import threading
from collections.abc import AsyncIterator, Iterable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import BrowserContext, ConsoleMessage, Page, async_playwright, expect

from realtime.engine.base import EngineRequest
from realtime.engine.scripted import Step
from tests.support.browser import PATIENCE_MS, find_chromium
from tests.support.node import JS, find_node
from tests.support.server import Running, running
from tests.support.steps import engine_holds, until

ROOT = JS.parents[1]
STORY = "".join(f"word{number} " for number in range(8))
LONG = "".join(f"{number} " for number in range(400))
URL_OF_EXAMPLE = '"ws://127.0.0.1:8000/v1/responses"'


def _script(request: EngineRequest) -> Iterable[Step]:
    asked = bytes(token for token in request.prompt_token_ids if token < 256).rpartition(b"user")[2]
    if b"endless" in asked:
        return ("on and on " for _ in range(100_000))
    return [f"{word} " for word in (LONG if b"long" in asked else STORY).split()]


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The files of a folder over HTTP."""
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextlib.asynccontextmanager
async def chromium(problems: list[str]) -> AsyncIterator[BrowserContext]:
    """A profile of a browser. Whatever a page throws is a problem."""
    executable = find_chromium()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        try:
            context = await browser.new_context()
            context.set_default_timeout(PATIENCE_MS)
            context.on("weberror", lambda error: problems.append(str(error.error)))
            yield context
        finally:
            await browser.close()


@pytest.fixture
async def server() -> AsyncIterator[Running]:
    async with running(_script, tick_seconds=0.005, max_model_len=10**6) as server:
        yield server


def bundled(folder: Path, url: str) -> None:
    """The example as a bundler makes a page of it, for this server."""
    node = find_node()
    modules = folder / "node_modules"
    modules.mkdir()
    for name in ("@ai-sdk", "ai", "react", "react-dom"):
        (modules / name).symlink_to(JS / "node_modules" / name)
    (modules / "realtime-llm-client").symlink_to(JS)
    example = (ROOT / "examples" / "use_chat.tsx").read_text()
    assert URL_OF_EXAMPLE in example
    (folder / "use_chat.tsx").write_text(example.replace(URL_OF_EXAMPLE, json.dumps(url)))
    shutil.copy(JS / "test" / "use_chat_page.jsx", folder)
    (folder / "key").write_text("of-this-minute")
    (folder / "index.html").write_text(
        '<!doctype html><div id="root"></div><script type="module" src="page.js"></script>'
    )
    done = subprocess.run([node, str(JS / "test" / "build_page.mjs"), str(folder)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


async def said(page: Page) -> list[str]:
    return await page.locator("main > p:not([role])").all_inner_texts()


async def ask(page: Page, text: str) -> None:
    field = page.locator("input[name=text]")
    await expect(field).to_be_enabled(timeout=PATIENCE_MS)
    await field.fill(text)
    await field.press("Enter")


async def test_use_chat_stops_and_resumes_also_over_a_reload(server: Running, tmp_path: Path) -> None:
    bundled(tmp_path, server.url)
    problems: list[str] = []
    receipts: list[Any] = []

    async def heard(message: ConsoleMessage) -> None:
        if message.type == "log":
            receipts.append(await message.args[0].json_value())

    with serving(tmp_path) as site:
        async with chromium(problems) as context:
            page = await context.new_page()
            page.on("console", heard)
            await page.goto(f"{site}/#one")
            answers = page.locator("main > p:not([role])")

            # A stop is a cancel that the server confirms.
            await ask(page, "endless")
            await expect(answers.nth(1)).to_contain_text("on and on on and on", timeout=PATIENCE_MS)
            await page.get_by_role("button", name="Stop").click()
            await until(lambda: len(receipts) == 1 and engine_holds(server) == 0)
            assert receipts[0]["tokens_generated"] > 0
            shown = (await said(page))[1]
            assert set(shown.split()) == {"on", "and"}

            # A component that goes stops its answer, by the SDK's own rule; what was shown of it is there afterwards.
            await ask(page, "endless")
            await expect(answers.nth(3)).to_contain_text("on and on on", timeout=PATIENCE_MS)
            await page.get_by_role("button", name="Leave").click()
            await until(lambda: len(receipts) == 2 and engine_holds(server) == 0)
            await page.get_by_role("button", name="Return").click()
            await expect(answers.nth(3)).to_contain_text("on and on on", timeout=PATIENCE_MS)

            # A reload in mid-answer: the page has what was said, and the answer goes on to its end.
            await ask(page, "long")
            await expect(answers.nth(5)).to_contain_text("0 1 2 3", timeout=PATIENCE_MS)
            await page.reload()
            await expect(answers.nth(5)).to_have_text(LONG.strip(), timeout=PATIENCE_MS)
            assert [text.strip() for text in await said(page)][::2] == ["endless", "endless", "long"]
            assert (await said(page))[1].strip().startswith(shown.strip()[:20])

            # A stop of an answer that was found after a reload.
            await ask(page, "endless again")
            await expect(answers.nth(7)).to_contain_text("on and on", timeout=PATIENCE_MS)
            await page.reload()
            await expect(answers.nth(7)).to_contain_text("on and on on", timeout=PATIENCE_MS)
            await page.get_by_role("button", name="Stop").click()
            await until(lambda: len(receipts) == 3 and engine_holds(server) == 0)
            await ask(page, "hi")
            await expect(answers.nth(9)).to_have_text(STORY.strip(), timeout=PATIENCE_MS)
    assert problems == []


async def test_the_page_of_the_examples_stops_and_resumes_over_a_reload(server: Running) -> None:
    problems: list[str] = []
    with serving(ROOT) as site:
        async with chromium(problems) as context:
            page = await context.new_page()
            await page.goto(f"{site}/examples/browser.html?url={server.url}")
            lines = page.locator("#log p")
            await _tell(page, "endless")
            await expect(lines.nth(1)).to_contain_text("on and on on and on", timeout=PATIENCE_MS)
            await page.locator("#stop").click()
            await expect(page.locator("#stop")).to_be_disabled(timeout=PATIENCE_MS)
            await until(lambda: engine_holds(server) == 0)
            await _tell(page, "long")
            await expect(lines.nth(3)).to_contain_text("0 1 2 3", timeout=PATIENCE_MS)
            await page.reload()
            await expect(lines.nth(3)).to_have_text(LONG.strip(), timeout=PATIENCE_MS)
            await expect(lines).to_have_count(4)
    assert problems == []


async def _tell(page: Page, text: str) -> None:
    await page.locator("input[name=question]").fill(text)
    await page.locator("input[name=question]").press("Enter")
