"""The same client without asyncio: each call blocks until it is done. `connect` is the way in.

    with realtime_client.sync.connect("ws://127.0.0.1:8000/v1/responses") as rt:
        for text in rt.create(input="Hello").text():
            print(text, end="", flush=True)

A thread of its own runs the event loop; calls may come from any thread. A blocking call can be stopped from another
thread by `response.cancel()` or `client.close()`, and from the keyboard by Ctrl-C.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from types import TracebackType
from typing import Any, TypeVar

from . import client as aio
from .inputs import Steer
from .link import ConnectionState
from .response import Response as AsyncResponse
from .track import Cursor, FinalResponse
from .wire import ResponseEvent as Event

T = TypeVar("T")


def connect(url: str, **options: Any) -> Client:
    """Return a client for `with`. `options`: as of `realtime_client.connect`."""
    return Client(lambda: aio.connect(url, **options))


class Client:
    """A client whose calls block. See `realtime_client.Client`."""

    def __init__(self, make: Callable[[], aio.Client]) -> None:
        self._make = make
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="realtime_client.sync", daemon=True)

    def __enter__(self) -> Client:
        self._thread.start()
        try:
            self._client = self._call(self._open())
        except BaseException:
            self._end()
            raise
        self.responses = Blocking(self._client.responses, self._call)
        self.conversations = Blocking(self._client.conversations, self._call)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def _open(self) -> aio.Client:
        return await self._make().__aenter__()

    def create(self, **body: Any) -> Response:
        """See `realtime_client.Client.create`."""
        return Response(self._call(self._client.create(**body)), self._call)

    def resume(self, response_id: str, starting_after: int = -1, epoch: str | None = None) -> Response:
        """See `realtime_client.Client.resume`."""
        return Response(self._call(self._client.resume(response_id, starting_after, epoch)), self._call)

    def run(self, input: Any, **options: Any) -> FinalResponse:
        """See `realtime_client.Client.run`."""
        return self._call(self._client.run(input, **options))

    def update(self, **members: Any) -> Mapping[str, Any]:
        """See `realtime_client.Client.update`."""
        return self._call(self._client.update(**members))

    @property
    def state(self) -> ConnectionState:
        """See `realtime_client.Client.state`."""
        return self._client.state

    @property
    def heartbeat(self) -> Mapping[str, Any] | None:
        """See `realtime_client.Client.heartbeat`."""
        return self._client.heartbeat

    def close(self) -> None:
        """See `realtime_client.Client.close`."""
        if self._thread.is_alive():
            try:
                self._call(self._client.close())
            finally:
                self._end()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, wanted: Coroutine[Any, Any, T]) -> T:
        """Wait here for a call that runs on the loop. Interrupting the wait stops the call."""
        if not self._thread.is_alive():
            wanted.close()
            raise RuntimeError("the client is not open: use `with connect(...)`")
        future = asyncio.run_coroutine_threadsafe(wanted, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise


class Response:
    """A response whose calls block. See `realtime_client.Response`."""

    def __init__(self, response: AsyncResponse, call: Callable[[Coroutine[Any, Any, Any]], Any]) -> None:
        self._response = response
        self._call = call

    @property
    def id(self) -> str:
        """See `realtime_client.Response.id`."""
        return self._response.id

    @property
    def request_id(self) -> str | None:
        """See `realtime_client.Response.request_id`."""
        return self._response.request_id

    @property
    def cursor(self) -> Cursor:
        """See `realtime_client.Response.cursor`."""
        return self._response.cursor

    def __iter__(self) -> Iterator[Event]:
        return self._each(self._response)

    def text(self) -> Iterator[str]:
        """See `realtime_client.Response.text`."""
        return self._each(self._response.text())

    def chain(self) -> Iterator[Event]:
        """See `realtime_client.Response.chain`."""
        return self._each(self._response.chain())

    def result(self) -> FinalResponse:
        """See `realtime_client.Response.result`."""
        return self._wait(self._response.result())

    def cancel(self, through: int | None = None) -> FinalResponse:
        """See `realtime_client.Response.cancel`."""
        return self._wait(self._response.cancel(through))

    def truncate(self, through: int | None = None, **where: Any) -> FinalResponse:
        """See `realtime_client.Response.truncate`."""
        return self._wait(self._response.truncate(through, **where))

    def interrupt(self) -> FinalResponse:
        """See `realtime_client.Response.interrupt`."""
        return self._wait(self._response.interrupt())

    def through_at(self, num_characters: int) -> int:
        """See `realtime_client.Response.through_at`."""
        return self._response.through_at(num_characters)

    def ack(self, through: int | None = None) -> None:
        """See `realtime_client.Response.ack`."""
        self._wait(_soon(lambda: self._response.ack(through)))

    def steer(self, input: str | list[dict[str, Any]]) -> Steer:
        """See `realtime_client.Response.steer`."""
        return self._wait(self._response.steer(input))

    def inject(self, input: list[dict[str, Any]]) -> Steer:
        """See `realtime_client.Response.inject`."""
        return self._wait(self._response.inject(input))

    def successor(self) -> Response | None:
        """See `realtime_client.Response.successor`."""
        successor = self._wait(self._response.successor())
        return None if successor is None else Response(successor, self._call)

    def detach(self) -> Cursor:
        """See `realtime_client.Response.detach`."""
        return self._wait(self._response.detach())

    def __enter__(self) -> Response:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._wait(self._response.__aexit__(kind, error, trace))

    def _wait(self, wanted: Coroutine[Any, Any, T]) -> T:
        result: T = self._call(wanted)
        return result

    def _each(self, events: AsyncIterator[T]) -> Iterator[T]:
        ended: Any = object()
        while (event := self._wait(_next(events, ended))) is not ended:
            yield event


class Blocking:
    """The methods of a resource, each blocking until it is done; `all` and `all_items` are iterators."""

    def __init__(self, resource: Any, call: Callable[[Coroutine[Any, Any, Any]], Any]) -> None:
        self._resource = resource
        self._call = call

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._resource, name)
        if name in ("all", "all_items"):
            return lambda *given, **query: self._all(method(*given, **query))
        return lambda *given, **named: self._call(method(*given, **named))

    def _all(self, entries: AsyncIterator[Any]) -> Iterator[Any]:
        ended = object()
        while (entry := self._call(_next(entries, ended))) is not ended:
            yield entry


async def _next(events: AsyncIterator[T], ended: T) -> T:
    return await anext(events, ended)


async def _soon(act: Callable[[], None]) -> None:
    act()
