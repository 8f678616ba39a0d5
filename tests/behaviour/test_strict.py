"""Tools that are held by default: what turns out not to compile is served all the same, what was asked for is not."""

from __future__ import annotations

from typing import Any

import pytest

from realtime.engine.base import EngineRefused, EngineRequest, Sink
from realtime.engine.scripted import say
from tests.support.calls import TAGGED
from tests.support.server import running
from tests.support.transcript import check

TOOL: dict[str, Any] = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {"a": {}}}}


@pytest.mark.parametrize(("strict", "status"), [(None, "completed"), (True, "failed")])
async def test_what_does_not_compile_is_freed_if_nobody_asked_for_it(strict: bool | None, status: str) -> None:
    async with running(say("ok"), family=TAGGED) as server, server.client() as client:
        submit = server.engine.submit

        async def refuse(request: EngineRequest, sink: Sink) -> None:
            if request.constraint is not None:
                raise EngineRefused("it does not compile", "tools[0].parameters")
            await submit(request, sink)

        server.engine.submit = refuse  # type: ignore[method-assign]
        events = await client.create(tools=[{**TOOL, "strict": strict}])
        last = check(events)
        assert (last["status"], last["tools"][0]["strict"]) == (status, strict is True)
        assert events[0]["response"]["tools"][0]["strict"] is True
        if strict:
            assert (last["error"]["code"], last["error"]["param"]) == ("invalid_prompt", "tools[0].parameters")
