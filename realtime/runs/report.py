"""The observer's facts about a response: when it begins, and when it is over."""

from __future__ import annotations

from functools import partial

import msgspec

from realtime.observability.observer import Watch
from realtime.observability.report import Beginning, Report
from realtime.store.event_log import EventLog
from realtime.wire.response import Response

from .job import Job
from .stages import Stages


def beginning(job: Job, unix: float) -> Beginning:
    """Return the facts about a response that begins at this unix time."""
    request, conversation = job.request, job.conversation
    return Beginning(
        response_id=job.response_id,
        tenant=job.tenant,
        model=job.response.model,
        origin=job.origin,
        previous_id=job.parent.response_id if job.parent is not None else None,
        conversation_id=conversation.id if conversation is not None else None,
        max_output_tokens=request.max_output_tokens,
        temperature=request.temperature,
        top_p=request.top_p,
        began_unix=unix,
        service_class=job.service_class.label,
    )


def report(watch: Watch, job: Job, response: Response, stages: Stages, log: EventLog) -> Report:
    """Return the facts about a response with its terminal event in the log."""
    usage, abort_ms = response.usage, stages.abort_ms
    counts = {}
    if usage is not None:
        counts = {
            "num_input": usage.input_tokens,
            "num_cached": usage.input_tokens_details.cached_tokens,
            "num_output": usage.output_tokens,
            "num_reasoning": usage.output_tokens_details.reasoning_tokens,
        }
    return Report(
        beginning=watch.beginning,
        times=watch.times,
        status=response.status,
        reason=_reason(response),
        num_generated=stages.answering.num_generated,
        abort_ms=abort_ms,
        num_events=log.next_number,
        finish_reasons=_finish_reasons(response),
        input=partial(_json, job.request.items),
        output=partial(_json, response.output),
        **counts,
    )


def _reason(response: Response) -> str:
    """Return why it ended as it did, as a word from a fixed list; empty for a regular end."""
    if response.error is not None:
        return response.error.code
    return response.incomplete_details.reason if response.incomplete_details is not None else ""


def _finish_reasons(response: Response) -> list[str]:
    """Return the finish reasons in the words of the conventions for generative AI."""
    if response.status == "completed":
        calls = any(item.__struct_config__.tag == "function_call" for item in response.output)
        return ["tool_call" if calls else "stop"]
    reason = _reason(response)
    return {"failed": ["error"]}.get(response.status) or ["length" if reason == "max_output_tokens" else reason]


def _json(items: object) -> str:
    return msgspec.json.encode(items).decode()
