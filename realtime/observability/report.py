"""What is known of a response at its end: for metrics, the log and its span. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from .origin import NOWHERE, Origin
from .timeline import Timeline


class Beginning(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a response when it begins. `previous_id`: the response that it continues, as far as that is
    known. The sampling values are the request's own. `service_class`: its label, from a fixed list.
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
    """What is known when it is over. `reason`: why it ended as it did, from a fixed list; empty for a regular end.
    `num_generated`: tokens that the engine
    made for it, whether they were asked for or not. `abort_ms`: how long the engine took to let go, 0 if nobody wanted
    that. `input`, `output`: the contents as JSON, made only if somebody asks.
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
