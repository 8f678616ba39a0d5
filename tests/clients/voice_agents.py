"""Voice agents of two frameworks, without sound: what they say is spoken word by word, and can be interrupted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

SECONDS_PER_WORD = 0.01
INSTRUCTIONS = "You speak."


class Agent:
    """One that converses. `said` is the framework's own account of the conversation: role and text, in order."""

    async def turn(self, text: str, speak_until: float | None = None) -> None:
        """Say this to it, and let it speak to the end, or interrupt it after so many seconds."""
        raise NotImplementedError

    @property
    def said(self) -> list[tuple[str, str]]:
        """Without what is empty."""
        raise NotImplementedError


async def weather(city: str) -> str:
    """What a tool of the agents returns."""
    return f"sunny in {city}"


@asynccontextmanager
async def livekit(llm: Any) -> AsyncIterator[Agent]:
    """LiveKit Agents, with an output that takes the time that speech takes."""
    from livekit.agents import Agent as LiveKitAgent
    from livekit.agents import AgentSession, function_tool
    from livekit.agents.utils import http_context
    from livekit.agents.voice.io import TextOutput

    class Speaker(TextOutput):
        async def capture_text(self, text: str) -> None:
            await asyncio.sleep(SECONDS_PER_WORD)

        def flush(self) -> None:
            pass

    class Talking(Agent):
        async def turn(self, text: str, speak_until: float | None = None) -> None:
            handle = session.generate_reply(user_input=text)
            if speak_until is not None:
                await asyncio.sleep(speak_until)  # the user
                handle.interrupt()
            await handle

        @property
        def said(self) -> list[tuple[str, str]]:
            items = [item for item in session.history.items if item.type == "message"]
            spoken = [(item.role, item.text_content) for item in items if item.text_content]
            return [("system", INSTRUCTIONS), *spoken]

    session: AgentSession[None] = AgentSession(llm=llm)
    session.output.transcription = Speaker(label="speaker", next_in_chain=None)
    async with http_context.open():  # a worker of LiveKit's has one
        await session.start(LiveKitAgent(instructions=INSTRUCTIONS, tools=[function_tool(weather, name="weather")]))
        try:
            yield Talking()
        finally:
            await session.aclose()
            await llm.aclose()


@asynccontextmanager
async def pipecat(llm: Any) -> AsyncIterator[Agent]:
    """Pipecat, with a processor in the place of text to speech."""
    from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
    from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
    from pipecat.frames.frames import (
        EndFrame,
        Frame,
        InterruptionFrame,
        LLMMessagesAppendFrame,
        LLMTextFrame,
        TTSTextFrame,
    )
    from pipecat.pipeline.pipeline import Pipeline
    from pipecat.pipeline.worker import PipelineWorker
    from pipecat.processors.aggregators.llm_context import LLMContext
    from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
    from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
    from pipecat.services.llm_service import FunctionCallParams
    from pipecat.workers.runner import WorkerRunner

    class Speaker(FrameProcessor):
        async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
            await super().process_frame(frame, direction)
            if isinstance(frame, LLMTextFrame):
                await asyncio.sleep(SECONDS_PER_WORD)
                spoken = TTSTextFrame(text=frame.text, text_type="word")
                spoken.includes_inter_frame_spaces = True
                frame = spoken
            await self.push_frame(frame, direction)

    class End(FrameProcessor):
        async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
            await super().process_frame(frame, direction)
            if isinstance(frame, InterruptionFrame):
                interrupted.set()
            await self.push_frame(frame, direction)

    class Talking(Agent):
        async def turn(self, text: str, speak_until: float | None = None) -> None:
            for event in (interrupted, started, stopped):
                event.clear()
            message: Any = {"role": "user", "content": text}
            await worker.queue_frame(LLMMessagesAppendFrame([message], run_llm=True))
            if speak_until is None:
                await stopped.wait()
                return
            await started.wait()  # an interruption overtakes what it is not about
            await asyncio.sleep(speak_until)  # the user
            await worker.queue_frame(InterruptionFrame())
            await interrupted.wait()

        @property
        def said(self) -> list[tuple[str, str]]:
            messages: list[Any] = context.get_messages()
            spoken = [one for one in messages if one["role"] in ("user", "assistant")]
            return [(one["role"], one["content"]) for one in spoken if one.get("content")]

    async def call(params: FunctionCallParams) -> None:
        await params.result_callback(await weather(**params.arguments))

    interrupted, started, stopped = asyncio.Event(), asyncio.Event(), asyncio.Event()
    schema = FunctionSchema("weather", "Weather in a city", {"city": {"type": "string"}}, ["city"])
    context = LLMContext(tools=ToolsSchema([schema]))
    llm.register_function("weather", call)
    sides = LLMContextAggregatorPair(context)
    sides.assistant().add_event_handler("on_assistant_turn_started", lambda *_: started.set())
    sides.assistant().add_event_handler("on_assistant_turn_stopped", lambda *_: stopped.set())
    worker = PipelineWorker(Pipeline([sides.user(), llm, Speaker(), sides.assistant(), End()]))
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    try:
        yield Talking()
    finally:
        await worker.queue_frame(EndFrame())
        await running
