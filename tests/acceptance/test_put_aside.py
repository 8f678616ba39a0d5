"""Answers of a real model that are put aside in the middle, again and again, for others that cannot wait: their tokens
are those of answers that nobody disturbed.
"""

from __future__ import annotations

import random
import re
from typing import Any

import httpx2
import pytest

from realtime.engine.options import VllmOptions
from realtime.settings.tenants import TenantLimits
from tests.support.cut_answers import Answers
from tests.support.long import effort
from tests.support.patience import SECONDS
from tests.support.real import RealServer, hosting
from tests.support.server import changed, dial

from .test_real_restart import ALL, Asked, check

pytestmark = pytest.mark.vllm

QUICK = {"input": "Say hello.", "max_output_tokens": 4, "service_tier": "priority"}
COUNT = re.compile(r'^realtime_response_put_aside_seconds_count\{class="batch"\} (\S+)$', re.MULTILINE)
LONGEST = effort(80, 300)
BATCH: Asked = {
    name: {
        **members,
        "max_output_tokens": LONGEST,
        "service_tier": "flex",
        "include": [*members.get("include", ()), "token_ids"],
    }
    for name, members in ALL.items()
}


async def test_put_aside_at_any_moment_every_answer_is_token_by_token_what_it_would_have_been() -> None:
    settings = changed(
        max_running_responses=len(BATCH), max_times_put_aside=99, max_streams_per_connection=99,
        max_in_flight_per_connection=99, tenants={"local": TenantLimits(tiers=("priority", "flex"))},
    )  # fmt: skip
    with hosting(VllmOptions(), settings) as server:
        whole = await _answers(server, [])
        for seed in range(effort(1, 8)):
            rng = random.Random(seed)
            moments = sorted(rng.sample(range(len(BATCH), int(whole.num_events * 0.8)), effort(4, 8)))
            before = _num_put_aside(server)
            disturbed = await _answers(server, moments)
            assert _num_put_aside(server) - before >= len(moments)
            for name in BATCH:
                assert check(name, disturbed, whole) == 1, "no engine has died"
                ids = [answers.events[name][-1]["response"]["output_token_ids"] for answers in (disturbed, whole)]
                assert ids[0] == ids[1] or name == "no_seed"


async def _answers(server: RealServer, moments: list[int]) -> Answers:
    """All answers, of which at each of these moments (numbers of events) up to three are put aside."""
    async with dial(server.url, native=True) as client, dial(server.url, native=True) as hurried:
        answers, quick = Answers(client), Answers(hurried)
        await answers.ask(BATCH)
        for moment in moments:
            await answers.until(lambda moment=moment: answers.num_events >= moment)  # type: ignore[misc]
            await quick.ask({f"{moment}.{number}": QUICK for number in range(3)})
        await answers.until(lambda: not answers.running)
        await quick.until(lambda: not quick.running)
    return answers


def _num_put_aside(server: RealServer) -> float:
    found: Any = COUNT.search(httpx2.get(f"http://127.0.0.1:{server.port}/metrics", timeout=SECONDS).text)
    return float(found[1])
