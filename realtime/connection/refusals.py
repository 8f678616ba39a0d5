"""The refusals of a connection in words: what is wrong, the limit, what to do. Pure."""

from __future__ import annotations

from realtime.wire.errors import ErrorCode, WireError


def binary_message() -> WireError:
    """Refuse a binary message: no profile has them."""
    return WireError(ErrorCode.INVALID_JSON, "Send JSON in text messages, not binary ones.")


def too_big(max_bytes: int) -> WireError:
    """Refuse a message that was not even read."""
    text = f"A message may have {max_bytes} bytes at most: send less of it at once."
    return WireError(ErrorCode.MESSAGE_TOO_BIG, text)


def expired(lifetime_seconds: float) -> WireError:
    """Refuse new work past the connection's lifetime; what runs is delivered to its end."""
    text = (
        f"Responses websocket connection limit reached ({lifetime_seconds / 60:g} minutes). "
        "Create a new websocket connection to continue."
    )
    return WireError(ErrorCode.CONNECTION_LIMIT, text)


def background() -> WireError:
    """Refuse OpenAI's background mode, which is for HTTP."""
    text = "`background` is not available on a socket: use `on_disconnect: {policy: continue}`."
    return WireError(ErrorCode.UNSUPPORTED_PARAMETER, text, param="background")


def nothing_runs() -> WireError:
    """Refuse to cancel a lane in which there is nothing."""
    return WireError(ErrorCode.RESPONSE_NOT_FOUND, "Nothing is running on this stream.", param="stream_id")


def cancelled() -> WireError:
    """Return the answer to a create whose lane was cancelled while it waited there."""
    return WireError(ErrorCode.REQUEST_CANCELLED, "The request was cancelled before it was started.")


def not_sent(response_id: str, number: int) -> WireError:
    """Refuse the acknowledgement of an event that this connection has not been sent."""
    text = f"Event {number} of response '{response_id}' has not been sent to this connection."
    return WireError(ErrorCode.CURSOR_AHEAD, text, param="through", response_id=response_id)


def too_many_followed(limit: int) -> WireError:
    """Refuse to follow another response."""
    text = f"This connection follows {limit} responses already; detach from one first."
    return WireError(ErrorCode.TOO_MANY_FOLLOWED, text)


def not_followed(response_id: str) -> WireError:
    """Refuse to leave a response that this connection does not read."""
    text = f"This connection does not follow response '{response_id}'."
    return WireError(ErrorCode.RESPONSE_NOT_FOUND, text, param="response_id", response_id=response_id)


def too_many_pending(number: int) -> WireError:
    """Refuse requests that come faster than the service answers them."""
    text = f"{number} requests of this connection wait for an answer already; wait for answers before sending more."
    return WireError(ErrorCode.TOO_MANY_QUEUED, text)


def heartbeat_interval() -> WireError:
    """Refuse heartbeats that are too frequent."""
    text = "`heartbeat_seconds` must be 0, which is never, or at least 1."
    return WireError(ErrorCode.INVALID_REQUEST, text, param="heartbeat_seconds")


def credential_gone(*, by_ticket: bool) -> WireError:
    """Return the error for a connection whose credential was revoked while it was open, or has expired."""
    what = "ticket" if by_ticket else "API key"
    text = f"The {what} of this connection is not valid any more; connect again with one that is."
    return WireError(ErrorCode.INVALID_API_KEY, text)


def not_the_owner() -> WireError:
    """Refuse a new credential that is somebody else's, or nobody's."""
    text = "`api_key` is not a key of this connection's owner; the connection stays as it was."
    return WireError(ErrorCode.INVALID_API_KEY, text, param="api_key")
