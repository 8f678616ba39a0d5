"""OpenAI's agents SDK: models whose answers survive a cut connection and are cancelled at the server with their run.

provider = RealtimeProvider("ws://127.0.0.1:8000/v1/responses")
result = await Runner.run(agent, "Hello", run_config=RunConfig(model_provider=provider, tracing_disabled=True))
await provider.aclose()
"""

from __future__ import annotations

from typing import Any

import httpx2
from agents import Model, ModelProvider, OpenAIResponsesModel
from openai import AsyncOpenAI

from .openai_transport import AsyncTransport


class RealtimeProvider(ModelProvider):
    """A provider of models by name. `default_model`: for an agent that names none. `connect_options`: those of
    `realtime_client.connect`.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        default_model: str | None = None,
        **connect_options: Any,
    ) -> None:
        transport = AsyncTransport(url, api_key=api_key, **connect_options)
        self._default_model = default_model
        self._client = AsyncOpenAI(
            base_url=transport.base_url,
            api_key=api_key or "unused",
            http_client=httpx2.AsyncClient(transport=transport),
        )

    def get_model(self, model_name: str | None) -> Model:
        """Return a model. Raises ValueError when neither the agent nor the provider names one."""
        name = model_name or self._default_model
        if name is None:
            raise ValueError("name a model: `Agent(model=...)` or `RealtimeProvider(default_model=...)`")
        return OpenAIResponsesModel(model=name, openai_client=self._client)

    async def aclose(self) -> None:
        """Close the socket."""
        await self._client.close()
