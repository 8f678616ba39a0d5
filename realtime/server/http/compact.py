"""`POST /v1/responses/compact`: a history made shorter, to begin a new chain with."""

from __future__ import annotations

from starlette.responses import Response

from realtime.wire import codec
from realtime.wire.bodies import CompactedResponse, CompactRequest
from realtime.wire.items import CompactionTrigger
from realtime.wire.requests import ResponseCreate

from .operations import CLIENT_GONE, Call
from .replies import reply
from .responses import finished, refused


async def compact(call: Call) -> Response:
    """A response of its own that is asked for nothing but the compaction; when the client goes, so does it."""
    limits = call.gateway.message_limits
    body = codec.decode_body(await call.body(), CompactRequest, limits)
    request = ResponseCreate(
        model=body.model,
        items=[*codec.decode_input(bytes(body.input), limits), CompactionTrigger()],
        instructions=body.instructions,
        previous_response_id=body.previous_response_id,
        prompt_cache_key=body.prompt_cache_key,
        store=False,
    )
    service = call.gateway.service
    held = service.create(call.principal, request, None, native=False)
    if not await finished(service, held, call.peer):
        return Response(status_code=CLIENT_GONE)
    response = held.response
    if response.error is not None or response.usage is None:
        raise refused(held)
    return reply(
        CompactedResponse(
            id=response.id,
            created_at=response.created_at,
            output=service.compacted_output(held),
            usage=response.usage,
        )
    )
