"""Operations over HTTP, and the ASGI application that serves all operations of one path.

The operations are rows of a table (`routes`); the routes and the OpenAPI document are made from the same rows. A
handler is given a `Call`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import ExitStack
from typing import Any

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from realtime.server.gateway import Gateway
from realtime.service.directory import node_unavailable
from realtime.service.principal import LOCAL, Principal
from realtime.store.cluster.membership import HeldElsewhere
from realtime.wire.bodies import TicketRole
from realtime.wire.errors import ErrorCode, WireError, not_permitted
from realtime.wire.ids import new_id

from ..peers import forwarding
from . import cors
from .call import Call, Query
from .replies import ErrorReply, error_reply, handshake_refusal, refusal

logger = logging.getLogger("realtime.http")

Refuse = Callable[[WireError, Mapping[str, str], str], Response]
"""How an operation says an error: with more headers, and the name of the request."""

_NO_ROUTE = "none"  # in the metrics: what strangers try must not make series
_OTHER_METHOD = "other"
CLIENT_GONE = 499  # nginx's name for an answer that nobody waits for; never seen on the wire


class Header(msgspec.Struct, frozen=True):
    """A request header that an operation reads."""

    name: str
    kind: Any
    description: str


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the table. `path` has its parameters in braces; `summary` is one sentence for the document."""

    method: str
    path: str
    handler: Callable[[Call], Awaitable[Response]]
    summary: str
    answer: Any = None  # the type of the body of a 200; None: there is never one
    body: Any = None  # the type of the request's body
    body_optional: bool = False
    query: type[Query] | None = None
    headers: tuple[Header, ...] = ()
    path_parameters: dict[str, str] = {}  # name -> what it is
    errors: tuple[ErrorCode, ...] = ()  # beside those that every operation may answer
    event: Any = None  # the type of the events of its stream, where they are not those of the Responses API
    streams: str = ""  # what a stream of events holds, where the answer may be one
    refusal: Refuse = refusal  # how it says an error
    error: Any = ErrorReply  # the type of the body of that
    open: bool = False  # for everybody, without a key
    tickets: tuple[TicketRole, ...] = ()  # the roles of tickets with which it may be asked for; no others may
    opened_by: Callable[[Request], bool] | None = None  # such requests are for everybody, the others are not


class Endpoint:
    """All operations of one path; none for unknown paths."""

    def __init__(self, gateway: Gateway, operations: Iterable[Operation]) -> None:
        self._gateway = gateway
        self._operations = {operation.method: operation for operation in operations}
        if "GET" in self._operations:
            self._operations.setdefault("HEAD", self._operations["GET"])
        self._route = next((operation.path for operation in self._operations.values()), _NO_ROUTE)
        self._allow = ", ".join(sorted({*self._operations, "OPTIONS"}))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request by ASGI."""
        if scope["type"] == "websocket":
            await WebSocket(scope, receive, send).send_denial_response(handshake_refusal(_nothing(scope["path"])))
            return
        request = Request(scope, receive)
        name, began_at = new_id("req"), time.monotonic()
        code = CLIENT_GONE
        with self._gateway.admission.request(), ExitStack() as watched:
            response = await self._answer(request, name, watched)
            response.headers["x-request-id"] = name
            if cors.may_read(request, self._gateway.admission.origin_allowed(request)):
                response.headers.update(cors.headers(request))
            try:
                await response(scope, receive, send)
                code = response.status_code
            finally:
                method = request.method if request.method in self._operations else _OTHER_METHOD
                seconds = time.monotonic() - began_at
                self._gateway.observer.request_answered(self._route, method, code, seconds)

    async def _answer(self, request: Request, name: str, watched: ExitStack) -> Response:
        """Answer a request. watched: left when the answer has been sent; until then the client's key must
        stay valid.
        """
        refuse: Refuse = refusal
        try:
            if not self._operations:
                raise _nothing(request.url.path)
            if request.method == "OPTIONS":
                return self._options(request)
            operation = self._operations.get(request.method)
            if operation is None:
                text = f"{request.method[:32]} is not available here; what is: {self._allow}."
                return error_reply(WireError(ErrorCode.METHOD_NOT_ALLOWED, text), {"allow": self._allow})
            refuse, admission = operation.refusal, self._gateway.admission
            if operation.open or (operation.opened_by is not None and operation.opened_by(request)):
                return await operation.handler(Call(self._gateway, request, LOCAL, name))
            principal = admission.admit_request(request)
            watched.enter_context(admission.of_tenant(principal))
            call = Call(self._gateway, request, principal, name)
            watched.enter_context(admission.revocation.watching(call))
            grant = call.principal.grant
            if grant is not None and grant.role not in operation.tickets:
                raise not_permitted(f"A ticket of the role `{grant.role}` is not for this: it needs an API key.")
            return await self._obey(operation, call)
        except WireError as error:
            self._gateway.observer.refused("http", error.spec.code)
            return refuse(error, {"connection": "close"} if error.code is ErrorCode.REQUEST_TIMEOUT else {}, name)
        except ClientDisconnect:
            return Response(status_code=CLIENT_GONE)
        except Exception:  # a bug of ours: it costs this request, and nothing else
            logger.exception("request failed request=%s method=%s path=%s", name, request.method, request.url.path)
            return refuse(WireError(ErrorCode.SERVER_ERROR, "The server failed at this request: try again."), {}, name)

    async def _obey(self, operation: Operation, call: Call) -> Response:
        """Answer here, or have the node answer that has what the request is about. Raises WireError."""
        directory = self._gateway.service.directory
        try:
            node = await forwarding.other_node(directory, call)
            if node is None:
                return await operation.handler(call)
        except (HeldElsewhere, WireError) as error:
            node = forwarding.instead(directory, call, error)
            if node is None:
                raise
        return await forwarding.hand_on(node, call, takes_body=operation.body is not None)

    async def answer_for(self, request: Request, principal: Principal) -> Response:
        """Answer a request that another node admitted."""
        operation = self._operations.get(request.method)
        try:
            if operation is None:
                raise _nothing(request.url.path)
            return await operation.handler(Call(self._gateway, request, principal, new_id("req")))
        except HeldElsewhere:
            return error_reply(node_unavailable())
        except WireError as error:
            return error_reply(error)
        except Exception:  # as above
            logger.exception("request of another node failed method=%s", request.method)
            return error_reply(WireError(ErrorCode.SERVER_ERROR, "The server failed at this request: try again."))

    def _options(self, request: Request) -> Response:
        preflight = cors.preflight(request, self._allow) if self._gateway.admission.origin_allowed(request) else {}
        return Response(status_code=204, headers={"allow": self._allow, **preflight})


def _nothing(path: str) -> WireError:
    text = f"There is nothing at {path[:128]}; GET /openapi.json lists what there is."
    return WireError(ErrorCode.NOT_FOUND, text)
