"""Facts about a response, for metrics, the log and its span: when it begins and when it is over. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from .origin import NOWHERE, Origin
from .timeline import Timeline

After = Literal["server", "drain", "engine"]
"""What had ended in the middle of an answer: its process by a crash or as planned, or its engine."""


class Beginning(msgspec.Struct, frozen=True, kw_only=True):
    """Facts about a response that has begun. `previous_id`: the response that it continues, as far as that is known.
    The sampling values are the request's own. `service_class`: its label, from a fixed list.
    """

    response_id: str
    tenant: str
    model: str
    origin: Origin = NOWHERE
    previous_id: str | None = None
    conversation_id: str | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    began_unix: float = 0.0
    service_class: str = "default"


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Facts about a response that is over. `reason`: why it ended as it did, from a fixed list; empty for a regular
    end. `num_generated`: tokens that the engine generated for it, wanted or not. `abort_ms`: how long the engine took
    to abort; 0 if nothing was aborted. `input`, `output`: make the contents as JSON; called only if they are wanted.
    """

    beginning: Beginning
    times: Timeline
    status: str
    reason: str = ""
    num_input: int = 0
    num_cached: int = 0
    num_output: int = 0
    num_reasoning: int = 0
    num_generated: int = 0
    abort_ms: float = 0.0
    num_events: int = 0
    finish_reasons: Sequence[str] = ()
    input: Callable[[], str] = lambda: ""
    output: Callable[[], str] = lambda: ""
