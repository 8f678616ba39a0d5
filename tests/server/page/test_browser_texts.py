"""The chat page in Chromium: what is not an answer is text too - titles, names of files and models, errors, imports."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import WebSocketRoute, expect

from realtime.engine.scripted import Fail, say
from tests.server.page.asking import ATTACK, ROOM, ask, axe_of, harmless, script, violations, wait_shown, watch
from tests.support.browser import Chromium
from tests.support.server import changed, running

pytestmark = pytest.mark.asyncio(loop_scope="session")  # that of the browser

FILE = "<img src=x onerror=hit(7)>"


def message(role: str, *content: dict[str, str]) -> dict[str, Any]:
    """An item of a conversation."""
    return {"type": "message", "role": role, "content": content}


STRANGERS = {
    "format": "realtime-chats", "version": 1,
    "chats": [{"id": "x", "title": ATTACK, "responses": [{
        "id": "x", "previous_response_id": None, "metadata": {"chat_step": ATTACK},
        "items": [
            message("user", {"type": "input_text", "text": ATTACK}, {"type": "input_file", "filename": ATTACK,
                    "file_data": "data:text/plain;base64,YQ=="}),
            {"type": "function_call", "call_id": "c", "name": "calculate", "arguments": json.dumps({"a": ATTACK})},
            {"type": "function_call_output", "call_id": "c", "output": ATTACK},
            message("assistant", {"type": "output_text", "text": ATTACK}),
        ],
    }]}],
}  # fmt: skip


async def test_titles_names_and_errors_stay_text(browsing: Chromium, tmp_path: Path) -> None:
    axe = axe_of()
    for name in (f"{FILE}.txt", f"{FILE}.bin"):
        (tmp_path / name).write_bytes(b"a\0"[: 1 + name.endswith("bin")])
    async with (
        running(script, changed(served_name=ATTACK), tick_seconds=0, max_model_len=ROOM, sees=True) as server,
        browsing(server.http, reduced_motion="reduce") as browser,
    ):
        await watch(browser)
        page = await browser.open()
        await expect(page.locator(".greeting .model")).to_contain_text(ATTACK)
        await page.get_by_role("button", name="Settings").click()
        await expect(page.get_by_role("dialog")).to_contain_text(ATTACK)
        await harmless(page)
        await page.keyboard.press("Escape")

        for name in (f"{FILE}.bin", f"{FILE}.txt"):
            await page.locator("#composer input[type=file]").set_input_files(tmp_path / name)
        await expect(page.locator("#state")).to_contain_text(f"{FILE}.bin")
        await expect(page.locator("#composer .attachment .file")).to_have_text(f"{FILE}.txt")
        assert await violations(page, axe) == [], "with a file"
        await ask(page, ATTACK)
        await wait_shown(page, "word59")
        for place in (".chats a", ".top h1"):
            await expect(page.locator(place)).to_contain_text("<script>hit(2)")  # a title is a beginning
        assert (await page.title()).startswith("<img")
        await expect(page.locator(".question .file")).to_have_text(f"{FILE}.txt")
        await page.locator(".search").fill("onerror")
        await expect(page.locator(".chats mark")).to_have_text("onerror")
        await harmless(page)


async def test_an_error_stays_text(browsing: Chromium) -> None:
    """One that refuses, and one that ends an answer, as a server could be made to word it."""
    axe = axe_of()
    failing = say("a ", "word ", Fail())
    async with (
        running(failing, tick_seconds=0, max_model_len=ROOM) as server,
        browsing(server.http, reduced_motion="reduce") as browser,
    ):
        await watch(browser)
        await browser.context.route_web_socket("**/v1/responses", reword)
        page = await browser.open()
        await ask(page, "a question")
        await expect(page.locator("#log .note")).to_contain_text(ATTACK)
        await harmless(page)
        assert await violations(page, axe) == [], "an answer that failed"
        await page.evaluate("localStorage['realtime.settings'] = JSON.stringify({ mcp: '<b>' })")
        await page.reload()
        await ask(page, "another one")
        await expect(page.locator("#state")).to_contain_text(ATTACK)
        await harmless(page)
        assert await violations(page, axe) == [], "a question that was refused"


def reword(socket: WebSocketRoute) -> None:
    """Put an attack into the text of every error."""
    server = socket.connect_to_server()
    socket.on_message(server.send)
    text = json.dumps(ATTACK)[1:-1]
    server.on_message(lambda frame: socket.send(re.sub(r'(?<="message":")[^"]+', lambda _: text, str(frame))))


async def test_an_import_from_a_stranger_stays_text(browsing: Chromium, tmp_path: Path) -> None:
    axe = axe_of()
    (tmp_path / "broken.json").write_text(FILE)
    (tmp_path / "chats.json").write_text(json.dumps(STRANGERS))
    async with (
        running(script, tick_seconds=0, max_model_len=ROOM, family="hermes", sees=True) as server,
        browsing(server.http, reduced_motion="reduce") as browser,
    ):
        await watch(browser)
        page = await browser.open()
        await page.locator("#composer[data-ready]").wait_for()
        await page.locator("#sidebar input[type=file]").set_input_files(tmp_path / "broken.json")
        await expect(page.locator("#state")).to_contain_text("<img")
        await harmless(page)
        await page.locator("#sidebar input[type=file]").set_input_files(tmp_path / "chats.json")
        await expect(page.locator(".asked")).to_have_text(ATTACK)
        await expect(page.locator(".question .file")).to_have_text(ATTACK)
        await expect(page.locator(".chats a")).to_have_text(ATTACK)
        for card in await page.locator("summary").all():
            await card.click()
        await expect(page.locator(".card .args")).to_contain_text([ATTACK, ATTACK])
        await harmless(page)
        assert await violations(page, axe) == [], "what was imported"
