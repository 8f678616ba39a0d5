"""Ask the scheduler for a response's place, and put into words why there is none. Pure."""

from __future__ import annotations

from realtime.runs.job import Job
from realtime.wire.errors import ErrorCode, WireError

from .scheduler import Full, GroupFull, Scheduler, TenantFull, Ticket


def take_permit(scheduler: Scheduler, job: Job, now: float, *, accepted: bool = False) -> bool:
    """Ask for a place among the running ones: True if it is free, False if it will be. `accepted`: see
    Scheduler.offer. Raises WireError.
    """
    group = job.conversation.id if job.conversation is not None else None
    ticket = Ticket(response_id=job.response_id, tenant=job.tenant, group=group)
    try:
        return scheduler.offer(ticket, now, accepted=accepted)
    except GroupFull as full:
        text = "Too many responses wait for this conversation: try again when some of them are over."
        error = WireError(ErrorCode.CONVERSATION_LOCKED, text, param="conversation", retry_after=full.retry_after)
        raise error from None
    except TenantFull as full:
        text = "As many responses of this API key run and wait as one key may have: try again when some are over."
        raise WireError(ErrorCode.TOO_MANY_QUEUED, text, retry_after=full.retry_after) from None
    except Full as full:
        text = "The server is full: too many responses are waiting. Try again later."
        raise WireError(ErrorCode.SERVER_IS_OVERLOADED, text, retry_after=full.retry_after) from None
