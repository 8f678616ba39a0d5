"""The errors that this package raises. All are a `RealtimeError`; the class says who has to act."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


class RealtimeError(Exception):
    """Base class of every error of this package."""


class ConnectionLost(RealtimeError):
    """The socket is gone and will not be, or could not be, opened again.

    `code` is its close code, `status` the HTTP status of a refused handshake; each may be None. `retry`: connecting
    again may help; then `Client.resume(*response.cursor)` continues where this client stopped.
    """

    def __init__(
        self,
        reason: str,
        *,
        retry: bool,
        code: int | None = None,
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(reason)
        self.retry = retry
        self.code = code
        self.status = status
        self.retry_after = retry_after

    @classmethod
    def closed(cls, code: int, reason: str = "") -> ConnectionLost:
        """Return the error for a socket that was closed with this code; the code decides whether to connect again."""
        text = f"the connection was closed with code {code}{f': {reason}' if reason else ''}"
        return cls(text, retry=code in RECONNECT_CODES, code=code)

    @classmethod
    def timed_out(cls, url: str) -> ConnectionLost:
        """Return the error for an attempt to open a socket that took too long."""
        return cls(f"no connection to {url}: the attempt took too long", retry=True)

    @classmethod
    def refused(cls, url: str, status: int, body: bytes | str | None, retry_after: float | None) -> ConnectionLost:
        """Return the error for a handshake that the server answered with this HTTP status. The text has the server's
        words, if any.
        """
        text = f"the server answered the handshake with HTTP {status}"
        if status == 404:
            text += f": there is nothing at {url}; {URL_HINT}"
        else:
            text += _words(body)
        return cls(text, retry=status in _RETRY_STATUS, status=status, retry_after=retry_after)


URL_HINT = "the URL of a server looks like ws://127.0.0.1:8000/v1/responses, or wss:// behind TLS"
_RETRY_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})


def _words(body: bytes | str | None) -> str:
    """Return the code and the message of an error's body; nothing for a proxy's, or another server's."""
    try:
        error = json.loads(body or b"")["error"]
        return f": {error['code']}: {error['message']}"
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""


# RFC 6455 section 7.4: going away, no status, cut, internal error, restart, try again later, TLS. After any other code
# the same thing would happen again: refused (1008), not understood (1002, 1003, 1007), too big (1009), over (1000), the
# key removed (4401).
RECONNECT_CODES = frozenset({1001, 1005, 1006, 1011, 1012, 1013, 1015})


class ProtocolError(RealtimeError):
    """The server sent what this protocol does not allow."""


class ClientClosed(RealtimeError):
    """The client was closed while this response was still open."""


class Detached(RealtimeError):
    """The response was detached: it continues at the server, but this handle no longer follows it."""


class AlreadyFollowed(RealtimeError):
    """The client follows that response already. Use the existing handle."""


class EventNotReceived(RealtimeError, ValueError):
    """An event was named by a number that has not been received."""


class ToolLoopTooLong(RealtimeError):
    """The model keeps calling tools."""


class RequestTooLarge(RealtimeError):
    """The request is larger than the server accepts; sending it would cost the whole connection."""


class ResponseFailed(RealtimeError):
    """The response ended as `failed`. `response` is the response object (empty when the server sent none)."""

    def __init__(self, response: Mapping[str, Any], error: Mapping[str, Any]) -> None:
        super().__init__(f"{error.get('code')}: {error.get('message')}")
        self.response = response
        self.code: str | None = error.get("code")


class SteerFailed(RealtimeError):
    """A steer or an injection has no effect, and `input` is given back. `code` is the server's, or `connection_lost`:
    then the server may have applied it and started a successor that nobody follows.
    """

    def __init__(self, code: str | None, message: str, input: Any) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.input = input

    @staticmethod
    def of(error: Mapping[str, Any], input: Any) -> SteerFailed:
        """Return the error for `response.steer.failed` or `response.inject.failed`."""
        return SteerFailed(error.get("code"), str(error.get("message")), input)


class ServerError(RealtimeError):
    """The server refused a request. `retry`: the same request may succeed, after `retry_after` seconds if given."""

    def __init__(self, event: Mapping[str, Any]) -> None:
        body: Mapping[str, Any] = event.get("error") or {}
        super().__init__(f"{body.get('code')}: {body.get('message')}")
        self.status: int | None = event.get("status")
        self.type: str | None = body.get("type")
        self.code: str | None = body.get("code")
        self.message: str | None = body.get("message")
        self.param: str | None = body.get("param")
        self.retry = bool(body.get("retry", False))
        self.retry_after: float | None = body.get("retry_after")
        self.item: Mapping[str, Any] | None = body.get("item")  # of the conversation, where one stands in the way

    @staticmethod
    def of(event: Mapping[str, Any]) -> ServerError:
        """Return the `error` event as the most exact class."""
        code = (event.get("error") or {}).get("code")
        return (_BY_CODE.get(code, ServerError) if isinstance(code, str) else ServerError)(event)


class ResponseNotFound(ServerError):
    """No such response: it never existed, is forgotten, or belongs to somebody else."""


class EpochMismatch(ServerError):
    """The response's log was restarted since the cursor was taken: its numbers mean something else now."""


class CursorTooOld(ServerError):
    """The events right after the cursor are gone from the server's log."""


class CursorAhead(ServerError):
    """The cursor is beyond the newest event."""


class IdempotencyConflict(ServerError):
    """The `request_id` was used before with another body."""


class ItemNotFound(ServerError):
    """The response has no such message."""


class ConversationMovedOn(ServerError):
    """Something follows the answer in its conversation already, so it can't be cut any more."""


class MissingToolOutput(ServerError):
    """Calls of the newest turn have no output in the input; the message names them."""


class ToolOutputAlreadyAccepted(ServerError):
    """The conversation has an output for this call already: `item`."""


_BY_CODE: dict[str | None, type[ServerError]] = {
    "response_not_found": ResponseNotFound,
    "epoch_mismatch": EpochMismatch,
    "cursor_too_old": CursorTooOld,
    "slow_reader": CursorTooOld,
    "cursor_ahead": CursorAhead,
    "idempotency_conflict": IdempotencyConflict,
    "item_not_found": ItemNotFound,
    "conversation_moved_on": ConversationMovedOn,
    "missing_tool_output": MissingToolOutput,
    "tool_output_already_accepted": ToolOutputAlreadyAccepted,
}
