"""What a service holds at the moment, for who looks on."""

from __future__ import annotations

from typing import NamedTuple

from realtime.runs.work_pool import WorkPool
from realtime.store.base import Stores


class Held(NamedTuple):
    """Responses with a place and without, the threads that prepare prompts, and the stores."""

    num_admitted: int
    num_queued: int
    work: WorkPool
    stores: Stores
