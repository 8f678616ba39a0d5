"""A snapshot of what a service holds, for metrics and readiness."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from realtime.runs.job import ServiceClass
from realtime.runs.work_pool import WorkPool
from realtime.store.base import Stores


class Held(NamedTuple):
    """Responses with a place and without, the threads that prepare prompts, and the stores."""

    num_admitted: int
    queued: Mapping[ServiceClass, int]
    work: WorkPool
    stores: Stores
