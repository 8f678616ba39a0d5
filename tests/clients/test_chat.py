"""The terminal chat as a user sees it: a real terminal, a real server, Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from realtime.engine.scripted import say
from realtime.server.notice import Notice, running_urls
from tests.support.process import serve
from tests.support.server import running
from tests.support.steps import make_keys


class Terminal:
    """A program in a pseudo-terminal: what it shows, and what is typed."""

    def __init__(self, screen: int, process: asyncio.subprocess.Process) -> None:
        self._screen = screen
        self.process = process
        self._shown = ""
        self._news = asyncio.Event()
        asyncio.get_running_loop().add_reader(screen, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._screen, 65536)
        except OSError:  # the program has gone
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self._screen)
        self._shown += data.decode(errors="replace")
        self._news.set()

    async def shows(self, text: str) -> None:
        """Wait until this is on the screen, behind what was waited for before."""
        try:
            async with asyncio.timeout(120):
                while text not in self._shown:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"never shown: {text!r}; the screen:\n{self._shown}") from None
        self._shown = self._shown.split(text, 1)[1]

    def type(self, text: str) -> None:
        """Type these keys."""
        os.write(self._screen, text.encode())


@contextlib.asynccontextmanager
async def chat(url: str | None, **environ: str) -> AsyncIterator[Terminal]:
    screen, keyboard = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "realtime", "chat", *([] if url is None else ["--url", url]),
        env={**os.environ, **environ}, stdin=keyboard, stdout=keyboard, stderr=keyboard, start_new_session=True,
        preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),  # makes it the terminal that Ctrl-C belongs to
    )  # fmt: skip
    os.close(keyboard)
    try:
        yield Terminal(screen, process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        asyncio.get_running_loop().remove_reader(screen)
        os.close(screen)


async def test_answers_stream_ctrl_c_stops_one_and_quit_leaves() -> None:
    endless = ["word "] * 4000
    async with (
        running(lambda request: endless if len(request.prompt_token_ids) < 60 else ["bye"], tick_seconds=0.002) as s,
        chat(s.url) as terminal,
    ):
        await terminal.shows("> ")
        terminal.type("go on\n")
        await terminal.shows("word word word")
        terminal.type("\x03")
        await terminal.shows("[cancelled]")
        await terminal.shows("> ")
        assert s.engine.stats().num_running == 0
        terminal.type("\x03")
        await terminal.shows("/quit leaves")
        terminal.type("and a much longer question than before\n")
        await terminal.shows("bye")
        terminal.type("/quit\n")
        async with asyncio.timeout(120):
            assert await terminal.process.wait() == 0


async def test_without_a_server_it_says_so_and_what_to_do() -> None:
    async with chat("ws://127.0.0.1:9/v1/responses") as terminal:
        await terminal.shows("make serve")
        async with asyncio.timeout(120):
            assert await terminal.process.wait() == 1


async def test_a_conversation_goes_on_over_turns() -> None:
    async with running(say("ok")) as s, chat(s.url) as terminal:
        await terminal.shows("> ")
        terminal.type("one\n")
        await terminal.shows("ok")
        terminal.type("two\n")
        await terminal.shows("ok")
        terminal.type("\x04")
        async with asyncio.timeout(120):
            assert await terminal.process.wait() == 0


async def test_it_finds_the_server_that_runs_and_asks_for_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    keys = make_keys(tmp_path / "keys.json", "anna")
    arguments = ["--engine", "scripted", "--api-keys-file", str(tmp_path / "keys.json")]
    async with serve(*arguments) as server:
        await server.ready()
        async with chat(None) as terminal:
            await terminal.shows("asks for an API key:")
            terminal.type(f"{keys['anna']}\n")
            await terminal.shows("> ")
            terminal.type("/quit\n")
            async with asyncio.timeout(120):
                assert await terminal.process.wait() == 0
        async with serve(*arguments) as other:
            await other.ready()
            async with chat(None) as terminal:
                await terminal.shows("several servers run here")
                async with asyncio.timeout(120):
                    assert await terminal.process.wait() == 2
        server.send(signal.SIGTERM)
        await server.end()
    assert running_urls() == [], "the other one was killed"


def test_what_a_killed_server_has_left_goes_when_the_next_one_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    notice = Notice()
    notice.post("ws://127.0.0.1:1/v1/responses")
    left = tmp_path / f"realtime-servers-{os.geteuid()}" / "1.json"
    left.write_text('{"url": "ws://127.0.0.1:2/v1/responses"}')
    assert running_urls() == ["ws://127.0.0.1:1/v1/responses"]
    assert not left.exists()
    left.write_text("")
    notice.remove()
    notice.post("ws://127.0.0.1:3/v1/responses")
    assert not left.exists()
    notice.remove()
    assert list(left.parent.iterdir()) == []


def test_what_is_no_note_neither_holds_anybody_up_nor_is_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    notice = Notice()
    notice.post("ws://127.0.0.1:1/v1/responses")
    folder = tmp_path / f"realtime-servers-{os.geteuid()}"
    os.mkfifo(folder / "1.json")
    (folder / "2.json").symlink_to(folder / f"{os.getpid()}.json")
    (folder / "3.json").mkdir()
    assert running_urls() == ["ws://127.0.0.1:1/v1/responses"]
    notice.remove()


def test_a_folder_that_others_can_write_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / f"realtime-servers-{os.geteuid()}").mkdir(mode=0o777)
    (tmp_path / f"realtime-servers-{os.geteuid()}").chmod(0o777)
    notice = Notice()
    notice.post("ws://127.0.0.1:1/v1/responses")
    assert running_urls() == []
    notice.remove()
