"""LangChain: a chat model whose answers survive a cut connection, and are cancelled at the server when they are left.

model = ChatRealtime("starter", "ws://127.0.0.1:8000/v1/responses")
async for chunk in model.astream("Hello"):
    print(chunk.text, end="")
await model.aclose()
"""

from __future__ import annotations

from typing import Any

import httpx2
from langchain_openai import ChatOpenAI

from .openai_transport import AsyncTransport, Transport


class ChatRealtime(ChatOpenAI):
    """A `ChatOpenAI` on our socket, also without asyncio. `options` are its own; `connect_options` are those of
    `realtime_client.connect`. A chain of turns sends only what is new.
    """

    def __init__(
        self,
        model: str,
        url: str,
        *,
        api_key: str | None = None,
        connect_options: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        transport = AsyncTransport(url, api_key=api_key, **(connect_options or {}))
        blocking = Transport(url, api_key=api_key, **(connect_options or {}))
        members: dict[str, Any] = {
            "model": model,
            "base_url": transport.base_url,
            "api_key": api_key or "unused",
            "http_async_client": httpx2.AsyncClient(transport=transport),
            "http_client": httpx2.Client(transport=blocking),
            "use_responses_api": True,
            # The transport bounds the silence. LangChain's own bound is `asyncio.wait_for`, which before Python 3.12
            # can lose a cancellation.
            "stream_chunk_timeout": None,
            "use_previous_response_id": True,
        }
        super().__init__(**(members | options))

    @property
    def _llm_type(self) -> str:
        return "realtime"

    async def aclose(self) -> None:
        """Close the sockets."""
        assert self.http_async_client is not None
        await self.http_async_client.aclose()
        self.close()

    def close(self) -> None:
        """Close the socket of the calls without asyncio."""
        assert self.http_client is not None
        self.http_client.close()
