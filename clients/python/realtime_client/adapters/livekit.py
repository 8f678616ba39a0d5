"""LiveKit Agents: an LLM that keeps its socket at an interruption, and whose history holds what was heard.

    session = AgentSession(llm=RealtimeLLM("ws://127.0.0.1:8000/v1/responses", model="starter"), ...)

LiveKit writes into the chat context how much of an interrupted message was heard.
"""

from __future__ import annotations

from typing import Any

from livekit.agents import APIConnectionError, APIConnectOptions, APIStatusError, llm
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS, NOT_GIVEN, NotGivenOr
from livekit.agents.utils import is_given

from ..errors import ConnectionLost, RealtimeError, ServerError
from .connection import Connection
from .turns import Answer, Turns


class RealtimeLLM(llm.LLM):
    """The LLM of one conversation. `body`: members of each create (`temperature`, `max_output_tokens`, ...).
    `connect_options`: those of `realtime_client.connect`.
    """

    def __init__(
        self,
        url: str,
        *,
        model: str,
        api_key: str | None = None,
        connect_options: dict[str, Any] | None = None,
        **body: Any,
    ) -> None:
        super().__init__()
        self.connection = Connection(url, api_key=api_key, **(connect_options or {}))
        self.turns = Turns()
        self.body = {"model": model, **body}

    @property
    def model(self) -> str:
        """The name of the model."""
        return str(self.body["model"])

    @property
    def provider(self) -> str:
        """Return the provider's name, for metrics."""
        return "realtime"

    def chat(
        self,
        *,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool] | None = None,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
        parallel_tool_calls: NotGivenOr[bool] = NOT_GIVEN,
        tool_choice: NotGivenOr[llm.ToolChoice] = NOT_GIVEN,
        extra_kwargs: NotGivenOr[dict[str, Any]] = NOT_GIVEN,
    ) -> RealtimeStream:
        """Answer this context."""
        body = {**self.body, **(extra_kwargs if is_given(extra_kwargs) else {})}
        if is_given(parallel_tool_calls):
            body["parallel_tool_calls"] = parallel_tool_calls
        if is_given(tool_choice):
            named = tool_choice["function"]["name"] if isinstance(tool_choice, dict) else None
            body["tool_choice"] = tool_choice if named is None else {"type": "function", "name": named}
        return RealtimeStream(self, body, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)

    async def _prewarm_impl(self) -> None:
        await self.connection.client()

    async def aclose(self) -> None:
        """Close the socket."""
        await super().aclose()
        await self.connection.aclose()


class RealtimeStream(llm.LLMStream):
    """One answer. Closing it, as LiveKit does at an interruption, stops the answer and keeps the socket."""

    def __init__(self, owner: RealtimeLLM, body: dict[str, Any], **options: Any) -> None:
        super().__init__(owner, **options)
        self._owner = owner
        self._body = body

    async def _run(self) -> None:
        items, _ = self._chat_ctx.to_provider_format(format="openai.responses")
        tools = llm.ToolContext(self._tools).parse_function_tools("openai.responses", strict=True)
        if tools:
            self._body["tools"] = tools
        try:
            answer = await self._owner.turns.ask(await self._owner.connection.client(), items, **self._body)
        except ServerError as error:
            status = error.status or -1
            raise APIStatusError(str(error), status_code=status, body=error.code, retryable=error.retry) from error
        except RealtimeError as error:
            retryable = isinstance(error, ConnectionLost) and error.retry
            raise APIConnectionError(str(error), retryable=retryable) from error
        try:
            await self._send(answer)
        except RealtimeError as error:
            raise APIConnectionError(str(error), retryable=False) from error
        finally:
            await answer.leave()

    async def _send(self, answer: Answer) -> None:
        """Pass the chunks of an answer to LiveKit. Raises APIStatusError when it failed."""
        name = answer.response.id
        async for event in answer:
            delta: llm.ChoiceDelta | None = None
            if event["type"] == "response.output_text.delta":
                delta = llm.ChoiceDelta(role="assistant", content=event["delta"])
            elif event["type"] == "response.output_item.done" and event["item"]["type"] == "function_call":
                call = event["item"]
                made = llm.FunctionToolCall(name=call["name"], arguments=call["arguments"], call_id=call["call_id"])
                delta = llm.ChoiceDelta(role="assistant", tool_calls=[made])
            elif event["type"] == "response.failed":
                error = event["response"]["error"] or {"message": "the response failed"}
                raise APIStatusError(error["message"], status_code=-1, retryable=False)
            elif event["type"] in ("response.completed", "response.incomplete"):
                self._event_ch.send_nowait(llm.ChatChunk(id=name, usage=_usage(event["response"].get("usage"))))
            if delta is not None:
                self._event_ch.send_nowait(llm.ChatChunk(id=name, delta=delta))


def _usage(usage: Any) -> llm.CompletionUsage | None:
    if not usage:
        return None
    return llm.CompletionUsage(
        completion_tokens=usage["output_tokens"],
        prompt_tokens=usage["input_tokens"],
        prompt_cached_tokens=usage["input_tokens_details"]["cached_tokens"],
        reasoning_tokens=usage["output_tokens_details"]["reasoning_tokens"],
        total_tokens=usage["total_tokens"],
    )
