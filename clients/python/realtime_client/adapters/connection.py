"""A client for code outside `async with`: opened when it is first needed, one for each event loop."""

from __future__ import annotations

import asyncio
import weakref
from typing import Any

from ..client import Client, connect


class Connection:
    """The address of a server, and the open clients to it. `url`: of the socket, as for `realtime_client.connect`."""

    def __init__(self, url: str, *, api_key: str | None = None, **options: Any) -> None:
        self.url = url
        self.api_key = api_key
        self._options = options
        self._opening: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Task[Client]] = (
            weakref.WeakKeyDictionary()
        )

    @property
    def base_url(self) -> str:
        """Return the base URL for OpenAI's SDKs: the same server, over HTTP."""
        scheme, _, rest = self.url.partition("://")
        path = rest.rstrip("/").removesuffix("/responses")
        return f"{'https' if scheme == 'wss' else 'http'}://{path}"

    async def client(self) -> Client:
        """Return the client of this event loop. Raises ConnectionLost when it can't be opened; the next call tries
        again.
        """
        loop = asyncio.get_running_loop()
        opening = self._opening.get(loop)
        if opening is None or (opening.done() and (opening.cancelled() or opening.exception() is not None)):
            opening = self._opening[loop] = loop.create_task(self._open())
        return await asyncio.shield(opening)  # others may wait for it, too

    async def aclose(self) -> None:
        """Close the client of this event loop. Its responses are stopped or continue, as their `on_disconnect` says."""
        opening = self._opening.pop(asyncio.get_running_loop(), None)
        if opening is None:
            return
        opened = await asyncio.gather(opening, return_exceptions=True)
        if isinstance(opened[0], Client):
            await opened[0].close()

    async def _open(self) -> Client:
        return await connect(self.url, api_key=self.api_key, **self._options).__aenter__()
