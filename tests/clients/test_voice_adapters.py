"""Pipecat and LiveKit Agents over a slow path, unmodified and with our adapters: interrupted at any moment, the turn
after is whole, and with an adapter the history holds what was heard.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from realtime.engine.base import EngineRequest
from realtime.engine.scripted import ScriptedTokenizer
from realtime_client import Policy
from realtime_client.adapters.turns import position
from tests.clients import voice_agents
from tests.clients.voice_agents import SECONDS_PER_WORD, Agent
from tests.support.calls import TAGGED, called
from tests.support.http import http
from tests.support.long import effort
from tests.support.proxy import proxied
from tests.support.server import Running, running
from tests.support.steps import until

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the frameworks' own, of what they import

DELAY_SECONDS = 0.12
NUM_WORDS = 30
TICK_SECONDS = 0.004  # faster than speech, as models are
ROUND_TRIP = 2 * DELAY_SECONDS
SPOKEN = ROUND_TRIP + NUM_WORDS * SECONDS_PER_WORD
GENERATED = ROUND_TRIP + NUM_WORDS * TICK_SECONDS
# Before it is created, while it is generated, in its last 200 ms and after its end while it is spoken, and after that.
PHASES = ((0.0, ROUND_TRIP), (ROUND_TRIP, GENERATED), (GENERATED, SPOKEN), (SPOKEN - 0.2, SPOKEN), (SPOKEN, SPOKEN + 1))
OPTIONS: dict[str, Any] = {"proxy": None, "policy": Policy(initial_delay_seconds=0)}


class Model:
    """Answers each request with words of its own; `prompts` is what it was given."""

    def __init__(self) -> None:
        self.prompts: list[str] = []

    def __call__(self, request: EngineRequest) -> list[str]:
        self.prompts.append(ScriptedTokenizer().decode(request.prompt_token_ids))
        return self.words(len(self.prompts))

    def words(self, number: int) -> list[str]:
        """The answer to this request."""
        return [f"answer{number} word{at}. " for at in range(NUM_WORDS)]


def pipecat_adapter(url: str) -> AbstractAsyncContextManager[Agent]:
    """With our service."""
    pytest.importorskip("pipecat", reason="Pipecat is not installed: make frameworks")
    from realtime_client.adapters.pipecat import RealtimeLLMService

    return voice_agents.pipecat(RealtimeLLMService(url, model="starter", connect_options=OPTIONS))


def pipecat_alone(url: str) -> AbstractAsyncContextManager[Agent]:
    """With its own service."""
    pytest.importorskip("pipecat", reason="Pipecat is not installed: make frameworks")
    from pipecat.services.openai.responses.llm import OpenAIResponsesLLMService as Service

    service = Service(api_key="unused", ws_url=url, settings=Service.Settings(model="starter"))
    return voice_agents.pipecat(service)


def livekit_adapter(url: str) -> AbstractAsyncContextManager[Agent]:
    """With our LLM."""
    pytest.importorskip("livekit.agents", reason="LiveKit Agents is not installed: make frameworks")
    from realtime_client.adapters.livekit import RealtimeLLM

    return voice_agents.livekit(RealtimeLLM(url, model="starter", connect_options=OPTIONS))


def livekit_alone(url: str) -> AbstractAsyncContextManager[Agent]:
    """With its own LLM."""
    pytest.importorskip("livekit.plugins.openai", reason="LiveKit Agents is not installed: make frameworks")
    from livekit.plugins import openai

    return voice_agents.livekit(openai.responses.LLM(model="starter", base_url=url, api_key="unused"))


ADAPTERS = (pipecat_adapter, livekit_adapter)


def squeezed(text: str) -> str:
    """Frameworks join what was heard with other spaces."""
    return "".join(text.split())


@pytest.mark.parametrize("make", [*ADAPTERS, pipecat_alone, livekit_alone])
async def test_the_turn_after_an_interruption_is_whole(
    make: Callable[[str], AbstractAsyncContextManager[Agent]],
) -> None:
    rng = random.Random(make.__name__)
    moments = [rng.uniform(*phase) for _ in range(effort(1, 6)) for phase in PHASES]
    model = Model()
    async with (
        running(model, tick_seconds=TICK_SECONDS, max_model_len=10**6) as server,
        proxied(server.port, delay_seconds=DELAY_SECONDS) as proxy,
        make(f"ws://127.0.0.1:{proxy.port}/v1/responses") as agent,
    ):
        for number, moment in enumerate(moments):
            await agent.turn(f"interrupted {number}", speak_until=moment)
            await agent.turn(f"whole {number}")
            role, text = agent.said[-1]
            newest = "".join(model.words(len(model.prompts)))
            assert (role, squeezed(text)) == ("assistant", squeezed(newest)), f"interrupted after {moment} s"
            if make in ADAPTERS:
                check_history(agent, model)
        if make in ADAPTERS:
            assert server.open_connections == 1, "the socket was kept"
            await check_increments(server, num_free=2)


@pytest.mark.parametrize("make", ADAPTERS)
async def test_an_agent_calls_its_tool_and_speaks_of_the_result(
    make: Callable[[str], AbstractAsyncContextManager[Agent]],
) -> None:
    def script(request: EngineRequest) -> Any:
        prompts.append(ScriptedTokenizer().decode(request.prompt_token_ids))
        return called("weather", {"city": "Paris"}) if len(prompts) == 1 else ("It ", "is ", "sunny.")

    prompts: list[str] = []
    async with running(script, family=TAGGED) as server, make(server.url) as agent:
        await agent.turn("How is it in Paris?")
        await until(lambda: agent.said[-1] == ("assistant", "It is sunny."), "the answer")
        await check_increments(server, num_free=1)
    assert "sunny in Paris" in prompts[1]


def check_history(agent: Agent, model: Model) -> None:
    """The model was given what the framework says was said, up to the newest answer."""
    turns = [{"role": role, "content": text} for role, text in agent.said[:-1]]
    wanted = str(ScriptedTokenizer().apply_chat_template(turns))
    tools, _, told = squeezed(model.prompts[-1]).partition("<|im_end|>")
    assert tools.startswith("<|im_start|>tools")
    assert told == squeezed(wanted)


async def check_increments(server: Running, num_free: int) -> None:
    """Each response continues another one, but the first, and a second if the first was left before there was any."""
    async with http(server) as door:
        listed = (await door.get("/v1/responses", params={"limit": 100, "order": "asc"})).json()["data"]
        kept = [(await door.get(f"/v1/responses/{one['id']}")).json() for one in listed]
    continued = [one["previous_response_id"] is not None for one in kept]
    assert len(continued) > num_free
    assert all(continued[num_free:]), continued


@pytest.mark.parametrize(
    ("text", "heard", "at"),
    [
        ("Once upon a time", "", 0),
        ("Once upon a time", "Once upon", 9),
        ("Once upon a time", "Once upon ", 9),
        ("Once  upon\na time ", "Once upon a time", 18),
        ("**Once** upon, a time.", "Once upon a", 16),
        ("**Once** upon a time.", "Once upon a time", 21),
        ("Once upon a time", "Twice", None),
        ("Once", "Once upon", None),
        (
            "\N{LATIN SMALL LETTER E WITH ACUTE}t\N{SPARKLES} \N{GRINNING FACE} on",
            "\N{LATIN SMALL LETTER E WITH ACUTE}t",
            2,
        ),
    ],
)
def test_what_was_heard_is_found_in_what_was_written(text: str, heard: str, at: int | None) -> None:
    assert position(text, heard) == at
