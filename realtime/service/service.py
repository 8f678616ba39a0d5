"""What every door calls: create, resume, cancel, follow, leave. Owns all runs and the store of finished ones.

Methods are synchronous and decide at once; what takes time happens in the runs' tasks. Whoever calls says who is
asking (`Principal`): a response of another tenant does not exist. Refusals are `WireError`s.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import msgspec

from realtime.connection.commands import Source
from realtime.connection.protocol import draining
from realtime.context import compaction
from realtime.context.attachments import check_attachments, replace_images
from realtime.context.directives import apply_settings, brought_tools, resolve_references
from realtime.context.encrypted import COMPACTION, REASONING, Cipher, decrypt_items, encrypt_reasoning
from realtime.context.tools import ToolSet, tool_set
from realtime.context.turns import ExpandedCompaction, Turn, history, since_compaction
from realtime.dialects.base import Dialect, RenderError
from realtime.engine.base import Engine
from realtime.runs.audience import DISCONNECTED, Wake, policy_of
from realtime.runs.endings import Cancelled
from realtime.runs.image_loader import Images
from realtime.runs.mcp.plan import McpPlan
from realtime.runs.mcp.session import load as load_mcp
from realtime.runs.open_items import ReasoningShown
from realtime.runs.rendering import rendered
from realtime.runs.response_object import new_response
from realtime.runs.run import Run
from realtime.settings.fields import ImageSettings, McpSettings, ResponseSettings
from realtime.store import cursor
from realtime.store.conversations import Conversation, ConversationStore
from realtime.store.event_log import EventLog
from realtime.store.idempotency import Attempts, digest_of
from realtime.store.memory import MemoryStore
from realtime.wire import events
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.ids import new_id
from realtime.wire.items import InputItem, Item, OutputItem
from realtime.wire.requests import ResponseCreate
from realtime.wire.response import Response

from .checks import check_background, check_calls, check_request
from .principal import Principal
from .registry import Held, Responses
from .scheduler import Full, GroupFull, Scheduler, Ticket

logger = logging.getLogger("realtime.service")


class Service:
    """See the module.

    It exists before the engine serves: `trouble` says why it can't serve now, or None when it can. The dialect is
    made for the first engine that serves.
    """

    def __init__(
        self,
        engine: Engine,
        make_dialect: Callable[[Engine], Dialect],
        settings: ResponseSettings,
        *,
        trouble: Callable[[], str | None],
        cipher: Cipher | None = None,
        mcp: McpSettings | None = None,
        image_settings: ImageSettings | None = None,
    ) -> None:
        self._image_settings = image_settings or ImageSettings()
        self._images = Images(self._image_settings)
        self._mcp = mcp or McpSettings()
        self._engine = engine
        self._make_dialect = make_dialect
        self._dialect: Dialect | None = None
        self._settings = settings
        self._trouble = trouble
        self._clock = time.monotonic
        self._scheduler = Scheduler(
            max_running=settings.max_running_responses,
            max_waiting=settings.max_waiting_responses,
            max_waiting_in_group=settings.max_waiting_per_conversation,
        )
        self.conversations = ConversationStore(
            max_bytes=settings.max_conversation_store_bytes,
            max_conversation_bytes=settings.max_conversation_bytes,
            max_items=settings.max_conversation_items,
            new_id=new_id,
        )
        self.responses = Responses(MemoryStore(max_bytes=settings.max_store_bytes))
        self._tasks: set[asyncio.Task[None]] = set()
        self._attempts = Attempts()
        self._cipher = cipher or Cipher()
        self._draining = False

    @property
    def num_running(self) -> int:
        """Responses that are not over, waiting ones included."""
        return len(self.responses.running)

    def prepare(self) -> None:
        """Make what the first response would have to wait for, or fail on. To be called when the engine serves."""
        self._serving_dialect()
        if self._mcp.mcp_servers:
            load_mcp()

    # -- what doors call

    def create(
        self,
        principal: Principal,
        request: ResponseCreate,
        parent: Turn | None,
        *,
        native: bool,
        given: Sequence[InputItem] = (),
    ) -> Held:
        """Start a response, or find the one that an earlier try of the same request started.

        `parent` is the turn to continue when the caller holds it itself; otherwise `previous_response_id` is looked
        up. `given`: what comes before the request's own input, and is no part of what makes it the same request. The
        log that comes back has its first event. Raises WireError.
        """
        earlier = self._earlier_attempt(principal, request)
        if earlier is not None:
            return earlier
        if self._draining:
            raise draining()
        dialect = self._serving_dialect()
        check_request(request, self._engine.model, dialect)
        check_background(request)
        if parent is not None and parent.response_id in self.responses.deleted:
            parent = None  # a socket's own copy of what has been deleted: it is not found either
        conversation = self._conversation(principal, request)
        if parent is None and request.previous_response_id is not None:
            parent = self.responses.find_turn(principal.tenant, request.previous_response_id, self._clock())
        digest = digest_of(request)
        continued = conversation.turn if conversation is not None else parent
        request, tools, mcp = self._prepared(principal, request, continued, given)
        compact = compaction.compaction_policy(request)
        if conversation is None:  # what is in a conversation when the response starts is known only then
            check_calls(history(parent, request.items))
        policy = policy_of(request, self._settings, native=native)
        response_id = new_id("resp")
        run = Run(
            owner=self,
            tenant=principal.tenant,
            engine=self._engine,
            dialect=dialect,
            request=request,
            tools=tools,
            shown=self._shown(principal, request),
            response=new_response(request, self._engine.model, response_id, int(time.time())),
            log=self._new_log(response_id, request.stream_id),
            parent=parent,
            conversation=conversation,
            compact=compact,
            encrypt=partial(self._cipher.encrypt, COMPACTION, principal.tenant),
            admitted=self._admit(principal, response_id, conversation),
            on_disconnect=policy,
            mcp=mcp,
            images=self._images if self._engine.model.sees else None,
        )
        self._start(run, digest)
        return run

    def resume(
        self, principal: Principal, response_id: str, starting_after: int, epoch: str | None
    ) -> tuple[Held, int]:
        """A response, running or finished, and the number of the first event to send. Raises WireError."""
        source = self.responses.find(principal.tenant, response_id, self._clock())
        return source, cursor.resolve(source.log, starting_after, epoch)

    def cancel(self, principal: Principal, response_id: str, delivered: int | None, through: int | None = None) -> Held:
        """Stop a response; its log's terminal event says when the engine has let go. Raises WireError.

        `delivered`: how many of its events the asker has taken, for the receipt. `through`: the last one that its user
        saw or heard; what came after is not remembered. A second cancel changes nothing.
        """
        run = self.responses.find_running(principal.tenant, response_id, self._clock())
        run.cancel(Cancelled("cancelled", delivered, run.cutoff(through) if through is not None else None))
        return run

    def interrupt(self, principal: Principal, response_id: str) -> Held:
        """As `cancel`, but the item that is being written is forgotten. Raises WireError."""
        run = self.responses.find_running(principal.tenant, response_id, self._clock())
        run.interrupt()
        return run

    def steer(self, principal: Principal, response_id: str) -> None:
        """Have a response end at the next safe point; one that is over meanwhile is as good. Raises WireError."""
        source = self.responses.find(principal.tenant, response_id, self._clock())
        if isinstance(source, Run):
            source.steer()

    def decrypt_items(self, principal: Principal, items: Sequence[InputItem], path: str) -> list[InputItem]:
        """See encrypted.decrypt_items."""
        return decrypt_items(self._cipher, principal.tenant, items, path)

    def compacted_output(self, held: Held) -> list[OutputItem]:
        """The output of a standalone compaction: the user's messages, then the compaction item."""
        expanded = held.turn.output[0] if held.turn is not None else None
        assert isinstance(expanded, ExpandedCompaction)
        return [*compaction.user_messages(expanded, new_id), *held.response.output]

    def encrypt_reasoning(self, principal: Principal, shown: Item, remembered: Item) -> Item:
        """See encrypted.encrypt_reasoning."""
        return encrypt_reasoning(self._cipher, principal.tenant, shown, remembered)

    def retrieve(self, principal: Principal, response_id: str) -> Held:
        """A response that runs, or a finished one that was to be stored. Raises WireError."""
        return self.responses.find_retrievable(principal.tenant, response_id, self._clock())

    def stop(self, principal: Principal, response_id: str) -> Held:
        """As `cancel`, but one that has been cancelled already is no error. Raises WireError."""
        held = self.retrieve(principal, response_id)
        if held.response.status != "cancelled":
            self.cancel(principal, response_id, None)
        return held

    def delete(self, principal: Principal, response_id: str) -> Held:
        """Forget a response at once; one that runs is cancelled, its followers still get the end. Raises WireError."""
        held = self.retrieve(principal, response_id)
        if isinstance(held, Run):
            held.cancel(Cancelled("cancelled"))
        self.responses.delete(response_id)
        return held

    async def count_input_tokens(self, principal: Principal, request: ResponseCreate) -> int:
        """How many tokens the model would be given for this request. Raises WireError."""
        dialect = self._serving_dialect()
        check_request(request, self._engine.model, dialect)
        previous = request.previous_response_id
        parent = self.responses.find_turn(principal.tenant, previous, self._clock()) if previous is not None else None
        if (conversation := self._conversation(principal, request)) is not None:
            parent = conversation.turn
        request, tools, mcp = self._prepared(principal, request, parent)
        compaction.compaction_policy(request)  # a trigger is no part of the prompt
        items = history(parent, request.items)
        check_calls(items)
        if mcp is not None:  # no server is asked for its tools
            tools = mcp.known_tools(items) or tools
        if self._engine.model.sees:
            await self._images.load(items, request.items)
        try:
            prompt = await rendered(self._engine, dialect, request, tools, items, parent)
        except RenderError as error:
            raise WireError(ErrorCode.INVALID_REQUEST, str(error), param=error.param) from None
        return prompt.num_tokens

    def follow(self, source: Source, wake: Wake) -> None:
        """Have `wake` called whenever the log grows; a response that is followed is not cancelled for loneliness."""
        if isinstance(source, Run):
            source.follow(wake)

    def heartbeat(self, response_ids: Iterable[str]) -> events.Heartbeat:
        """How the engine and these responses are doing; those that are over are left out."""
        now = self._clock()
        pulses = [
            events.Pulse(
                response_id=response_id,
                status=run.response.status,
                num_ahead=self._scheduler.position(response_id),
                idle_seconds=round(now - run.grown_at, 3),
            )
            for response_id in response_ids
            if (run := self.responses.running.get(response_id)) is not None
        ]
        return events.Heartbeat(engine=self._trouble() or "ready", responses=pulses)

    def leave(self, response_id: str, wake: Wake, *, detached: bool) -> None:
        """The follower is gone. When it was the last one the response's disconnect policy takes over.

        `detached`: it left on purpose and wants the response to go on.
        """
        run = self.responses.running.get(response_id)
        if run is not None:
            run.leave(wake, detached=detached)

    # -- the end

    async def drain(self) -> None:
        """Refuse new work; return when everything that runs is over."""
        self._draining = True
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def shutdown(self) -> None:
        """End what still runs, each with its terminal event."""
        self._draining = True
        await asyncio.sleep(0)  # a task that is cancelled before its first step never gets to seal its log
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def run_over(self, run: Run) -> None:
        """See runner.Owner: from the running ones to the store, and the slot to the next."""
        now = self._clock()
        settings = self._settings
        keep_seconds = settings.retention_seconds if run.response.store else settings.linger_seconds
        if run.conversation is not None:
            run.conversation.num_users -= 1
            if run.turn is not None:
                self.conversations.respond(run.conversation, run.turn, run.started_from, run.response.output)
        run.stop_waiting()
        self.responses.finished(run, keep_seconds, now)
        self._attempts.forget(lambda response_id: self.responses.get(response_id, now) is not None)
        for response_id in self._scheduler.finish(run.response_id, now):
            self.responses.running[response_id].admit()

    # -- parts of create

    def _prepared(
        self, principal: Principal, request: ResponseCreate, parent: Turn | None, given: Sequence[InputItem] = ()
    ) -> tuple[ResponseCreate, ToolSet, McpPlan | None]:
        """The request with its items as the model is to see them, and with the tools and settings that hold, and what
        it wants of MCP servers.

        `given`: items that go before its own. Raises WireError.
        """
        sees = self._engine.model.sees
        check_attachments(request.items, self._image_settings, sees=sees)
        now = self._clock()
        said = parent.items() if parent is not None else []
        find_item = partial(self.responses.store.find_item, principal.tenant, now=now)
        own = resolve_references(request.items, said, find_item)
        own = self.decrypt_items(principal, own if sees else replace_images(own), "input")
        request = msgspec.structs.replace(request, items=[*(request.previous_input_messages or ()), *given, *own])
        before, own = since_compaction(parent, own)
        request = apply_settings(request, before)
        brought = brought_tools(before, own)
        mcp = McpPlan.of(request, before, brought, self._mcp)
        choice = request.tool_choice if mcp is None else None  # of MCP tools: when they are known
        return request, tool_set(request.tools, choice, request.parallel_tool_calls, brought), mcp

    def _start(self, run: Run, digest: bytes) -> None:
        self.responses.running[run.response_id] = run
        if run.conversation is not None:
            run.conversation.num_users += 1
        if run.request.request_id is not None:
            self._attempts.keep(run.tenant, run.request.request_id, digest, run.response_id)
        task = run.start()
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _earlier_attempt(self, principal: Principal, request: ResponseCreate) -> Held | None:
        """The response of the same request sent before: an ambiguous retry attaches, it never runs twice."""
        if request.request_id is None:
            return None
        response_id = self._attempts.find(principal.tenant, request.request_id)
        if response_id is None or response_id in self.responses.deleted:
            return None
        source = self.responses.get(response_id, self._clock())
        if source is None or _came_to_nothing(source.response):
            return None
        self._attempts.check_same(principal.tenant, request)
        return source

    def _serving_dialect(self) -> Dialect:
        """The dialect, once there is an engine that serves. Raises WireError."""
        trouble = self._trouble()
        if trouble is not None:
            raise WireError(ErrorCode.ENGINE_UNAVAILABLE, trouble, retry_after=5.0)
        if self._dialect is None:
            self._dialect = self._make_dialect(self._engine)
        return self._dialect

    def _conversation(self, principal: Principal, request: ResponseCreate) -> Conversation | None:
        """The conversation that a request names, with room for more. Raises WireError."""
        conversation_id = request.conversation_id
        if conversation_id is None:
            return None
        if request.previous_response_id is not None:
            text = "`conversation` and `previous_response_id` exclude each other: send one of them."
            raise WireError(ErrorCode.INVALID_REQUEST, text, param="conversation")
        conversation = self.conversations.get(principal.tenant, conversation_id)
        self.conversations.check_room(conversation, len(request.items))
        return conversation

    def _admit(self, principal: Principal, response_id: str, conversation: Conversation | None) -> bool:
        group = conversation.id if conversation is not None else None
        ticket = Ticket(response_id=response_id, tenant=principal.tenant, group=group)
        try:
            return self._scheduler.offer(ticket, self._clock())
        except GroupFull as full:
            text = "Too many responses wait for this conversation: try again when some of them are over."
            error = WireError(ErrorCode.CONVERSATION_LOCKED, text, param="conversation", retry_after=full.retry_after)
            raise error from None
        except Full as full:
            text = "The server is full: too many responses are waiting. Try again later."
            raise WireError(ErrorCode.SERVER_IS_OVERLOADED, text, retry_after=full.retry_after) from None

    def _new_log(self, response_id: str, stream_id: str | None) -> EventLog:
        return EventLog(
            response_id,
            new_id("epoch"),
            stream_id=stream_id,
            max_bytes=self._settings.max_log_bytes,
            max_entries=self._settings.max_log_events,
        )

    # -- small parts

    def _shown(self, principal: Principal, request: ResponseCreate) -> ReasoningShown:
        """The reasoning policy (docs/protocol.md, 3.7)."""
        include = request.include or ()
        options = request.reasoning
        asked = options is not None and (options.summary or options.generate_summary) is not None
        encrypt = partial(self._cipher.encrypt, REASONING, principal.tenant)
        return ReasoningShown(
            summary=asked or self._settings.show_reasoning == "summary",
            raw="reasoning.content" in include or (not asked and self._settings.show_reasoning == "raw"),
            encrypt=encrypt if "reasoning.encrypted_content" in include else None,
        )


def _came_to_nothing(response: Response) -> bool:
    """It failed, or was stopped because its client was gone: then the same request, sent again, means a new try."""
    details = response.incomplete_details
    return response.status == "failed" or (details is not None and details.reason == DISCONNECTED)
