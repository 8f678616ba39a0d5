"""The chat page as a user has it, in Chromium: reloads, a bad network, two tabs, branches, attacks, a screen reader."""

from __future__ import annotations

import asyncio
import json
import random
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Page, expect

from realtime.engine.base import EngineRequest
from realtime.engine.scripted import Step
from realtime.server.keys import KeyFile, write_keys
from realtime.settings.fields import ServerSettings, Settings
from tests.support.browser import PATIENCE_MS, browsing, find_chromium
from tests.support.long import effort
from tests.support.node import find_node
from tests.support.server import Running, running

HERE = Path(__file__).parent
WORDS = [f"word{number} " + ("\n\n" if number % 7 == 6 else "") for number in range(60)]
CALL = ["<tool_call>", '{"name": "calculate", "arguments": {"expression": "6*7"}}', "</tool_call>"]
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(autouse=True)
def _there_is_a_browser() -> None:
    find_chromium()


def _script(request: EngineRequest) -> Iterable[Step]:
    prompt = bytes(token for token in request.prompt_token_ids if token < 256).decode(errors="replace")
    return CALL if "calculate" in prompt and "42" not in prompt else WORDS  # 42: its result


def _chat_server() -> Any:
    return running(_script, tick_seconds=None, max_model_len=10**6)


async def ask(page: Page, text: str) -> None:
    """Write it and press Enter."""
    await page.get_by_role("textbox").last.fill(text)
    await page.keyboard.press("Enter")


async def responses(server: Running) -> list[dict[str, Any]]:
    """What the server keeps of the page's chats, the oldest first, with the output."""
    async with httpx.AsyncClient(base_url=server.http) as client:
        listed = (await client.get("/v1/responses?metadata.realtime_ui=chat&order=asc&limit=100")).json()["data"]
        return [(await client.get(f"/v1/responses/{one['id']}")).json() for one in listed]


def text_of(response: dict[str, Any]) -> str:
    """Its words."""
    parts = [part["text"] for item in response["output"] for part in item.get("content") or [] if "text" in part]
    return " ".join("".join(parts).split())


async def shown(page: Page, at: int = -1) -> str:
    """The words of an answer on the page."""
    answer = page.locator("#log .answer").nth(at).locator(".prose")
    return " ".join(" ".join(await answer.all_inner_texts()).split())


async def wait_shown(page: Page, words: str) -> None:
    """Wait until the newest answer has this in it."""
    await expect(page.locator("#log .answer").last).to_contain_text(words)


async def test_a_reload_in_mid_answer_goes_on() -> None:
    async with _chat_server() as server, browsing(server.http) as browser:
        page = await browser.open()
        await ask(page, "a story")
        await expect(page.locator(".answer.is-running")).to_be_visible()
        server.engine.step(20)
        await wait_shown(page, "word18")
        address = page.url
        await page.reload()
        await wait_shown(page, "word18")
        assert page.url == address
        server.engine.step(10)
        await wait_shown(page, "word28")
        await page.reload()
        server.engine.run_until_idle()
        await wait_shown(page, "word59")
        await expect(page.locator(".answer .regenerate")).to_be_visible()
        (response,) = await responses(server)
        assert await shown(page) == text_of(response)
        await page.reload()
        await wait_shown(page, "word59")
        assert await shown(page) == text_of(response)
        log = page.get_by_role("log")
        assert await log.count() == 1
        assert (await log.inner_text()).startswith("a story")
        assert await page.get_by_role("textbox").last.get_attribute("id") == "composer-field"


async def test_a_bad_network_does_not_show_in_the_text() -> None:
    async with _chat_server() as server, browsing(server.http) as browser:
        page = await browser.open()
        await page.keyboard.press("Control+Shift+E")
        await ask(page, "a story")
        await expect(page.locator(".answer.is-running")).to_be_visible()
        for step, button in ((10, "#net-cut"), (22, "#net-swallow"), (40, "#net-cut")):
            server.engine.step(step - server.engine.num_ticks)
            await page.locator(button).click()
            server.engine.step(5)
            await wait_shown(page, f"word{server.engine.num_ticks - 2} ")
        await expect(page.locator("#state")).to_contain_text("caught up")
        await page.locator("#drawer .cursor").fill("5")
        await page.locator("#net-restart").click()
        server.engine.run_until_idle()
        await wait_shown(page, "word59")
        (response,) = await responses(server)
        assert await shown(page) == text_of(response)
        await expect(page.locator("#drawer .events li").last).to_contain_text("completed")


async def test_random_moments() -> None:
    """Reloads and cuts at any moment: the text is the server's, and it was generated once."""
    rng = random.Random(7)
    async with running(_script, tick_seconds=None, max_model_len=10**6) as server, browsing(server.http) as browser:
        page, other = await browser.open(), await browser.open()
        await page.keyboard.press("Control+Shift+E")
        for round_ in range(effort(1, 25)):
            await page.keyboard.press("Control+Shift+O")
            await ask(page, f"question {round_}")
            await expect(page.locator(".turn")).to_have_count(1)
            for _ in range(2):
                server.engine.step(rng.randrange(25))
                match rng.choice(["reload", "cut", "cut", "swallow", "at once"]):
                    case "reload":
                        await page.reload()
                        await page.locator("#composer-field").wait_for()
                        await page.keyboard.press("Control+Shift+E")
                    case "cut":
                        await page.locator("#net-cut").click()
                    case "swallow":
                        await page.locator("#net-swallow").click()
                    case "at once":
                        await page.evaluate("document.body.dataset.old = 1; location.reload()")
                        await page.locator("body:not([data-old]) #composer-field").wait_for()
                        await page.keyboard.press("Control+Shift+E")
            await other.get_by_role("link", name=re.compile(rf"^question {round_}\b")).click()
            await expect(page.locator(".turn")).to_have_count(1)
            async with asyncio.timeout(60):
                while len(await responses(server)) <= round_:
                    await asyncio.sleep(0.05)  # a create that was cut comes again
            server.engine.run_until_idle()
            for one in (page, other):
                await wait_shown(one, "word59")
                await expect(one.locator(".answer .regenerate")).to_be_visible()
            kept = await responses(server)
            assert len(kept) == round_ + 1
            assert await shown(page) == await shown(other) == text_of(kept[-1]) == " ".join("".join(WORDS).split())
        browser.problems.clear()  # of sockets that were cut


async def test_a_second_tab_shows_it_live_and_can_stop_it() -> None:
    async with _chat_server() as server, browsing(server.http) as browser:
        first = await browser.open()
        await ask(first, "a story")
        await expect(first.locator(".answer.is-running")).to_be_visible()
        server.engine.step(8)
        second = await browser.open()
        await second.get_by_role("link", name="a story").click()
        await wait_shown(second, "word6")
        server.engine.step(4)
        await wait_shown(second, "word10")
        await second.get_by_role("button", name="Stop").click()
        for page in (first, second):
            await expect(page.locator("#log .note")).to_contain_text("Stopped")
        (response,) = await responses(server)
        assert response["status"] == "cancelled"
        assert await shown(first) == await shown(second) == text_of(response) != ""
        await ask(second, "and more")  # the first one learns of it and follows
        await expect(first.locator(".answer")).to_have_count(2)
        await expect(first.locator(".answer.is-running")).to_be_visible()
        server.engine.run_until_idle()
        await wait_shown(first, "word59")
        assert len(await responses(server)) == 2


async def test_branches_names_deletion_and_an_export_that_comes_back(tmp_path: Path) -> None:
    async with running(_script, tick_seconds=0, max_model_len=10**6) as server, browsing(server.http) as browser:
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


async def test_the_pages_own_tools_answer_a_call() -> None:
    hermes = running(_script, tick_seconds=0, max_model_len=10**6, family="hermes")
    async with hermes as server, browsing(server.http) as browser:
        page = await browser.open()
        await page.get_by_role("button", name="Settings").click()
        await page.get_by_label("Offer the page's tools").check()
        await page.get_by_role("button", name="Save").click()
        await ask(page, "what is six times seven")
        await wait_shown(page, "word59")
        assert [one["output"][0]["type"] for one in await responses(server)] == ["function_call", "message"]
        await expect(page.locator(".card").nth(0)).to_contain_text("Calls calculate")
        await expect(page.locator(".card").nth(1)).to_contain_text("42")


async def test_a_key_is_asked_for_and_kept_in_the_tab(tmp_path: Path) -> None:
    keys, key = KeyFile().add("someone")
    write_keys(tmp_path / "keys.json", keys)
    settings = Settings(server=ServerSettings(api_keys_file=str(tmp_path / "keys.json")))
    async with running(_script, settings, tick_seconds=0, max_model_len=10**6) as server, browsing(server.http) as browser:
        page = await browser.open()
        for tried in ("wrong-key", key):
            await page.get_by_label("API key").last.fill(tried)
            await page.keyboard.press("Enter")
        await page.get_by_role("dialog").wait_for(state="detached")
        await ask(page, "a story")
        await wait_shown(page, "word59")
        await page.reload()
        await wait_shown(page, "word59")
        assert key not in page.url
        assert json.loads(await page.evaluate("sessionStorage['realtime.key']")) == key
        assert await page.evaluate("localStorage['realtime.key'] ?? null") is None
        browser.problems.clear()  # Chromium tells of each 401


async def test_attacks_stay_text() -> None:
    source = "import('./attacks.mjs').then(({ ATTACKS }) => console.log(JSON.stringify(ATTACKS)))"
    said = subprocess.run([find_node(), "-e", source], cwd=HERE, capture_output=True, text=True, check=True).stdout
    text = "\n\n".join(json.loads(said))
    pieces = re.findall(r"\S+\s*", text)
    async with running(lambda _: pieces, tick_seconds=0, max_model_len=10**6) as server, browsing(server.http) as browser:
        page = await browser.open()
        await page.evaluate("window.hits = []; window.hit = (number) => window.hits.push(number); 0")
        await ask(page, "attack")
        await expect(page.locator(".answer .regenerate")).to_be_visible()
        inside = page.locator("#log .prose")
        assert await inside.locator("script, style, iframe, object, embed, form, link, meta, base, svg:not(.icon)").count() == 0
        links = await inside.locator("a").evaluate_all("all => all.map((a) => [a.getAttribute('href'), a.rel])")
        assert all(re.match(r"https?://", href) and "noopener" in rel for href, rel in links)
        assert await inside.locator("a[href*='thief']").count() > 0
        for link in await inside.locator("summary, button").all():
            await link.click()
        assert await inside.evaluate("all => [...all.querySelectorAll('*')].flatMap((e) => [...e.attributes]).filter(({ name }) => name.startsWith('on')).length") == 0
        assert await page.evaluate("window.hits") == []
        (response,) = await responses(server)
        assert response["status"] == "completed"


async def test_axe_finds_nothing() -> None:
    find_node()
    axe = (Path(__file__).parents[3] / "clients/js/node_modules/axe-core/axe.min.js").read_text()
    text = (HERE / "sample.md").read_text()
    async with running(lambda _: re.findall(r"\S+\s*", text), tick_seconds=0, max_model_len=10**6) as server:
        async with browsing(server.http, color_scheme="dark", reduced_motion="reduce") as browser:
            page = await browser.open()
            await ask(page, "a sample")
            await expect(page.locator(".answer .regenerate")).to_be_visible()
            await page.locator("math").first.wait_for()
            await page.locator(".hl-keyword").first.wait_for()
            await page.keyboard.press("Control+Shift+E")
            assert await violations(page, axe) == []
            await page.emulate_media(color_scheme="light")
            assert await violations(page, axe) == []
            await page.get_by_role("button", name="Settings").click()
            assert await violations(page, axe) == []
            await page.set_viewport_size({"width": 390, "height": 844})
            await page.keyboard.press("Escape")
            assert await violations(page, axe) == []


async def violations(page: Page, axe: str) -> list[str]:
    """What axe finds on the page as it is. The order of headings is the model's own."""
    options = json.dumps({"rules": {"heading-order": {"enabled": False}}})
    found = await page.evaluate(f"{axe}; axe.run({options}).then(({{ violations }}) => violations)")
    return [f"{one['impact']} {one['id']}: {[node['target'] for node in one['nodes']]}" for one in found]
