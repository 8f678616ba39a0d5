"""Chromium for the tests of the chat page: Debian's package, driven by Playwright, one page's errors being failures."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import BrowserContext, ConsoleMessage, Page, async_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE_MS = 30_000  # a machine may be busy; nothing here is about time


def find_chromium() -> str:
    """Where Chromium is. Where there is none the test is skipped, except in CI, which installs it."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None and os.environ.get("TESTS_NEED_BROWSER") != "1":
        pytest.skip("no Chromium here (on Debian: apt install chromium): the chat page is not tested in a browser")
    assert found is not None, "CI has to have Chromium: .ci/run installs it"
    return found


class Browser:
    """A browser with one profile. `problems`: what its pages complained of; `foreign`: requests to other hosts."""

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


@contextlib.asynccontextmanager
async def browsing(url: str, **options: Any) -> AsyncIterator[Browser]:
    """A browser for this server; at the end its pages must have complained of nothing and asked nobody else."""
    executable = find_chromium()
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        try:
            context = await chromium.new_context(
                **{"viewport": {"width": 1280, "height": 860}, "locale": "en", **options}
            )
            browser = Browser(context, url)
            yield browser
            assert browser.foreign == []
            assert [text for text in browser.problems if "ERR_" not in text and "WebSocket" not in text] == []
        finally:
            await chromium.close()
