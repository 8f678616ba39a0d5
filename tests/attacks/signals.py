"""Servers that are ended in every way while they answer: what their clients are told, and what is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import tempfile
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import psutil
from websockets.exceptions import ConnectionClosed

from tests.support.server import Client, dial

from .arena import ANSWER_SECONDS, Tally
from .oracle import Oracle
from .target import Target, started

CLIENTS = 6
STORY: dict[str, Any] = {"input": "tell me a long story", "max_output_tokens": 2000, "ignore_eos": True}


class Siege:
    """One server and the clients who read from it when it ends."""

    def __init__(self, target: Target, tally: Tally, oracle: Oracle) -> None:
        self.target, self.tally, self.oracle = target, tally, oracle
        self.ends: list[str] = []  # of each client: the terminal event, or how the socket was closed

    async def clients(self) -> list[asyncio.Task[None]]:
        """Clients whose answers are running."""
        begun = [asyncio.Event() for _ in range(CLIENTS)]
        reading = [asyncio.create_task(self._client(one)) for one in begun]
        async with asyncio.timeout(ANSWER_SECONDS):
            await asyncio.gather(*(one.wait() for one in begun))
        return reading

    async def _client(self, begun: asyncio.Event) -> None:
        key = self.target.keys["ada"]
        async with dial(f"ws://127.0.0.1:{self.target.port}/v1/responses", native=True, key=key) as client:
            await client.send("response.create", **STORY)
            try:
                self.ends.append(await self._read(client, begun))
            except ConnectionClosed as closed:
                code = closed.rcvd.code if closed.rcvd is not None else 1006
                self.ends.append(f"no end, closed with {code}")
            begun.set()

    async def _read(self, client: Client, begun: asyncio.Event) -> str:
        reader = None
        while reader is None or not reader.over:
            raw = await client.receive_raw(ANSWER_SECONDS)
            event = json.loads(raw)
            if "response_id" in event:
                reader = reader or self.oracle.reader(event["response_id"], who="a client of an ending server")
                reader.hear(raw.encode())
                if event["type"].endswith(".delta"):
                    begun.set()
        final = self.oracle.close(reader.response_id)
        assert final is not None
        return f"{final['status']} {(final['error'] or {}).get('code', '')}".strip()

    def expect(self, what: str, *legal: str) -> None:
        """All clients were told one of these."""
        for end in self.ends:
            self.tally.refused(what, end)
            if end not in legal:
                self.tally.wrong.append(f"{what}: a client was told {end!r}")

    async def gone(self, what: str, pids: set[int]) -> float:
        """Wait until the server and all it had started are gone; seconds. What stays is wrong."""
        began = time.monotonic()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.target.server.wait(), 120)
        left = pids
        while (left := {pid for pid in left if psutil.pid_exists(pid)}) and time.monotonic() - began < 60:  # noqa: ASYNC110
            await asyncio.sleep(0.05)  # processes of others have no event for it
        if left or self.target.server.returncode is None:
            self.tally.wrong.append(f"{what}: still there after a minute: {left}")
        return time.monotonic() - began


async def drained(siege: Siege) -> None:
    """One SIGTERM: what runs may finish, within the time that the operator gives."""
    reading, pids = await siege.clients(), siege.target.core_pids
    siege.target.server.send_signal(signal.SIGTERM)
    await asyncio.gather(*reading)
    siege.expect("SIGTERM", "completed", "incomplete", "failed server_error")
    siege.tally.measured["gone after SIGTERM"] = await siege.gone("SIGTERM", pids)


async def ended_at_once(siege: Siege) -> None:
    """Two SIGTERMs: at once, and every answer has its end all the same."""
    reading, pids = await siege.clients(), siege.target.core_pids
    for _ in range(2):
        siege.target.server.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.5)  # between the two presses of a key
    await asyncio.gather(*reading)
    siege.expect("two SIGTERMs", "completed", "incomplete", "failed server_error")
    siege.tally.measured["gone after two SIGTERMs"] = await siege.gone("two SIGTERMs", pids)


async def killed(siege: Siege) -> None:
    """SIGKILL: nobody can be told; EngineCore and all files of this server must go with it or with the next one."""
    reading, pids = await siege.clients(), siege.target.core_pids
    siege.target.server.kill()
    await asyncio.gather(*reading)
    siege.expect("SIGKILL", "no end, closed with 1006")
    siege.tally.measured["gone after SIGKILL"] = await siege.gone("SIGKILL", pids)


async def core_killed(siege: Siege) -> None:
    """The engine is killed: a new one serves, and goes on with every answer."""
    reading, pids = await siege.clients(), siege.target.core_pids
    began = time.monotonic()
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    await asyncio.gather(*reading)
    siege.expect("the engine killed", "completed", "incomplete")
    siege.tally.measured["answers over after the engine was killed"] = time.monotonic() - began


async def frozen(siege: Siege) -> None:
    """The engine stands still for a while and goes on: nothing is lost but time."""
    reading, pids = await siege.clients(), siege.target.core_pids
    for sent in (signal.SIGSTOP, signal.SIGCONT):
        for pid in pids:
            os.kill(pid, sent)
        await asyncio.sleep(2 if sent == signal.SIGSTOP else 0)  # so long it stands still
    await asyncio.gather(*reading)
    siege.expect("the engine frozen", "completed", "incomplete")


Ending = Callable[[Siege], Coroutine[Any, Any, None]]
ENDINGS: tuple[Ending, ...] = (drained, ended_at_once, killed)
OF_THE_ENGINE: tuple[Ending, ...] = (core_killed, frozen)


async def endings(engine: str, tally: Tally, oracle: Oracle, say: Callable[[str], None] = print) -> None:
    """Each of them on a server of its own; at the end nothing may be left of any of them."""
    mapped_before = unmapped()
    with tempfile.TemporaryDirectory(prefix="attack-") as name:
        temporary = Path(name)
        for ending in (*ENDINGS, *(OF_THE_ENGINE if engine == "vllm" else ())):
            assert ending.__doc__ is not None
            say(ending.__doc__.splitlines()[0])
            async with started(engine, "--drain-seconds", "3", temporary=temporary) as target:
                await target.ready()
                await ending(Siege(target, tally, oracle))
                tally.add("endings")
        async with started(engine, temporary=temporary) as target:  # takes away what a killed one has left
            await target.ready()
        say("SIGINT while the model is loaded.")
        await _interrupted_while_loading(engine, tally, temporary)
        if left := os.listdir(name):
            tally.wrong.append(f"left behind in the temporary folder: {sorted(left)[:9]}")
    if left := sorted(unmapped() - mapped_before):
        tally.wrong.append(f"left behind in shared memory: {left[:9]}")


async def _interrupted_while_loading(engine: str, tally: Tally, temporary: Path) -> None:
    async with started(engine, temporary=temporary) as target:
        await asyncio.sleep(3 if engine == "vllm" else 0.3)  # somewhere in its start
        siege = Siege(target, tally, Oracle())
        pids = target.core_pids
        target.server.send_signal(signal.SIGINT)
        tally.measured["gone after SIGINT while loading"] = await siege.gone("SIGINT while loading", pids)
        if "Traceback" in target.log:
            tally.wrong.append("SIGINT while loading is answered by a traceback")


def unmapped() -> set[str]:
    """Files in shared memory that no living process has mapped."""
    shared = Path("/dev/shm")
    files = {str(path) for path in shared.iterdir()} if shared.is_dir() else set()
    for maps in Path("/proc").glob("[0-9]*/maps"):
        with contextlib.suppress(OSError):
            text = maps.read_text()
            files = {path for path in files if path not in text}
    return files
