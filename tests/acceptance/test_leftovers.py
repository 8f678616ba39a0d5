"""The processes and files of a real engine: none outlives its server, however that ends."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.elsewhere import cannot
from tests.support.process import serve
from tests.support.server import dial
from tests.support.steps import begin

pytestmark = [pytest.mark.vllm, cannot("leave processes and files here")]


@pytest.fixture
def folder() -> Iterator[Path]:
    """One with a short name: those of sockets are below it."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder)


def left_in(folder: Path) -> list[str]:
    """What is in a folder for temporary files, and which semaphores bear the names of such folders."""
    stays = ("torchinductor_", "realtime-servers-")  # a cache, and the folder of notes of all servers of this user
    names = [path.name for path in folder.iterdir() if not path.name.startswith(stays)]
    semaphores = [path.name for path in Path("/dev/shm").iterdir() if any(name in path.name for name in names)]
    return names + semaphores


async def test_ctrl_c_while_the_model_is_loaded_ends_at_once(folder: Path) -> None:
    async with serve(TMPDIR=str(folder)) as server:
        await server.says("starting model=")  # and importing, for seconds
        server.interrupt()
        assert await server.end() == 0  # the engine's processes have ended, too
    assert "stopping at once: the model has not been loaded" in server.said
    assert "importing vLLM seconds" not in server.said, "it has gone on loading"
    assert "Traceback" not in server.said
    assert left_in(folder) == []


async def test_of_a_killed_server_nothing_is_left_after_the_next_start(folder: Path) -> None:
    async with serve(TMPDIR=str(folder)) as server:
        address = await server.ready()
        async with dial(f"ws://{address}/v1/responses") as client:
            await begin(client, ignore_eos=True)
            server.send(signal.SIGKILL)
            assert await server.end() == -signal.SIGKILL  # EngineCore and the fork server have ended, too
    assert left_in(folder), "a killed process can't clean up"
    async with serve(TMPDIR=str(folder)) as server:
        await server.says("starting model=")
        [left] = [name for name in left_in(folder) if name.startswith("realtime-")]
        assert left.startswith("realtime-"), "the new server's own"
        server.interrupt()
        assert await server.end() == 0
    assert left_in(folder) == []
