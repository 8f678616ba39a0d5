"""Forwarding: HTTP requests about responses and conversations of another node are sent to it unchanged, and its answer
is returned unchanged.

Only requests with an immediate answer are forwarded. A stream of events is read from a copy of the log. `answering` is
the other node's side.
"""

from __future__ import annotations

import msgspec
from starlette.responses import Response

from realtime.service.directory import Directory
from realtime.store.cluster.membership import HeldElsewhere
from realtime.wire.errors import WireError

from ..http.call import Call
from .messages import Ask
from .nodes import PeerNode

_KEPT = frozenset({b"content-type", b"accept", b"last-event-id", b"idempotency-key", b"traceparent", b"tracestate"})
_READS = frozenset({"GET", "HEAD"})


async def other_node(directory: Directory, call: Call) -> PeerNode | None:
    """Return the node to which a request must be forwarded; None: it is answered here. Raises WireError."""
    response_id = call.request.path_params.get("response_id")
    if directory.nodes is None or response_id is None or _is_for_a_stream(call, response_id):
        return None
    call.principal.check_sees(response_id)
    async with directory.bound():
        find = directory.running_at if call.request.method in _READS else directory.keeper_of
        node = await find(response_id)
    assert node is None or isinstance(node, PeerNode)
    return node


class _Query(msgspec.Struct):
    stream: bool = False


def _is_for_a_stream(call: Call, response_id: str) -> bool:
    """Return whether the request asks for a stream of events, in any of the operation's forms. Raises WireError."""
    request = call.request
    return request.method == "GET" and request.url.path.endswith(f"/{response_id}") and call.query(_Query).stream


def instead(directory: Directory, call: Call, error: HeldElsewhere | WireError) -> PeerNode | None:
    """Return the node that has to answer a request about a conversation that is not here. Raises WireError."""
    node = directory.node_for(error, call.request.path_params.get("conversation_id"))
    assert node is None or isinstance(node, PeerNode)
    return node


async def hand_on(node: PeerNode, call: Call, *, takes_body: bool) -> Response:
    """Have another node answer a request. Raises WireError."""
    request = call.request
    has_body = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
    body = await call.body() if takes_body and has_body else b""
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    kept = [(name, value) for name, value in request.headers.raw if name in _KEPT]
    headers = (*kept, (b"content-length", b"%d" % len(body)))
    answer = await node.answer(Ask(0, call.principal, request.method, path, headers, body))
    response = Response(answer.body, answer.status)
    response.raw_headers = [(name, value) for name, value in answer.headers if name != b"x-request-id"]
    return response
