"""Responses without an engine: logs that a test fills by hand, for the tests of the pure core."""

from __future__ import annotations

from itertools import count
from typing import Any

import msgspec

from realtime.context.tools import ToolSet
from realtime.context.turns import Turn
from realtime.dialects.base import TextDelta
from realtime.engine.base import ModelInfo, Sampling
from realtime.runs.assembler import Assembler
from realtime.runs.response_object import new_response
from realtime.store.event_log import EventLog
from realtime.wire import events as e
from realtime.wire.items import InputItem, ItemStatus, Message, OutputItem, OutputText
from realtime.wire.requests import ResponseCreate
from realtime.wire.response import (
    IncompleteDetails,
    InputTokensDetails,
    OutputTokensDetails,
    Response,
    ResponseError,
    Usage,
)

MODEL = ModelInfo(name="m", path="models/m", max_model_len=100, defaults=Sampling(max_tokens=100))
PLENTY = 1 << 30


def make_response(response_id: str = "resp_0", request: ResponseCreate | None = None, **members: Any) -> Response:
    """A Response as the service makes it, with some members changed."""
    response = new_response(request or ResponseCreate(), MODEL, ToolSet(), response_id, 0)
    return msgspec.structs.replace(response, **members)


def text_in(message: Message) -> str:
    """What an answer of one part says."""
    assert not isinstance(message.content, str)
    (part,) = message.content
    assert isinstance(part, OutputText)
    return part.text


def make_usage() -> Usage:
    return Usage(
        input_tokens=2,
        input_tokens_details=InputTokensDetails(cached_tokens=1),
        output_tokens=3,
        output_tokens_details=OutputTokensDetails(reasoning_tokens=1),
        total_tokens=5,
    )


def make_log(
    response_id: str = "resp_0",
    epoch: str = "epoch_0",
    *,
    stream_id: str | None = None,
    max_bytes: int = PLENTY,
    max_entries: int = PLENTY,
) -> EventLog:
    return EventLog(response_id, epoch, stream_id=stream_id, max_bytes=max_bytes, max_entries=max_entries)


class Answer:
    """A response that says what the test says. `written` keeps every entry, also those that the log has dropped."""

    def __init__(self, response_id: str = "resp_0", *, request: ResponseCreate | None = None, **log: Any) -> None:
        ids = count()
        self.request = request or ResponseCreate()
        self.response = make_response(response_id, self.request)
        self.log = make_log(response_id, f"epoch of {response_id}", **log)
        self.turn: Turn | None = None
        self.written: list[bytes] = []
        self._assembler = Assembler(lambda prefix: f"{prefix}_{response_id}_{next(ids)}")
        self._append(e.ResponseCreated(response=self.response, epoch=self.log.epoch))
        self._append(e.ResponseInProgress(response=self.response))

    @property
    def response_id(self) -> str:
        return self.log.response_id

    @property
    def over(self) -> bool:
        return self.log.sealed

    @property
    def input(self) -> tuple[InputItem, ...]:
        return tuple(self.request.items)

    @property
    def output(self) -> list[OutputItem]:
        return self._assembler.output

    def say(self, *texts: str) -> Answer:
        """One delta for each text; the first one opens the message."""
        self._append(*self._assembler.feed([TextDelta(text) for text in texts]))
        return self

    def finish(self) -> Answer:
        """The end: `completed`."""
        self._close("completed")
        self._append(e.ResponseCompleted(response=self.response))
        self.turn = Turn(self.response_id, None, (Message(role="user", content="?"),), tuple(self.response.output))
        return self

    def cancel(self) -> Answer:
        """The end: cut off by the client. What was said can be continued from."""
        self._close("incomplete")
        self.response.status, self.response.incomplete_details = "cancelled", IncompleteDetails("cancelled")
        self._append(e.ResponseIncomplete(response=self.response))
        self.turn = Turn(self.response_id, None, (), tuple(self.response.output))
        return self

    def fail(self) -> Answer:
        """The end: nothing came of it, so there is no turn."""
        self._close("incomplete")
        self.response.status, self.response.error = "failed", ResponseError("server_error", "x")
        self._append(e.ResponseFailed(response=self.response))
        return self

    def _close(self, status: ItemStatus) -> None:
        self._append(*self._assembler.close(status))
        self.response.status = "completed"
        self.response.output = self._assembler.output

    def _append(self, *events: e.Event) -> None:
        for event in events:
            self.log.append(event)
            self.written += self.log.read(self.log.tip - 1, 1)
