"""Nodes whose engines are elsewhere: what a dead node ran goes on at another, on the same engines or on ones alike."""

from __future__ import annotations

from typing import Any

import pytest

from realtime.engine.options import RemoteOptions, VllmOptions
from realtime.engine.remote.engine import RemoteEngine
from realtime.engine.scripted import ScriptedTokenizer
from tests.engine.remote.fleet import Front, no_grammars
from tests.support.cluster import nodes
from tests.support.steps import begin, resume
from tests.support.token_engine import KEY, TokenEngine, token_engines, tokens_then
from tests.support.transcript import check, text_of

ASKED: dict[str, Any] = {"seed": 1, "max_output_tokens": 60, "on_disconnect": {"policy": "linger", "seconds": 600}}
SAID = 20  # tokens when the first node dies


class NodesFront(Front):
    """One by which a server can render prompts."""

    tokenizer: Any = ScriptedTokenizer()


def on(*engines: TokenEngine) -> Any:
    """What makes a node's engine on these."""

    async def front() -> Any:
        return NodesFront()

    remote = RemoteOptions(engine_url=tuple(one.url for one in engines), engine_abort_seconds=0.2)
    return lambda: RemoteEngine(VllmOptions(), remote, KEY, front, grammars=no_grammars())


@pytest.mark.parametrize("engines", ["the same", "alike", "another version"])
async def test_an_answer_of_a_dead_node_goes_on_at_another(engines: str) -> None:
    async with token_engines(2) as (first, second):
        if engines == "another version":
            second.version = "2"
        others = first if engines == "the same" else second
        async with nodes("a", "b", engines=[on(first), on(others)]) as found:
            a, b = found.members
            async with b.client(native=True) as reader, a.client(native=True) as client:
                whole = text_of(await reader.create("hi", **ASKED))
                first.play = [tokens_then(SAID, hang=True)]
                response_id = await begin(client, "hi", **ASKED)
                assert (await resume(reader, response_id))["type"] == "response.resumed"
                events = [await reader.receive() for _ in range(SAID)]
                await found.settle()
                await a.kill()
                events += await reader.until_done(response_id)
                response = check(events)
    if engines == "another version":
        assert (response["status"], response["recovery"]["kind"]) == ("failed", "failed")
        return
    assert text_of(events) == whole
    assert response["recovery"] == {"kind": "exact", "attempts": 2}
    assert len(others.generations[-1]["sampling_params"]["extra_args"]["realtime_generated"]) == SAID
