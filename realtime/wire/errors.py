"""The one registry of errors: code, status, whose fault it is, whether a retry can help.

Every error on the wire is a `WireError` with a code from here. Doors turn it into an `error` event or an HTTP body;
nobody else invents codes, statuses or close codes.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any

import msgspec


class Fault(enum.Enum):
    """The party that has to act. The value is OpenAI's `error.type`."""

    CLIENT = "invalid_request_error"
    IDENTITY = "authentication_error"
    CAPACITY = "rate_limit_error"
    SERVER = "server_error"


class Spec(msgspec.Struct, frozen=True):
    """One row of the registry. `retry`: the same request, sent again unchanged, may succeed."""

    code: str
    status: int
    fault: Fault
    retry: bool = False


class ErrorCode(enum.Enum):
    """Every error that this server sends. The codes are wire: clients match on them."""

    # the frame
    INVALID_JSON = Spec("invalid_json", 400, Fault.CLIENT)
    UNSUPPORTED_EVENT_TYPE = Spec("unsupported_event_type", 400, Fault.CLIENT)
    INVALID_REQUEST = Spec("invalid_request", 400, Fault.CLIENT)
    MESSAGE_TOO_COMPLEX = Spec("message_too_complex", 400, Fault.CLIENT)
    MESSAGE_TOO_BIG = Spec("message_too_big", 413, Fault.CLIENT)
    # the HTTP request
    REQUEST_TOO_LARGE = Spec("request_too_large", 413, Fault.CLIENT)
    REQUEST_TIMEOUT = Spec("request_timeout", 408, Fault.CLIENT, retry=True)
    UNSUPPORTED_MEDIA_TYPE = Spec("unsupported_media_type", 415, Fault.CLIENT)
    NOT_FOUND = Spec("not_found", 404, Fault.CLIENT)
    METHOD_NOT_ALLOWED = Spec("method_not_allowed", 405, Fault.CLIENT)
    # lanes
    INVALID_STREAM_ID = Spec("invalid_stream_id", 400, Fault.CLIENT)
    STREAM_LIMIT = Spec("websocket_stream_limit_reached", 400, Fault.CLIENT)
    CONNECTION_LIMIT = Spec("websocket_connection_limit_reached", 400, Fault.CLIENT, retry=True)
    TOO_MANY_QUEUED = Spec("too_many_queued_requests", 429, Fault.CAPACITY, retry=True)
    RATE_LIMIT_EXCEEDED = Spec("rate_limit_exceeded", 429, Fault.CAPACITY, retry=True)
    # creating
    MODEL_NOT_FOUND = Spec("model_not_found", 404, Fault.CLIENT)
    PREVIOUS_RESPONSE_NOT_FOUND = Spec("previous_response_not_found", 400, Fault.CLIENT)
    PREVIOUS_RESPONSE_IN_PROGRESS = Spec("previous_response_in_progress", 409, Fault.CLIENT, retry=True)
    IDEMPOTENCY_CONFLICT = Spec("idempotency_conflict", 409, Fault.CLIENT)
    CONTEXT_LENGTH_EXCEEDED = Spec("context_length_exceeded", 400, Fault.CLIENT)
    INVALID_PROMPT = Spec("invalid_prompt", 400, Fault.CLIENT)
    UNSUPPORTED_PARAMETER = Spec("unsupported_parameter", 400, Fault.CLIENT)
    # images, in OpenAI's words
    INVALID_IMAGE_URL = Spec("invalid_image_url", 400, Fault.CLIENT)
    INVALID_BASE64_IMAGE = Spec("invalid_base64_image", 400, Fault.CLIENT)
    UNSUPPORTED_IMAGE_MEDIA_TYPE = Spec("unsupported_image_media_type", 400, Fault.CLIENT)
    EMPTY_IMAGE_FILE = Spec("empty_image_file", 400, Fault.CLIENT)
    IMAGE_FILE_TOO_LARGE = Spec("image_file_too_large", 400, Fault.CLIENT)
    IMAGE_FILE_NOT_FOUND = Spec("image_file_not_found", 400, Fault.CLIENT)
    IMAGE_TOO_LARGE = Spec("image_too_large", 400, Fault.CLIENT)
    IMAGE_PARSE_ERROR = Spec("image_parse_error", 400, Fault.CLIENT)
    FAILED_TO_DOWNLOAD_IMAGE = Spec("failed_to_download_image", 400, Fault.CLIENT, retry=True)
    # conversations and what clients keep sealed for us
    CONVERSATION_NOT_FOUND = Spec("conversation_not_found", 404, Fault.CLIENT)
    CONVERSATION_LOCKED = Spec("conversation_locked", 429, Fault.CAPACITY, retry=True)
    CONVERSATION_FULL = Spec("conversation_full", 400, Fault.CLIENT)
    ITEM_NOT_FOUND = Spec("item_not_found", 404, Fault.CLIENT)
    CONVERSATION_MOVED_ON = Spec("conversation_moved_on", 409, Fault.CLIENT)
    INVALID_ENCRYPTED_CONTENT = Spec("invalid_encrypted_content", 400, Fault.CLIENT)
    # outputs of tools
    MISSING_TOOL_OUTPUT = Spec("missing_tool_output", 400, Fault.CLIENT)
    TOOL_OUTPUT_ALREADY_ACCEPTED = Spec("tool_output_already_accepted", 409, Fault.CLIENT)
    # following
    RESPONSE_NOT_FOUND = Spec("response_not_found", 404, Fault.CLIENT)
    RESPONSE_ALREADY_COMPLETED = Spec("response_already_completed", 409, Fault.CLIENT)
    TOO_MANY_FOLLOWED = Spec("too_many_followed_responses", 429, Fault.CAPACITY, retry=True)
    REQUEST_CANCELLED = Spec("request_cancelled", 409, Fault.CLIENT)
    EPOCH_MISMATCH = Spec("epoch_mismatch", 409, Fault.CLIENT)
    CURSOR_TOO_OLD = Spec("cursor_too_old", 410, Fault.CLIENT)
    CURSOR_AHEAD = Spec("cursor_ahead", 416, Fault.CLIENT)
    SLOW_READER = Spec("slow_reader", 410, Fault.CLIENT)
    # identity
    MISSING_API_KEY = Spec("missing_api_key", 401, Fault.IDENTITY)
    INVALID_API_KEY = Spec("invalid_api_key", 401, Fault.IDENTITY)
    UPGRADE_REQUIRED = Spec("upgrade_required", 426, Fault.CLIENT)
    ORIGIN_NOT_ALLOWED = Spec("origin_not_allowed", 403, Fault.IDENTITY)
    NOT_PERMITTED = Spec("not_permitted", 403, Fault.IDENTITY)
    # capacity and faults
    SERVER_IS_OVERLOADED = Spec("server_is_overloaded", 503, Fault.SERVER, retry=True)
    SERVER_DRAINING = Spec("server_draining", 503, Fault.SERVER, retry=True)
    ENGINE_UNAVAILABLE = Spec("engine_unavailable", 503, Fault.SERVER, retry=True)
    STORE_UNAVAILABLE = Spec("store_unavailable", 503, Fault.SERVER, retry=True)
    NODE_UNAVAILABLE = Spec("node_unavailable", 503, Fault.SERVER, retry=True)
    SERVER_RESTARTED = Spec("server_restarted", 503, Fault.SERVER, retry=True)
    SERVER_ERROR = Spec("server_error", 500, Fault.SERVER, retry=True)


class CloseCode(enum.IntEnum):
    """The reasons why the server closes a socket (RFC 6455 section 7.4). OpenAI's clients reconnect on 1001, 1011, 1012
    and 1013 only.
    """

    NORMAL = 1000
    GOING_AWAY = 1001
    UNSUPPORTED_DATA = 1003
    INVALID_UTF8 = 1007
    POLICY = 1008
    TOO_BIG = 1009
    INTERNAL = 1011
    RESTART = 1012
    OVERLOAD = 1013
    INVALID_KEY = 4401  # private use; 4000 and HTTP's status, as many servers have it


class WireError(Exception):
    """A refusal or failure as a client sees it. The message names what is wrong and what to do, without internals."""

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        *,
        param: str | None = None,
        retry_after: float | None = None,
        response_id: str | None = None,
        item: Any = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param
        self.retry_after = retry_after  # seconds; only with codes that may be retried
        self.response_id = response_id  # the response that the refused wish was about
        self.rate_limits: Sequence[Any] = ()  # what is left of the refused client's minute, see wire.response
        self.item = item  # of the conversation, where one stands in the way

    @property
    def spec(self) -> Spec:
        """The registry row."""
        return self.code.value


def draining() -> WireError:
    """Return the refusal of new work while the server shuts down."""
    return WireError(ErrorCode.SERVER_DRAINING, "The server is restarting: connect again and repeat the request.")


def not_permitted(message: str) -> WireError:
    """Return the refusal of something that a client which may connect may not do."""
    return WireError(ErrorCode.NOT_PERMITTED, message)


def response_not_found(response_id: str) -> WireError:
    """Return the refusal for a response that does not exist, or is another tenant's: nobody can tell which."""
    text = f"Response with id '{response_id}' not found."
    return WireError(ErrorCode.RESPONSE_NOT_FOUND, text, param="response_id", response_id=response_id)


def invalid_member(path: str, reason: str) -> WireError:
    """Return the refusal of a request for a member of it, by its path: what is wrong, the limit, what to do."""
    return WireError(ErrorCode.INVALID_REQUEST, f"`{path}`: {reason}.", param=path)
