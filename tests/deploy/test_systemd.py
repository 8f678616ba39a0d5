"""The systemd unit: systemd finds nothing wrong with it, and the server says what a unit of its type has to say."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from realtime.server.service_manager import ServiceManager
from realtime.settings.sources import load
from tests.support.process import serve
from tests.support.programs import find_program

FOLDER = Path(__file__).parents[2] / "deploy" / "systemd"
UNIT = (FOLDER / "realtime.service").read_text()


class Manager:
    """A service manager's end of the protocol."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.setblocking(False)
        self.heard: list[str] = []

    async def hears(self, pattern: str) -> str:
        """Wait for a message with this in it."""
        async with asyncio.timeout(120):
            while True:
                message = (await asyncio.get_running_loop().sock_recv(self.socket, 4096)).decode()
                self.heard.append(message)
                if re.search(pattern, message):
                    return message


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    found = Manager(tmp_path / "notify")
    yield found
    found.socket.close()


def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    analyze = find_program("systemd-analyze", "systemd")
    unit = tmp_path / "realtime.service"
    unit.write_text(re.sub(r"(?m)^ExecStart=\S+", f"ExecStart={sys.executable}", UNIT))
    done = subprocess.run([analyze, "verify", str(unit)], capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    done = subprocess.run(
        [analyze, "security", "--offline=true", "--threshold=30", str(unit)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def test_its_command_is_one_and_its_settings_are_understood() -> None:
    assert re.search(
        r"(?m)^ExecStart=/opt/realtime/.venv/bin/realtime serve --config /etc/realtime/realtime.toml$", UNIT
    )
    settings = load({}, {}, str(FOLDER / "realtime.toml")).settings
    assert settings.server.api_keys_file == "/var/lib/realtime/keys.json"


async def test_a_process_says_when_it_serves_that_its_loop_turns_and_when_it_ends(
    manager: Manager, tmp_path: Path
) -> None:
    notify = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "20000"}
    async with serve("--engine", "scripted", "--store", "memory", **notify) as server:
        await manager.hears("STATUS=Loading starter")
        address = await server.ready()
        assert await manager.hears("READY=1") == f"READY=1\nSTATUS=Serving starter at ws://{address}/v1/responses"
        for _ in range(3):
            await manager.hears("^WATCHDOG=1$")
        server.send(signal.SIGTERM)
        await manager.hears("^STOPPING=1\n")
        assert await server.end() == 0


async def test_what_is_meant_for_this_process_is_not_inherited(manager: Manager, tmp_path: Path) -> None:
    environ = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1", "HOME": "/"}
    told = ServiceManager(environ)
    assert environ == {"HOME": "/"}
    told.loading("a\nREADY=1")
    assert await manager.hears("") == "STATUS=Loading a READY=1"
    told.ready("a", "ws://h")
    await manager.hears("READY=1")
    await asyncio.sleep(0.01)
    told.stopping()
    await manager.hears("STOPPING")
    assert not any("WATCHDOG" in message for message in manager.heard), "another process is watched"


async def test_nobody_is_told_where_there_is_no_manager() -> None:
    told = ServiceManager({"WATCHDOG_USEC": "1000"})
    told.loading("a")
    told.stopping()
    told.gone()
    told = ServiceManager({"NOTIFY_SOCKET": "@nobody-listens-here"})
    told.ready("a", "ws://h")
