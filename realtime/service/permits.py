"""Permits: ask the scheduler for a response's place, and say in words where it waits or why it was refused. Pure."""

from __future__ import annotations

import hashlib
import math

from realtime.context.turns import Turn
from realtime.runs.job import Job
from realtime.runs.rendering_cost import item_cost
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.events import QueuePlace
from realtime.wire.response import RateLimit

from .scheduler import Full, GroupFull, RateLimited, Scheduler, TenantFull
from .scheduling.tickets import Ticket

_CHARACTERS_PER_TOKEN = 4  # about


def take_permit(
    scheduler: Scheduler, job: Job, now: float, *, accepted: bool = False, max_queue_seconds: float = math.inf
) -> bool:
    """Ask for a place to run. Return whether it may run now; otherwise it waits. `accepted`: see Scheduler.offer.
    `max_queue_seconds`: the longest wait that the operator allows. Raises WireError.
    """
    try:
        return scheduler.offer(ticket_of(job, now, max_queue_seconds), now, accepted=accepted)
    except GroupFull as full:
        text = "Too many responses wait for this conversation: try again when some of them are over."
        error = WireError(ErrorCode.CONVERSATION_LOCKED, text, param="conversation", retry_after=full.retry_after)
        raise error from None
    except RateLimited as limited:
        text = "This API key has used up what it may ask for in a minute. Try again later."
        raise WireError(ErrorCode.RATE_LIMIT_EXCEEDED, text, retry_after=limited.retry_after) from None
    except TenantFull as full:
        text = "As many responses of this API key run and wait as one key may have: try again when some are over."
        raise WireError(ErrorCode.TOO_MANY_QUEUED, text, retry_after=full.retry_after) from None
    except Full as full:
        text = "The server is full: too many responses are waiting. Try again later."
        raise WireError(ErrorCode.SERVER_IS_OVERLOADED, text, retry_after=full.retry_after) from None


def ticket_of(job: Job, now: float, max_queue_seconds: float) -> Ticket:
    """Return a response's ticket for the scheduler."""
    request, conversation = job.request, job.conversation
    before = conversation.turn if conversation is not None else job.parent
    own = None if request.prompt_cache_key is None else _name(job.tenant, request.prompt_cache_key)
    wait = max_queue_seconds if request.max_queue_seconds is None else min(max_queue_seconds, request.max_queue_seconds)
    return Ticket(
        response_id=job.response_id,
        tenant=job.tenant,
        service_class=job.service_class,
        group=conversation.id if conversation is not None else None,
        num_input=_num_input(job, before),
        max_output=request.max_output_tokens if job.generates else 0,
        prefixes=tuple(key for key in (before.response_id if before is not None else None, own) if key is not None),
        leaves=(job.response_id,) if own is None else (job.response_id, own),
        asked_at=now,
        expires_at=None if math.isinf(wait) else now + wait,
    )


def queue_place(scheduler: Scheduler, response_id: str, now: float) -> QueuePlace | None:
    """Return a response's place as its client sees it, in whole seconds as it is a guess; None: it does not wait."""
    place = scheduler.place(response_id, now)
    if place is None:
        return None
    seconds = None if place.seconds is None else math.ceil(place.seconds)
    return QueuePlace(num_ahead=place.num_ahead, estimated_seconds=seconds)


def rate_limits(scheduler: Scheduler, tenant: str, now: float) -> list[RateLimit]:
    """Return what is left of a tenant's allowance per minute, as clients see it."""
    return [
        RateLimit(name=one.name, limit=one.limit, remaining=one.remaining, reset_seconds=one.reset_seconds)
        for one in scheduler.allowances(tenant, now)
    ]


def _num_input(job: Job, before: Turn | None) -> int:
    """Estimate the tokens of the prompt: those of the continued turn are known, the new ones are guessed."""
    known = 0
    if before is not None and before.prompt is not None:
        known = before.prompt.num_tokens + len(before.token_ids)
    new = sum(map(item_cost, job.request.items)) + len(job.request.instructions or "")
    return known + new // _CHARACTERS_PER_TOKEN


def _name(tenant: str, cache_key: str) -> str:
    """Return a name for this tenant's `prompt_cache_key`, different from any other tenant's."""
    return hashlib.sha256(f"{tenant}\n{cache_key}".encode("utf-8", "surrogatepass")).hexdigest()
