"""The embedded model can do what the documentation says, in real vLLM, on questions that it was not trained on."""

from __future__ import annotations

import asyncio

import pytest

from realtime.engine.base import EngineRequest, FinishReason, Sampling
from tests.engine.recorder import Recorder
from tests.support.engines import Engines
from tests.support.long import LONG, effort
from training.starter import data, evaluate

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.filterwarnings("ignore"),  # importing vLLM and torch warns of their own affairs
]

FLOOR = 0.75 if LONG else 0.6  # of few answers a share is less sure


async def write(engines: Engines, number: int, task: evaluate.Task) -> evaluate.Answer:
    """The message that the model writes, greedily."""
    tokenizer = engines.loaded.tokenizer
    prompt = evaluate.prompt_of(task, tokenizer)
    sampling = Sampling(max_tokens=evaluate.MAX_TOKENS, temperature=0.0)
    sink = Recorder()
    await engines.newest.submit(
        EngineRequest(request_id=f"task-{number}", prompt_token_ids=prompt, sampling=sampling), sink
    )
    await sink.ended.wait()
    return evaluate.read(task, tokenizer, sink.text, sink.token_ids, sink.finish is FinishReason.STOP)


async def test_every_skill_is_above_its_floor(engines: Engines) -> None:
    made = evaluate.make_tasks(data.EVALUATED, effort(10, 50), evaluate.DEFAULT_SEED)
    async with asyncio.timeout(600):
        answers = await asyncio.gather(
            *(write(engines, number, task) for number, task in enumerate(evaluate.tasks_of(made)))
        )
    scores = evaluate.score(made, answers)
    assert len(scores) >= 20
    assert evaluate.below(scores, FLOOR) == [], scores
