"""Which responses exist and whose they are: those that run, those that are kept, less those that were deleted.

A response of another tenant does not exist.
"""

from __future__ import annotations

from collections import OrderedDict

from realtime.context.turns import Turn
from realtime.runs.run import Run
from realtime.store.memory import Record, Store
from realtime.wire.errors import ErrorCode, WireError

_MAX_DELETED = 16_384  # deletions that are remembered, the newest; as long as a socket may hold what was deleted

Held = Run | Record  # a response that exists: being generated, or kept


class Responses:
    """All of them, by id. What takes a tenant raises WireError for what is not the tenant's; `now` as the store's."""

    def __init__(self, store: Store) -> None:
        self.running: dict[str, Run] = {}
        self.store = store
        self.deleted: OrderedDict[str, None] = OrderedDict()

    def find(self, tenant: str, response_id: str, now: float) -> Held:
        """The response."""
        run = self.running.get(response_id) if response_id not in self.deleted else None
        if run is not None and run.job.tenant == tenant:
            return run
        record = self.store.get(response_id, now)
        if record is not None and record.owner == tenant:
            return record
        raise _not_found(response_id)

    def find_running(self, tenant: str, response_id: str, now: float) -> Run:
        """The response, if it has not come to its end."""
        source = self.find(tenant, response_id, now)
        if not isinstance(source, Run) or source.over:
            text = f"Response '{response_id}' is already over."
            raise WireError(ErrorCode.RESPONSE_ALREADY_COMPLETED, text, param="response_id", response_id=response_id)
        return source

    def find_retrievable(self, tenant: str, response_id: str, now: float) -> Held:
        """The response, if it runs or was to be stored; another may still be resumed, for a short time."""
        held = self.find(tenant, response_id, now)
        if held.log.sealed and not held.response.store:
            raise _not_found(response_id)
        return held

    def find_turn(self, tenant: str, response_id: str, now: float) -> Turn:
        """What a `previous_response_id` continues."""
        run = self.running.get(response_id) if response_id not in self.deleted else None
        if run is not None and run.job.tenant == tenant:
            text = f"Previous response '{response_id}' is still being generated: wait until it is over."
            raise WireError(ErrorCode.PREVIOUS_RESPONSE_IN_PROGRESS, text, param="previous_response_id")
        record = self.store.get(response_id, now)
        if record is None or record.owner != tenant or not record.continuable or record.turn is None:
            text = f"Previous response with id '{response_id}' not found."
            raise WireError(ErrorCode.PREVIOUS_RESPONSE_NOT_FOUND, text, param="previous_response_id")
        return record.turn

    def get(self, response_id: str, now: float) -> Held | None:
        """The response, whoever's it is and also when it was deleted and still runs."""
        return self.running.get(response_id) or self.store.get(response_id, now)

    def delete(self, response_id: str) -> None:
        """From now on it does not exist."""
        self.store.delete(response_id)
        self.deleted[response_id] = None
        if len(self.deleted) > _MAX_DELETED:
            self.deleted.popitem(last=False)

    def finished(self, run: Run, keep_seconds: float, now: float) -> None:
        """From the running ones to the kept ones, unless it was deleted meanwhile."""
        del self.running[run.response_id]
        if run.response_id in self.deleted:
            return
        record = Record(
            owner=run.job.tenant,
            response=run.response,
            log=run.log,
            turn=run.turn,
            continuable=run.response.store,
            expires_at=now + keep_seconds,
            input=run.input,
        )
        self.store.put(record, now)


def _not_found(response_id: str) -> WireError:
    text = f"Response with id '{response_id}' not found."
    return WireError(ErrorCode.RESPONSE_NOT_FOUND, text, param="response_id", response_id=response_id)
