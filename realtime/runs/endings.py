"""How a response ends: what it came to, and the terminal event that says so. Pure."""

from __future__ import annotations

import msgspec
from msgspec import UNSET

from realtime.engine.base import EngineDead, EngineError, EngineOverloaded, EngineRefused, FinishReason
from realtime.wire import events
from realtime.wire.errors import ErrorCode
from realtime.wire.response import CancelReceipt, IncompleteDetails, Response, ResponseError

from .cutoff import Cutoff


class Cancelled(msgspec.Struct, frozen=True):
    """A cancel that was accepted. `delivered`: events that the canceller had taken; None if it read none.
    `cutoff`: how much of the answer the user has taken in, if that is known.
    """

    reason: str
    delivered: int | None = None
    cutoff: Cutoff | None = None


class Steered(msgspec.Struct, frozen=True):
    """A successor is to go on from here."""


class Interrupted(msgspec.Struct, frozen=True):
    """Stopped, and the item that was being written is forgotten."""


class Failed(msgspec.Struct, frozen=True):
    """The generation came to nothing, and this is what the client is told."""

    code: str
    message: str
    param: str | None = None


Stop = Cancelled | Steered | Interrupted
Outcome = FinishReason | Stop | Failed


def failure(error: EngineError) -> Failed:
    """What a client is told of an engine's error."""
    match error:
        case EngineRefused():
            return Failed("invalid_prompt", f"The model refuses this request: {error}")
        case EngineOverloaded():
            return Failed("server_is_overloaded", "The engine's queue is full: send the request again later.")
        case EngineDead():
            return Failed("server_error", "The engine stopped and is being restarted: send the request again.")
        case _:
            return Failed("server_error", "The engine failed: send the request again.")


def too_long(num_tokens: int, max_model_len: int) -> Failed:
    """What a client is told of a prompt that fills the context window."""
    text = f"The input has {num_tokens} tokens; the model's context window holds {max_model_len}, answer included."
    return Failed(ErrorCode.CONTEXT_LENGTH_EXCEEDED.value.code, text)


def terminal(response: Response, outcome: Outcome, receipt: CancelReceipt | None, *, complete: bool) -> events.Event:
    """Give a response the status of its outcome; the event that shows it. `receipt`: of a cancel. `complete`: it was
    not to be generated, so no limit can have cut it short.
    """
    match outcome:
        case Failed():
            response.status = "failed"
            response.completed_at = None
            response.error = ResponseError(outcome.code, outcome.message, outcome.param or UNSET)
            return events.ResponseFailed(response=response)
        case Cancelled():
            assert receipt is not None
            response.cancel = receipt
            return _incomplete(response, outcome.reason, cancelled=True)
        case Steered():
            return _incomplete(response, "steered")
        case Interrupted():
            response.end_turn = False
            return _incomplete(response, "interrupted")
        case FinishReason.LENGTH if not complete:
            return _incomplete(response, "max_output_tokens")
        case _:
            response.status = "completed"
            return events.ResponseCompleted(response=response)


def _incomplete(response: Response, reason: str, *, cancelled: bool = False) -> events.Event:
    response.status = "cancelled" if cancelled else "incomplete"
    response.incomplete_details = IncompleteDetails(reason)
    return events.ResponseIncomplete(response=response)
