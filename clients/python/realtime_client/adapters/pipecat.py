"""Pipecat: an LLM service that stops an answer at an interruption, keeps the part that was spoken, and stays
incremental.

    llm = RealtimeLLMService("ws://127.0.0.1:8000/v1/responses", model="starter")

It replaces `OpenAIResponsesLLMService`. Put it before the assistant's aggregator, as usual: the history holds what that
has written into the context, word by word as it was spoken.
"""

from __future__ import annotations

import contextlib
from typing import Any

from openai.types import responses as sdk
from pipecat.frames.frames import CancelFrame, EndFrame, StartFrame
from pipecat.services.openai.responses.llm import OpenAIResponsesHttpLLMService

from ..errors import RealtimeError
from .connection import Connection
from .turns import Answer, Turns

# What Pipecat looks at, as the classes of OpenAI's SDK.
_CLASSES: dict[str, Any] = {
    "response.output_text.delta": sdk.ResponseTextDeltaEvent,
    "response.reasoning_summary_text.delta": sdk.ResponseReasoningSummaryTextDeltaEvent,
    "response.output_item.added": sdk.ResponseOutputItemAddedEvent,
    "response.output_item.done": sdk.ResponseOutputItemDoneEvent,
    "response.function_call_arguments.delta": sdk.ResponseFunctionCallArgumentsDeltaEvent,
    "response.function_call_arguments.done": sdk.ResponseFunctionCallArgumentsDoneEvent,
    "response.completed": sdk.ResponseCompletedEvent,
    "response.failed": sdk.ResponseFailedEvent,
    "response.incomplete": sdk.ResponseIncompleteEvent,
}
# Of what the service sends, this is decided here.
_OURS = frozenset({"stream", "store", "input"})


class RealtimeLLMService(OpenAIResponsesHttpLLMService):
    """Pipecat's service, with our way to the server. `connect_options` are those of `realtime_client.connect`;
    `service_options` are the service's own (`settings`, which can name the model, too).
    """

    def __init__(
        self,
        url: str,
        *,
        model: str | None = None,
        api_key: str | None = None,
        connect_options: dict[str, Any] | None = None,
        **service_options: Any,
    ) -> None:
        self._connection = Connection(url, api_key=api_key, **(connect_options or {}))
        super().__init__(api_key=api_key or "unused", base_url=self._connection.base_url, **service_options)
        if model is not None:
            self._settings.model = model
        self._turns = Turns()

    async def start(self, frame: StartFrame) -> None:
        """Open the socket, so that the first turn finds it open. If the server is not there yet, the first turn tries
        again.
        """
        await super().start(frame)
        with contextlib.suppress(RealtimeError):
            await self._connection.client()

    async def stop(self, frame: EndFrame) -> None:
        """Close the socket."""
        await super().stop(frame)
        await self._connection.aclose()

    async def cancel(self, frame: CancelFrame) -> None:
        """Close the socket."""
        await super().cancel(frame)
        await self._connection.aclose()

    async def _create_stream(self, params: dict[str, Any]) -> Any:
        """Answer the context. When Pipecat closes the returned stream, at an interruption, the answer stops."""
        body = {name: value for name, value in params.items() if name not in _OURS}
        return _Stream(await self._turns.ask(await self._connection.client(), params["input"], **body))


class _Stream:
    """An answer in the form that Pipecat reads."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def __aiter__(self) -> _Stream:
        return self

    async def __anext__(self) -> Any:
        async for event in self._answer:
            if (kind := _CLASSES.get(event["type"])) is not None:
                return kind.construct(**event)
        raise StopAsyncIteration

    async def close(self) -> None:
        """Stop the answer, if it is not over."""
        await self._answer.leave()
