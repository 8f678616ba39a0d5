"""Pydantic AI: a model whose answers survive a cut connection, and which cancels at the server what it abandons.

async with RealtimeModel("starter", "ws://127.0.0.1:8000/v1/responses") as model:
    result = await Agent(model).run("What is the weather in Paris?")
"""

from __future__ import annotations

from types import TracebackType
from typing import Any

import httpx2
from openai import AsyncOpenAI
from pydantic_ai.models.openai import OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider

from .openai_transport import AsyncTransport


class RealtimeModel(OpenAIResponsesModel):
    """An `OpenAIResponsesModel` on our socket. `model_options` are its own (`settings`, `profile`); `connect_options`
    are those of `realtime_client.connect`.
    """

    def __init__(
        self,
        model_name: str,
        url: str,
        *,
        api_key: str | None = None,
        connect_options: dict[str, Any] | None = None,
        **model_options: Any,
    ) -> None:
        transport = AsyncTransport(url, api_key=api_key, **(connect_options or {}))
        client = AsyncOpenAI(
            base_url=transport.base_url,
            api_key=api_key or "unused",
            http_client=httpx2.AsyncClient(transport=transport),
        )
        super().__init__(model_name, provider=OpenAIProvider(openai_client=client), **model_options)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        """Close the socket."""
        try:
            handled: bool | None = await super().__aexit__(kind, error, trace)
            return handled
        finally:
            await self.client.close()
