"""The endings of a response: its outcome, which part of its output counts, and its terminal event. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from msgspec import UNSET

from realtime.engine.base import EngineDead, EngineError, EngineOverloaded, EngineRefused, FinishReason
from realtime.wire import events
from realtime.wire.errors import ErrorCode
from realtime.wire.items import ItemStatus, OutputItem
from realtime.wire.response import CancelReceipt, IncompleteDetails, Response, ResponseError, Truncated

from .assembler import Assembler
from .cutoff import Cutoff


class Cancelled(msgspec.Struct, frozen=True):
    """A cancel that was accepted. `delivered`: events that the canceller had taken; None if it read none. `cutoff`: the
    part of the answer that the user has seen or heard, if that is known.
    """

    reason: str
    delivered: int | None = None
    cutoff: Cutoff | None = None


class Steered(msgspec.Struct, frozen=True):
    """A stop for a successor, which continues from here."""


class Interrupted(msgspec.Struct, frozen=True):
    """A stop that drops the open item."""


class Failed(msgspec.Struct, frozen=True):
    """A failure, as the client sees it."""

    code: str
    message: str
    param: str | None = None


Stop = Cancelled | Steered | Interrupted
Outcome = FinishReason | Stop | Failed

SHUT_DOWN = Failed("server_error", "The server was shut down.")
BROKEN = Failed("server_error", "The server failed while generating this response.")
BROKEN_END = Failed("server_error", "The server failed while ending this response.")
UNREADABLE = Failed("server_error", "The server could not process the model's output.")
GIVEN_UP = Failed("server_error", "The engine gave up this response: send the request again.")
WAITED_TOO_LONG = Failed(
    ErrorCode.RATE_LIMIT_EXCEEDED.value.code,
    "This response has waited for its turn as long as it may: try again later, or allow more with `max_queue_seconds`.",
)
NOTHING_TO_COMPACT = Failed("invalid_prompt", "There is nothing to compact: the conversation is empty.")


class Ended(Exception):
    """An exception inside a run: the response ends here."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome)
        self.outcome = outcome


def failure(error: EngineError) -> Failed:
    """Translate an engine's error for the client."""
    match error:
        case EngineRefused(param=str(param)):
            return Failed("invalid_prompt", f"`{param}`: {error}.", param)
        case EngineRefused():
            return Failed("invalid_prompt", f"The model refuses this request: {error}")
        case EngineOverloaded():
            return Failed("server_is_overloaded", "The engine's queue is full: send the request again later.")
        case EngineDead():
            return Failed("server_error", "The engine stopped and is being restarted: send the request again.")
        case _:
            return Failed("server_error", "The engine failed: send the request again.")


def too_long(num_tokens: int, max_model_len: int, *, more: bool = False) -> Failed:
    """Return the failure of a prompt that fills the context window. Both numbers are tokens. more: the prompt has even
    more, it is not known how many.
    """
    text = f"The input has {'more than ' * more}{num_tokens} tokens; the model's context window holds {max_model_len}"
    advice = "Send less, or leave it to the server with `truncation` or `context_management`."
    return Failed(ErrorCode.CONTEXT_LENGTH_EXCEEDED.value.code, f"{text}, answer included. {advice}")


def conversation_deleted(conversation_id: str) -> Failed:
    """Return the failure of a response whose conversation was deleted before its turn came."""
    text = f"Conversation '{conversation_id}' was deleted while this response waited for it."
    return Failed(ErrorCode.CONVERSATION_NOT_FOUND.value.code, text)


class Ending(msgspec.Struct, frozen=True):
    """One response's ending. `generates`: an answer was asked for. Without one, no limit can have cut it short."""

    outcome: Outcome
    generates: bool

    @property
    def item_status(self) -> ItemStatus:
        """Return the status of an item that is still open."""
        return "completed" if self.outcome is FinishReason.STOP or not self.generates else "incomplete"

    @property
    def cutoff(self) -> Cutoff | None:
        """Return where the user has stopped listening."""
        return self.outcome.cutoff if isinstance(self.outcome, Cancelled) else None

    @property
    def continuable(self) -> bool:
        """Return whether a next turn may continue from here."""
        return not isinstance(self.outcome, Failed)

    @property
    def keeps_tokens(self) -> bool:
        """Return whether the remembered answer has exactly the generated tokens. After a cut that is not known."""
        return self.cutoff is None and not isinstance(self.outcome, Interrupted)

    def close(self, assembler: Assembler) -> Iterable[events.Event]:
        """Close the open item. An interrupt also drops it."""
        if isinstance(self.outcome, Interrupted):
            return assembler.discard_open()
        return assembler.close(self.item_status)

    def seen(self, items: Sequence[OutputItem]) -> list[OutputItem]:
        """Return the items as far as the user has seen them."""
        cut = self.cutoff
        return list(items) if cut is None else cut.apply(items)

    def terminal(self, response: Response, receipt: CancelReceipt | None) -> events.Event:
        """Set a response's final status, and return the event that shows it. `receipt`: of a cancel."""
        match self.outcome:
            case Failed(code, message, param):
                response.status = "failed"
                response.completed_at = None
                response.error = ResponseError(code, message, param or UNSET)
                return events.ResponseFailed(response=response)
            case Cancelled(reason, cutoff=cutoff):
                assert receipt is not None
                response.cancel = receipt
                if cutoff is not None:
                    response.truncated = Truncated(through=cutoff.through)
                return _incomplete(response, reason, cancelled=True)
            case Steered():
                return _incomplete(response, "steered")
            case Interrupted():
                response.end_turn = False
                return _incomplete(response, "interrupted")
            case FinishReason.LENGTH if self.generates:
                return _incomplete(response, "max_output_tokens")
            case _:
                response.status = "completed"
                return events.ResponseCompleted(response=response)


def _incomplete(response: Response, reason: str, *, cancelled: bool = False) -> events.Event:
    response.status = "cancelled" if cancelled else "incomplete"
    response.incomplete_details = IncompleteDetails(reason)
    return events.ResponseIncomplete(response=response)
