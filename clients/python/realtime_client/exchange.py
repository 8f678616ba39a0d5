"""One request over HTTP and its answer, by the standard library, in a thread that can be interrupted from outside."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from email.message import Message
from typing import IO, Any

from .errors import ConnectionLost, ProtocolError

_MAX_BYTES = 64 * 2**20


class Exchange:
    """One request and its answer. `options` are the socket's: `ssl` and `proxy` apply here, too."""

    def __init__(self, request: urllib.request.Request, options: Mapping[str, Any], timeout_seconds: float) -> None:
        self._request = request
        self._timeout_seconds = timeout_seconds
        self._sockets: list[socket.socket] = []
        self._is_broken_off = False
        context = options.get("ssl") if isinstance(options.get("ssl"), ssl.SSLContext) else None
        handlers = [_NoRedirect(), _Http(self), _Https(self, context)]
        if (proxy := options.get("proxy", True)) is not True:
            handlers.append(urllib.request.ProxyHandler({} if proxy is None else {"http": proxy, "https": proxy}))
        self._opener = urllib.request.build_opener(*handlers)

    async def run(self) -> tuple[int, Message, bytes]:
        """Return the status, the headers and the body. Cancelling the caller ends the exchange. Raises
        ConnectionLost.
        """
        try:
            return await asyncio.to_thread(self._run)
        except BaseException:
            self._break_off()
            raise

    def _run(self) -> tuple[int, Message, bytes]:
        with _lost(self._request):
            try:
                with self._opener.open(self._request, timeout=self._timeout_seconds) as reply:
                    return reply.status, reply.headers, _read(reply)
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, error.headers, _read(error)

    def watch(self, sock: socket.socket) -> None:
        """Remember a socket that was opened for it."""
        self._sockets.append(sock)
        if self._is_broken_off:
            self._break_off()

    def _break_off(self) -> None:
        """Wake the thread from whatever it reads: a peer that sends very slowly would hold it for ever."""
        self._is_broken_off = True
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)  # not TLS's own, which is not for another thread


class _Http(urllib.request.HTTPHandler):
    def __init__(self, exchange: Exchange) -> None:
        super().__init__()
        self._exchange = exchange

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        exchange = self._exchange

        class Watched(http.client.HTTPConnection):
            def connect(self) -> None:
                super().connect()
                exchange.watch(self.sock)

        return self.do_open(Watched, req)


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, exchange: Exchange, context: ssl.SSLContext | None) -> None:
        super().__init__(context=context)
        self._exchange = exchange
        self._given = context

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        exchange = self._exchange

        class Watched(http.client.HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                exchange.watch(self.sock)

        return self.do_open(Watched, req, context=self._given)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A handler that follows no redirect: the key is for this server only."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


@contextlib.contextmanager
def _lost(request: urllib.request.Request) -> Iterator[None]:
    try:
        yield
    except (ValueError, OverflowError):  # not with the reason, which shows the key
        text = f"no answer from {request.host}: it is no such host, or the key has characters that can't be sent"
        raise ConnectionLost(text, retry=False) from None
    except (OSError, http.client.HTTPException) as error:
        passes = not isinstance(getattr(error, "reason", error), ssl.SSLCertVerificationError)
        raise ConnectionLost(f"no answer from {request.host}: {error}", retry=passes) from error


def _read(reply: IO[bytes]) -> bytes:
    data = reply.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise ProtocolError(f"an answer of more than {_MAX_BYTES} bytes")
    return data
