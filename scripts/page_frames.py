"""Measure the cost of a frame of a long answer on the chat page, compared with rendering all of it again.

`.venv/bin/python -m scripts.page_frames [--bytes 100000]`: the page's own module shows a text that grows by 50
characters a frame, in Chromium, with layout.
"""

from __future__ import annotations

import argparse
import asyncio
import re
from pathlib import Path
from typing import Any

from realtime.engine.scripted import say
from realtime.server.page.files import read_page
from tests.support.browser import browsing
from tests.support.server import running

PROGRAM = Path(__file__).with_suffix(".mjs")


def as_script() -> str:
    """Return the module's functions in the form that a page's policy lets a debugger run: without imports."""
    return re.sub(r"^export ", "", PROGRAM.read_text("utf-8"), flags=re.MULTILINE)


async def measure(length: int) -> dict[str, Any]:
    """Measure both texts, both ways."""
    module = f"/page/{read_page().version}/view/markdown.mjs"
    program = f"""(async () => {{ {as_script()}
      const {{ MarkdownView }} = await import({module!r});
      const texts = {{ mixed: mixed({length}), "one block of code": oneBlock({length}) }};
      return Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, compared(MarkdownView, text)]));
    }})()"""
    async with running(say("a")) as server, browsing(server.http) as browser:
        page = await browser.open()
        found: dict[str, Any] = await page.evaluate(program)
        return found


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bytes", type=int, default=100_000)
    found = asyncio.run(measure(parser.parse_args().bytes))
    print("| text | how | median ms | p99 ms | longest ms | frames |\n|---|---|---|---|---|---|")
    for text, ways in found.items():
        for way in ("patched", "anew"):
            one = ways[way]
            print(f"| {text} | {way} | {one['median']:.1f} | {one['p99']:.0f} | {one['max']:.0f} | {one['frames']} |")
        print(f"| {text} | the end, read once more | {ways['end']:.0f} | | | 1 |")


if __name__ == "__main__":
    main()
