"""A disk that is full under a real server: what runs is said, its end is told when it can be stored, new work is
refused and told to come again, the server recovers by itself, and of what was promised nothing is lost, not even by
`kill -9` afterwards.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import resource
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from tests.support.process import serve
from tests.support.server import Client, dial

Fill = Callable[[int], None]  # is given the server's process
ENDLESS = {"max_output_tokens": 1500, "ignore_eos": True}


@pytest.fixture
def limited(tmp_path: Path) -> tuple[Path, Fill, Fill]:
    """A process that may not make files any larger."""

    def limit(pid: int, size: int) -> None:
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))

    return tmp_path, lambda pid: limit(pid, 4096), lambda pid: limit(pid, resource.RLIM_INFINITY)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[tuple[Path, Fill, Fill]]:
    """A disk of 8 MiB, where we may mount one."""
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", tmp_path]).returncode:
        pytest.skip("only root may mount a small disk")
    filler = tmp_path / "filler"

    def fill(pid: int) -> None:
        with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            _write_on_and_on(file)

    try:
        yield tmp_path, fill, lambda pid: filler.unlink()
    finally:
        subprocess.run(["umount", "-l", tmp_path], check=True)


def _write_on_and_on(file: IO[bytes]) -> None:
    while True:
        file.write(bytes(4096))


async def ask(client: Client, text: str, **members: Any) -> list[dict[str, Any]]:
    await client.send("response.create", input=text, **{"max_output_tokens": 8, **members})
    return await client.until_done()


async def until(client: Client, code: str | None) -> None:
    """Ask until it is refused with this code; None: until it is not."""
    async with asyncio.timeout(120):  # guards against hanging only
        while (await ask(client, "more", stream_id="more"))[-1].get("error", {}).get("code") != code:  # noqa: ASYNC110
            await asyncio.sleep(0.02)  # between two questions to another process


@pytest.mark.parametrize("way", ["limited", "small"])
async def test_a_full_disk_costs_nobody_what_was_promised(way: str, request: pytest.FixtureRequest) -> None:
    folder, fill, free = request.getfixturevalue(way)
    arguments = "--engine", "scripted", "--store", f"sqlite:{folder}/store.db", "--look-up-seconds", "1"
    async with serve(*arguments) as process, contextlib.AsyncExitStack() as stack:
        url = f"ws://{await process.ready()}/v1/responses"
        reader, asker = [await stack.enter_async_context(dial(url, native=True)) for _ in range(2)]
        before = await ask(asker, "before")
        await reader.send("response.create", input="a story", seed=1, **ENDLESS)
        events = [await reader.receive() for _ in range(20)]
        fill(process.pid)
        await until(asker, "store_unavailable")
        assert not events[-1]["done"]
        *rest, refused = await reader.until_done()
        assert (refused["type"], refused["error"]["code"]) == ("error", "store_unavailable"), refused
        events += rest
        free(process.pid)
        await until(asker, None)
        where = {"response_id": events[-1]["response_id"], "starting_after": events[-1]["sequence_number"]}
        await reader.send("response.resume", **where)
        assert (await reader.receive())["type"] == "response.resumed"
        events += await reader.until_done()
        assert events[-1]["response"]["usage"]["output_tokens"] == 1500
        after = await ask(asker, "after", previous_response_id=events[-1]["response_id"])
        await asyncio.sleep(0.2)  # a flush
        process.send(signal.SIGKILL)
        await process.end()
        assert "Traceback" not in process.said
    async with serve(*arguments) as process, dial(f"ws://{await process.ready()}/v1/responses", native=True) as client:
        for told in (before, events, after):
            await client.send("response.resume", response_id=told[-1]["response_id"], starting_after=-1)
            assert (await client.receive())["type"] == "response.resumed"
            assert (await client.until_done())[-1]["response"] == told[-1]["response"]


def forbid(path: Path) -> None:
    """Have nobody write a file: root only heeds a disk that is mounted so."""
    path.chmod(0o400)
    if os.access(path, os.W_OK):
        subprocess.run(["mount", "-o", "remount,ro", path.parent], check=True)


async def test_a_server_does_not_start_on_a_file_that_it_can_not_write(request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue("limited" if os.geteuid() else "small")[0]
    path = folder / "store.db"
    arguments = "--engine", "scripted", "--store", f"sqlite:{path}"
    async with serve(*arguments) as process:
        async with dial(f"ws://{await process.ready()}/v1/responses") as client:
            await ask(client, "before")
        process.send(signal.SIGTERM)
        assert await process.end() == 0
    forbid(path)
    async with serve(*arguments) as process:
        assert await process.end() == 1
        assert str(path) in process.said
        assert "Traceback" not in process.said
