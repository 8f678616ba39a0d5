"""How the tests of the real engines ask them, wherever they are."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from realtime.engine import structural_tags
from realtime.engine.base import EngineRequest, EngineStats, Loaded, Sampling
from realtime.engine.options import STARTER_MODEL
from realtime.engine.parsing import Constraint

from .recorder import Recorder

EMPTY = EngineStats(0, 0, 0.0)
QUESTIONS = (
    "count to 10",
    "add 3 and 4",
    "hello",
    "what is the capital of France?",
    "say the alphabet",
    "who are you?",
)


class Client:
    """Makes requests with ids of their own."""

    count = 0

    def __init__(self, engine: Any, loaded: Loaded) -> None:
        self.engine = engine
        self.tokenizer = loaded.tokenizer
        self.max_model_len = loaded.model.max_model_len

    def prompt(self, question: str) -> tuple[int, ...]:
        tokenizer = self.tokenizer
        text = tokenizer.apply_chat_template(
            [{"role": "user", "content": question}], add_generation_prompt=True, tokenize=False
        )
        return tuple(tokenizer.encode(text))

    async def submit(
        self, question: str = "hello", sink: Recorder | None = None, max_tokens: int = 100, **sampling: Any
    ) -> tuple[str, Recorder]:
        Client.count += 1
        sink = sink or Recorder()
        request = EngineRequest(
            request_id=f"r{Client.count}",
            prompt_token_ids=self.prompt(question),
            sampling=Sampling(max_tokens=max_tokens, **sampling),
        )
        await self.engine.submit(request, sink)
        return request.request_id, sink

    async def run(self, question: str, **sampling: Any) -> Recorder:
        _, sink = await self.submit(question, **sampling)
        await asyncio.wait_for(sink.ended.wait(), 120)
        return sink

    async def endless(self) -> tuple[str, Recorder]:
        """A generation that is certainly still running in the next seconds."""
        room = self.max_model_len - len(self.prompt("hello"))
        return await self.submit(max_tokens=room, ignore_eos=True)


def model_file(name: str) -> Any:
    return json.loads(Path(STARTER_MODEL, name).read_text())


def by_schema(schema: Any) -> Constraint:
    return Constraint("structural_tag", structural_tags.of_json(schema, "text.format.schema"))


async def constrained(client: Client, constraint: Constraint, **members: Any) -> Recorder:
    Client.count += 1
    request = EngineRequest(
        request_id=f"r{Client.count}",
        prompt_token_ids=client.prompt("hello"),
        sampling=Sampling(max_tokens=200, temperature=0.0),
        constraint=constraint,
        reasoning_ended=True,
        **members,
    )
    sink = Recorder()
    await client.engine.submit(request, sink)
    await asyncio.wait_for(sink.ended.wait(), 120)
    return sink


ONE = {"type": "object", "properties": {"a": {"enum": [7]}}, "required": ["a"], "additionalProperties": False}
