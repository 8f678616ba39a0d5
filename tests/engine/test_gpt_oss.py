"""Real vLLM writes Harmony: the tiny gpt-oss on prompts that `openai_harmony` renders, read by its parser."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from openai_harmony import (
    Conversation,
    DeveloperContent,
    HarmonyEncodingName,
    Message,
    ReasoningEffort,
    RenderConversationConfig,
    Role,
    StreamableParser,
    SystemContent,
    ToolDescription,
    load_harmony_encoding,
)

from realtime.engine.base import EngineRequest, FinishReason, Sampling
from realtime.engine.options import VllmOptions
from realtime.engine.vllm.engine import VllmEngine
from tests.support.gpt_oss import CALL, RETURN, model_folder

from .recorder import Recorder

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.filterwarnings("ignore"),  # importing vLLM and torch warns of their own affairs
]

ENCODING = load_harmony_encoding(HarmonyEncodingName.HARMONY_GPT_OSS)
WEATHER = ToolDescription.new(
    "get_weather",
    "Get the weather for a city",
    parameters={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)
Parsed = tuple[str | None, str | None, str | None, str]
PARIS: Parsed = ("commentary", "functions.get_weather", "<|constrain|>json", '{"city": "Paris"}')


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine() -> AsyncIterator[VllmEngine]:
    pytest.importorskip("vllm", reason="vLLM is not installed: `make install`")
    options = VllmOptions(
        model=str(model_folder()),
        served_name="gpt-oss",
        max_model_len=4096,
        max_num_seqs=4,
        kv_cache_memory_bytes=64 << 20,
        reasoning_parser="none",
        tool_parser="none",
    )
    engine = VllmEngine(options)
    await engine.start()
    yield engine
    await engine.shutdown()


def prompt(question: str, *more: Message) -> list[int]:
    """A user's question after a system message and the weather tool; `more` is what came then."""
    system = SystemContent.new().with_conversation_start_date("2026-11-21").with_reasoning_effort(ReasoningEffort.LOW)
    messages = [
        Message.from_role_and_content(Role.SYSTEM, system),
        Message.from_role_and_content(Role.DEVELOPER, DeveloperContent.new().with_function_tools([WEATHER])),
        Message.from_role_and_content(Role.USER, question),
        *more,
    ]
    return ENCODING.render_conversation_for_completion(
        Conversation.from_messages(messages), Role.ASSISTANT, config=RenderConversationConfig(auto_drop_analysis=False)
    )


async def write(engine: VllmEngine, token_ids: list[int]) -> list[int]:
    """What the model writes, greedily, until it stops."""
    sink = Recorder()
    sampling = Sampling(max_tokens=200, temperature=0.0, skip_special_tokens=False)
    await engine.submit(EngineRequest(request_id="r", prompt_token_ids=token_ids, sampling=sampling), sink)
    await asyncio.wait_for(sink.ended.wait(), 60)
    assert sink.error is None
    assert sink.finish is FinishReason.STOP
    return sink.token_ids


def parse(token_ids: list[int]) -> list[Parsed]:
    """Channel, recipient, content type and text of each message."""
    parser = StreamableParser(ENCODING, Role.ASSISTANT)
    for token in token_ids:
        parser.process(token)
    return [(m.channel, m.recipient, m.content_type, m.content[0].text) for m in parser.messages]


async def test_thinks_and_calls_a_tool(engine: VllmEngine) -> None:
    token_ids = await write(engine, prompt("What is the weather in Paris?"))
    thought, call = parse(token_ids)
    assert thought == ("analysis", None, None, "The user wants the weather in Paris. I call get_weather.")
    assert call == PARIS
    assert json.loads(call[3]) == {"city": "Paris"}
    assert token_ids[-1] == CALL


async def test_says_what_it_will_do_before_it_calls(engine: VllmEngine) -> None:
    token_ids = await write(engine, prompt("Tell me what you do, then check the weather in Paris."))
    assert parse(token_ids) == [
        ("analysis", None, None, "The user wants to know what I do."),
        ("commentary", None, None, "I will check the weather in Paris."),
        PARIS,
    ]
    assert token_ids[-1] == CALL


async def test_answers_at_once_without_a_thought(engine: VllmEngine) -> None:
    token_ids = await write(engine, prompt("Say hi at once."))
    assert parse(token_ids) == [("final", None, None, "Hi!")]
    assert token_ids[-1] == RETURN


async def test_what_it_writes_is_what_openai_harmony_renders(engine: VllmEngine) -> None:
    """So the next prompt of a tool loop begins with the tokens that are in the engine's prefix cache."""
    question = prompt("What is the weather in Paris?")
    token_ids = await write(engine, question)
    thought, call = (Message.from_role_and_content(Role.ASSISTANT, text) for *_, text in parse(token_ids))
    thought = thought.with_channel("analysis")
    call = (
        call.with_channel("commentary").with_recipient("functions.get_weather").with_content_type("<|constrain|>json")
    )
    following = prompt("What is the weather in Paris?", thought, call)
    assert following[: len(question) + len(token_ids)] == question + token_ids
