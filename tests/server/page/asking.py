"""What the browser tests of the chat page share: a model that a script speaks for, and how one asks and reads."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import httpx2
from playwright.async_api import Page, expect

from realtime.engine.base import EngineRequest
from realtime.engine.scripted import Step
from tests.support.browser import PATIENCE_MS, Browser
from tests.support.node import JS, find_node
from tests.support.patience import SECONDS
from tests.support.server import Running
from tests.support.steps import engine_holds, until

WORDS = [f"word{number} " + ("\n\n" if number % 7 == 6 else "") for number in range(60)]
CALL = ["<tool_call>", '{"name": "calculate", "arguments": {"expression": "6*7"}}', "</tool_call>"]
ATTACK = (
    "<img src=x onerror=hit(1)><script>hit(2)</script><svg onload=hit(3)><a href=javascript:hit(4)>[x](javascript:x)"
)
ACTIVE = "script, style, iframe, object, embed, link, meta, base, svg:not(.icon), img:not([src^='data:'])"
NAMES = """() => [...document.body.querySelectorAll("*")].flatMap((one) => [
  ...one.getAttributeNames().filter((name) => name.startsWith("on")),
  ...(/^(?:#|https?:|$)/.test(one.getAttribute("href") ?? "") ? [] : [one.getAttribute("href")]),
])"""
ROOM = 10**6  # tokens, more than any of these chats has
expect.set_options(timeout=PATIENCE_MS)


def script(request: EngineRequest) -> Iterable[Step]:
    """Words; a call of the calculator where that is offered."""
    prompt = bytes(token for token in request.prompt_token_ids if token < 256).decode(errors="replace")
    return CALL if "calculate" in prompt and "42" not in prompt else WORDS  # 42: its result


async def ask(page: Page, text: str) -> None:
    """Write it and press Enter."""
    await page.locator("#composer[data-ready]").wait_for()
    await page.get_by_role("textbox").last.fill(text)
    await page.keyboard.press("Enter")


async def wait_running(page: Page, server: Running) -> None:
    """Wait until the engine has the answer that the page shows as running, which it does as soon as it has asked."""
    await expect(page.locator(".answer.is-running")).to_be_visible()
    await until(lambda: engine_holds(server) > 0, "the request in the engine")


async def responses(server: Running) -> list[dict[str, Any]]:
    """What the server keeps of the page's chats, the oldest first, with the output."""
    async with httpx2.AsyncClient(base_url=server.http, timeout=SECONDS) as client:
        listed = (await client.get("/v1/responses?metadata.realtime_ui=chat&order=asc&limit=100")).json()["data"]
        return [(await client.get(f"/v1/responses/{one['id']}")).json() for one in listed]


def text_of(response: dict[str, Any]) -> str:
    """The words of its messages. What it thought is folded away on the page, and not in what it says."""
    messages = [item for item in response["output"] if item["type"] == "message"]
    parts = [part["text"] for item in messages for part in item["content"] if "text" in part]
    return " ".join("".join(parts).split())


async def shown(page: Page, at: int = -1) -> str:
    """The words of an answer on the page."""
    answer = page.locator("#log .answer").nth(at).locator(".answer-items > .prose")  # without what was thought
    return " ".join(" ".join(await answer.all_inner_texts()).split())


async def wait_shown(page: Page, words: str) -> None:
    """Wait until the newest answer has this in it."""
    await expect(page.locator("#log .answer").last).to_contain_text(words)


def axe_of() -> str:
    """The script of axe, which stands for who can't see."""
    find_node()
    return (JS / "node_modules/axe-core/axe.min.js").read_text()


async def violations(page: Page, axe: str) -> list[str]:
    """What axe finds on the page as it is. The order of headings is the model's own."""
    options = json.dumps({"rules": {"heading-order": {"enabled": False}}})
    found = await page.evaluate(f"{axe}; axe.run({options}).then(({{ violations }}) => violations)")
    return [f"{one['impact']} {one['id']}: {[node['target'] for node in one['nodes']]}" for one in found]


async def watch(browser: Browser) -> None:
    """Have its pages remember what an attack has reached."""
    await browser.context.add_init_script("window.hits = []; window.hit = (number) => window.hits.push(number)")


async def harmless(page: Page) -> None:
    """See that of all that somebody else has written nothing is more than text."""
    assert await page.locator("body").locator(ACTIVE).count() == 0
    assert await page.evaluate(NAMES) == []
    assert await page.evaluate("window.hits") == []
