"""The rules of input for running responses (docs/protocol.md, 3.9). Pure.

User input comes by `response.steer`, tool outputs by `response.inject`. `successors` keeps what is accepted here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from realtime.wire import codec, events
from realtime.wire.calls import answered_call, check_answers
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.items import FunctionCallOutput, InputFile, InputImage, InputItem, InputText, Message, OutputItem
from realtime.wire.requests import ResponseCreate
from realtime.wire.response import Response

SteerCode = Literal[
    "response_not_found", "invalid_input", "steering_not_supported", "too_many_pending_steers",
    "response_already_completed", "response_not_active", "successor_creation_failed",
]  # fmt: skip


class SteerRefused(Exception):
    """An error: input for a running response is refused, with OpenAI's code for the reason."""

    def __init__(self, code: SteerCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Steer(msgspec.Struct, frozen=True):
    """Input that was accepted for a response. `id`: None for an injection, which has none on the wire."""

    id: str | None
    response_id: str  # as the client named it
    input: bytes  # as it came, to be given back if nothing comes of it
    items: tuple[InputItem, ...]

    @property
    def num_bytes(self) -> int:
        return len(self.input)


class WaitingInput(msgspec.Struct, frozen=True):
    """Input that waits in a lane until the client answers the calls of `response_id`."""

    response_id: str
    steers: tuple[Steer, ...]


def refusal(status: str, response_id: str) -> SteerRefused:
    """Return why a response that ended with this status takes no input."""
    if status == "completed":
        text = f"Response '{response_id}' is already completed: continue it with `previous_response_id`."
        return SteerRefused("response_already_completed", text)
    return SteerRefused("response_not_active", f"Response '{response_id}' is over: its status is `{status}`.")


def check_steerable(request: ResponseCreate) -> None:
    """Check that a request's response can have an automatic successor. Raises SteerRefused."""
    if request.generate is False:
        raise SteerRefused("steering_not_supported", "A warm-up generates nothing that could be steered.")
    for member in ("conversation", "context_management"):
        if getattr(request, member, None):
            text = f"A response with `{member}` can't be steered: wait for its end and send the input with the next."
            raise SteerRefused("steering_not_supported", text)


def steer_items(data: bytes, limits: codec.Limits, calls: Sequence[OutputItem]) -> tuple[InputItem, ...]:
    """Return the input of a steer: user messages, or outputs of the response's own calls. Raises SteerRefused."""
    try:
        items = codec.decode_input(data, limits)
        check_answers(items, calls)
    except WireError as error:
        raise SteerRefused("invalid_input", error.message) from None
    if not items:
        raise SteerRefused("invalid_input", "`input` must hold at least one item.")
    for index, item in enumerate(items):
        if isinstance(item, Message):
            if item.role != "user" or not _only_input(item):
                text = f"`input[{index}]`: a message must have the role `user` and parts of input only."
                raise SteerRefused("invalid_input", text)
        elif not isinstance(item, FunctionCallOutput):
            text = f"`input[{index}]`: only user messages and function call outputs are accepted."
            raise SteerRefused("invalid_input", text)
    return tuple(items)


def inject_items(data: bytes, limits: codec.Limits, calls: Sequence[OutputItem]) -> tuple[InputItem, ...]:
    """Return the input of an injection: outputs of calls that the response has made. Raises WireError."""
    items = codec.decode_input(data, limits)
    for index, item in enumerate(items):
        if answered_call(item) is None:
            text = f"`input[{index}]`: only tool outputs can be injected; user messages are for `response.steer`."
            raise WireError(ErrorCode.INVALID_REQUEST, text, param=f"input[{index}].type")
    if not items:
        raise WireError(ErrorCode.INVALID_REQUEST, "`input` must hold at least one tool output.", param="input")
    check_answers(items, calls)
    return tuple(items)


def successor_request(request: ResponseCreate, response: Response, steers: Sequence[Steer]) -> ResponseCreate:
    """Return the request of an automatic successor: the same settings, and the input given into its predecessor.

    Outputs come first, so that each call is answered before the user continues.
    """
    given = [item for steer in steers for item in steer.items]
    items = sorted(given, key=lambda item: answered_call(item) is None)  # stable
    return msgspec.structs.replace(
        request,
        items=items,
        previous_response_id=response.id,
        previous_input_messages=None,
        request_id=None,
        event_id=None,
        unknown=(),
    )


def failed(steer: Steer, refused: SteerRefused) -> events.Event:
    """Return the event that gives the input of a steer or an injection back."""
    if steer.id is None:
        return inject_failed(steer.response_id, steer.input, "response_already_completed", refused.message)
    return steer_failed(steer.response_id, steer.input, refused, steer_id=steer.id)


def steer_failed(
    response_id: str, data: bytes, refused: SteerRefused, *, steer_id: str | None = None
) -> events.ResponseSteerFailed:
    """Return the event that gives a steer back. `steer_id`: the id under which it was accepted, if it was."""
    return events.ResponseSteerFailed(
        done=True,
        error=events.SteerError(code=refused.code, message=refused.message),
        steer=events.FailedSteer(
            id=msgspec.UNSET if steer_id is None else steer_id,
            input=msgspec.Raw(data or b"null"),
            previous_response_id=response_id,
        ),
    )


def inject_failed(response_id: str, data: bytes, code: str, message: str) -> events.ResponseInjectFailed:
    """Return the event that gives an injection back. `code`: `response_not_found` or `response_already_completed`."""
    return events.ResponseInjectFailed(
        done=True,
        response_id=response_id,
        input=msgspec.Raw(data or b"null"),
        error=events.InjectError(code=code, message=message),
    )


def _only_input(message: Message) -> bool:
    content = message.content
    return isinstance(content, str) or all(isinstance(part, InputText | InputImage | InputFile) for part in content)
