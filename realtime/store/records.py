"""What a response is to those who follow it, whether it runs or is kept. Pure."""

from __future__ import annotations

from typing import Protocol

from realtime.context.turns import Turn
from realtime.wire.items import InputItem, OutputItem
from realtime.wire.response import Response

from .event_log import EventLog


class Source(Protocol):
    """A response that can be read and continued."""

    @property
    def response_id(self) -> str:
        """Its id, the log's too."""

    @property
    def log(self) -> EventLog:
        """Its events."""

    @property
    def turn(self) -> Turn | None:
        """What a next turn continues from; None until the response is over, and when it failed."""

    @property
    def response(self) -> Response:
        """Its state as of the newest event that shows one."""

    @property
    def input(self) -> tuple[InputItem, ...]:
        """What its request brought."""

    @property
    def output(self) -> list[OutputItem]:
        """The items that are finished."""
