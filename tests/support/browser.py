"""Chromium for the tests of the chat page: Debian's package, driven by Playwright, one page's errors being failures."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Browser as Process
from playwright.async_api import BrowserContext, ConsoleMessage, Page, Playwright, async_playwright

# The first is the browser without its window: it takes half the CPU time.
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
PATIENCE_MS = 120_000  # a machine may be busy; nothing here is about time


def find_chromium() -> str:
    """Where Chromium is. Where there is none the test is skipped, except in CI, which installs it."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None and os.environ.get("TESTS_NEED_BROWSER") != "1":
        pytest.skip("no Chromium here (on Debian: apt install chromium): the chat page is not tested in a browser")
    assert found is not None, "CI has to have Chromium: .ci/run installs it"
    return found


class Browser:
    """A profile of a browser. `problems`: what its pages complained of; `foreign`: requests to other hosts."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.context = context
        self.url = url
        self.problems: list[str] = []
        self.foreign: list[str] = []
        context.set_default_timeout(PATIENCE_MS)
        context.on("console", self._heard)
        context.on("weberror", lambda error: self.problems.append(str(error.error)))
        context.on("request", lambda request: self._asked(request.url))

    async def open(self, path: str = "/") -> Page:
        """A new tab, which shows its composer."""
        page = await self.context.new_page()
        await page.goto(self.url + path)
        await page.locator("#composer-field").wait_for()
        return page

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.problems.append(message.text)

    def _asked(self, url: str) -> None:
        host = self.url.split("://")[1]
        if not url.startswith((f"http://{host}/", f"ws://{host}/", "data:", "blob:")):
            self.foreign.append(url)


class Chromium:
    """Chromium, started when it is first wanted and again if it has crashed. Each use gets a profile of its own."""

    def __init__(self, playwright: Playwright) -> None:
        self._type = playwright.chromium
        self._process: Process | None = None

    @contextlib.asynccontextmanager
    async def __call__(self, url: str, **options: Any) -> AsyncIterator[Browser]:
        """A profile for this server; at the end its pages must have complained of nothing and asked nobody else."""
        defaults = {"viewport": {"width": 1280, "height": 860}, "locale": "en"}
        context = await (await self._started()).new_context(**{**defaults, **options})
        try:
            browser = Browser(context, url)
            yield browser
            assert browser.foreign == []
            assert [text for text in browser.problems if "ERR_" not in text and "WebSocket" not in text] == []
        finally:
            await context.close()

    async def close(self) -> None:
        """End it, if it was started."""
        if self._process is not None:
            await self._process.close()

    async def _started(self) -> Process:
        if self._process is None or not self._process.is_connected():
            self._process = await self._type.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        return self._process


@contextlib.asynccontextmanager
async def chromium() -> AsyncIterator[Chromium]:
    """Chromium as long as it is wanted, for as many profiles as are wanted."""
    find_chromium()
    async with async_playwright() as playwright:
        started = Chromium(playwright)
        try:
            yield started
        finally:
            await started.close()


@contextlib.asynccontextmanager
async def browsing(url: str, **options: Any) -> AsyncIterator[Browser]:
    """Chromium with one profile, for a program that needs no more."""
    async with chromium() as started, started(url, **options) as browser:
        yield browser
