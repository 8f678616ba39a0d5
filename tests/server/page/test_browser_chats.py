"""The chat page in Chromium: branches, names, exports, the page's tools, keys."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.async_api import expect

from realtime.server.keys import KeyFile, write_keys
from realtime.settings.fields import ServerSettings, Settings
from tests.server.page.asking import ROOM, ask, responses, script, wait_shown
from tests.support.browser import Chromium
from tests.support.pictures import image
from tests.support.server import running

GIVE = """for (const [name, to] of [["pasted", document.activeElement], ["dropped", document.body]]) {
  const files = new DataTransfer();
  files.items.add(new File(["a text"], `${name}.txt`, { type: "text/plain" }));
  const options = { bubbles: true, cancelable: true, clipboardData: files, dataTransfer: files };
  to.dispatchEvent(name === "pasted" ? new ClipboardEvent("paste", options) : new DragEvent("drop", options));
}"""

pytestmark = pytest.mark.asyncio(loop_scope="session")  # that of the browser


async def test_branches_names_deletion_and_an_export_that_comes_back(browsing: Chromium, tmp_path: Path) -> None:
    async with running(script, tick_seconds=0, max_model_len=ROOM) as server, browsing(server.http) as browser:
        page = await browser.open()
        await ask(page, "first question")
        await wait_shown(page, "word59")
        await page.locator(".answer .regenerate").click()
        await expect(page.locator(".answer .arrows")).to_contain_text("2 of 2")
        await expect(page.locator(".answer .regenerate")).to_be_visible()
        await page.get_by_role("button", name="Edit", exact=True).click()
        await page.locator(".editing textarea").fill("another question")
        await page.keyboard.press("Enter")
        await expect(page.locator(".question .arrows")).to_contain_text("2 of 2")
        await expect(page.locator(".answer .regenerate")).to_be_visible()
        await ask(page, "second turn")
        await expect(page.locator(".turn")).to_have_count(2)
        await expect(page.locator(".answer .regenerate")).to_have_count(2)
        await page.locator(".question .arrows").get_by_role("button", name="Earlier version").click()
        await expect(page.locator(".asked")).to_have_text(["first question"])
        await page.reload()
        await expect(page.locator(".asked")).to_have_text(["first question"])

        await page.locator(".chats li").hover()
        await page.get_by_role("button", name="Rename: first question").click()
        await page.keyboard.type("Renamed")
        await page.keyboard.press("Enter")
        await expect(page.locator(".chats a")).to_have_text("Renamed")
        async with page.expect_download() as download:
            await page.get_by_role("button", name="Export chats").click()
        await (await download.value).save_as(tmp_path / "chats.json")
        (kept,) = json.loads((tmp_path / "chats.json").read_text())["chats"]
        assert (kept["title"], len(kept["responses"])) == ("Renamed", 4)

        await page.locator(".chats li").hover()
        await page.get_by_role("button", name="Delete: Renamed").click()
        await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        await expect(page.locator(".chats a")).to_have_count(0)
        assert await responses(server) == []
        await page.locator("#sidebar input[type=file]").set_input_files(tmp_path / "chats.json")
        await expect(page.locator(".chats a")).to_have_text("Renamed")
        await expect(page.locator(".asked")).to_have_text(["another question", "second turn"])
        await wait_shown(page, "word59")
        await expect(page.locator(".question .arrows").first).to_contain_text("2 of 2")
        await ask(page, "after the import")
        await expect(page.locator(".turn")).to_have_count(3)
        await wait_shown(page, "word59")


async def test_attachments_tools_and_another_language(browsing: Chromium, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("a note")
    (tmp_path / "picture.png").write_bytes(image())
    (tmp_path / "program.bin").write_bytes(b"\0\1")
    hermes = running(script, tick_seconds=0, max_model_len=ROOM, family="hermes", sees=True)
    async with hermes as server, browsing(server.http) as browser:
        page = await browser.open()
        await page.get_by_role("button", name="Settings").click()
        await page.get_by_label("Offer the page's tools").check()
        await page.get_by_label("Language").select_option("de")
        await page.get_by_role("button", name="Save").click()
        await expect(page.get_by_role("textbox").last).to_have_attribute("placeholder", "Frag etwas")
        for name in ("program.bin", "notes.txt", "picture.png"):
            await page.locator("#composer input[type=file]").set_input_files(tmp_path / name)
        await expect(page.locator("#composer .attachment")).to_have_count(2)
        await expect(page.locator("#state")).to_contain_text("program.bin")
        await page.evaluate(GIVE)
        await expect(page.locator("#composer .attachment .file")).to_have_count(3)
        for name in ("pasted.txt", "dropped.txt"):
            await page.get_by_role("button", name=f"{name} entfernen").click()
        await ask(page, "what is six times seven")
        await wait_shown(page, "word59")
        assert [one["output"][0]["type"] for one in await responses(server)] == ["function_call", "message"]
        await expect(page.locator(".card").nth(0)).to_contain_text("Ruft calculate auf")
        await page.reload()
        await expect(page.locator(".question img.attached")).to_be_visible()
        await expect(page.locator(".question .file")).to_have_text("notes.txt")
        await expect(page.locator(".card").nth(1)).to_contain_text("42")


async def test_a_key_is_asked_for_and_kept_in_the_tab(browsing: Chromium, tmp_path: Path) -> None:
    keys, key = KeyFile().add("someone")
    write_keys(tmp_path / "keys.json", keys)
    settings = Settings(server=ServerSettings(api_keys_file=str(tmp_path / "keys.json")))
    async with (
        running(script, settings, tick_seconds=0, max_model_len=ROOM) as server,
        browsing(server.http) as browser,
    ):
        page = await browser.open()
        for tried, said in (("wrong-key", "asks for"), (key, "does not know")):
            await expect(page.get_by_role("dialog")).to_contain_text(said)
            await page.get_by_label("API key").last.fill(tried)
            await page.keyboard.press("Enter")
        await ask(page, "a story")
        await wait_shown(page, "word59")
        await page.reload()
        await wait_shown(page, "word59")
        assert key not in page.url
        assert json.loads(await page.evaluate("sessionStorage['realtime.key']")) == key
        assert await page.evaluate("localStorage['realtime.key'] ?? null") is None
        browser.problems.clear()  # Chromium tells of each 401
