"""The processes and files of a real engine: none outlives a server that is stopped while it starts.

Of one that is killed: `test_real_restart`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.leftovers import files_in
from tests.support.process import serve

pytestmark = pytest.mark.vllm


async def test_ctrl_c_while_the_model_is_loaded_ends_at_once(folder: Path) -> None:
    async with serve(TMPDIR=str(folder)) as server:
        await server.says("starting model=")  # and importing, for seconds
        server.interrupt()
        assert await server.end() == 0  # the engine's processes have ended, too
    assert "stopping at once: the model has not been loaded" in server.said
    assert "importing vLLM seconds" not in server.said, "it has gone on loading"
    assert "Traceback" not in server.said
    assert files_in(folder) == []
