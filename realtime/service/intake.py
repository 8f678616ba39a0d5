"""Decide about a response before it starts: make a `Job` of a request and what was looked up for it. Pure.

This module reads nothing by itself. `references` says what has to be looked up, and `LookedUp` brings the findings.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container, Mapping, Sequence
from functools import partial
from itertools import islice

import msgspec

from realtime.context import compaction
from realtime.context.attachments import check_attachments, replace_images
from realtime.context.directives import (
    MAX_REFERENCES,
    apply_settings,
    brought_tools,
    check_format,
    resolve_references,
)
from realtime.context.encrypted import COMPACTION, REASONING, Cipher, decrypt_items
from realtime.context.outputs import check_no_output_missing, check_no_second_output, needs_outputs
from realtime.context.request_tools import tool_set
from realtime.context.tools import ToolSet
from realtime.context.turns import Turn, history, since_compaction
from realtime.engine.base import ModelInfo
from realtime.engine.parsing import Holds
from realtime.observability.origin import NOWHERE, Origin
from realtime.runs.audience import disconnect_policy
from realtime.runs.job import Job
from realtime.runs.mcp.plan import McpPlan
from realtime.runs.open_items import ReasoningShown
from realtime.runs.past import Past
from realtime.runs.response_object import new_response
from realtime.settings.fields import ImageSettings, McpSettings, ResponseSettings
from realtime.store.conversations import Conversation
from realtime.wire.calls import check_calls
from realtime.wire.items import InputItem, ItemReference
from realtime.wire.limits import DEFAULT, Limits
from realtime.wire.requests import ResponseCreate
from realtime.wire.unknown_members import warnings

from .prefix_salts import PrefixSalts
from .scheduling.classes import class_of, granted_tier


class Asked(msgspec.Struct, frozen=True):
    """A request as it came. `native`: it came by our own profile. `given`: items before its own, which don't count when
    two requests are compared. `here`: another node asks, the `asker`, so no further node is asked.
    """

    tenant: str
    request: ResponseCreate
    native: bool = False
    given: Sequence[InputItem] = ()
    origin: Origin = NOWHERE
    here: bool = False
    asker: str | None = None


class LookedUp(msgspec.Struct, frozen=True, kw_only=True):
    """The findings for a request. `items`: those of its `references` that exist, by id."""

    parent: Turn | None = None
    conversation: Conversation | None = None
    items: Mapping[str, InputItem] = {}

    @property
    def continued(self) -> Turn | None:
        """The turn that the request continues, if it is known yet."""
        return self.conversation.turn if self.conversation is not None else self.parent


class PreparedRequest(msgspec.Struct, frozen=True):
    """A request with its items as the model will see them, and with the tools and settings in force."""

    request: ResponseCreate
    tools: ToolSet
    mcp: McpPlan | None
    compaction: compaction.Policy | None


def references(request: ResponseCreate) -> list[str]:
    """Return the ids of items to which a request refers. At most as many as are accepted."""
    ids = (item.id for item in request.items if isinstance(item, ItemReference))
    return list(islice((item_id for item_id in ids if isinstance(item_id, str)), MAX_REFERENCES))


def digest_of(request: ResponseCreate) -> bytes:
    """Return a digest that is equal for two requests that mean the same. The client's event id, the way in which it
    reads the answer, and ignored members don't count.
    """
    same = msgspec.structs.replace(request, event_id=None, catch_up=None, unknown=())
    return hashlib.sha256(msgspec.json.encode(same)).digest()


class Intake(msgspec.Struct, frozen=True, kw_only=True):
    """The operator's settings, as far as they affect a response. `salts`: None: all tenants share the prefix cache.
    `tiers_of`: the values of `service_tier` that a tenant may ask for.
    """

    settings: ResponseSettings
    images: ImageSettings
    mcp: McpSettings
    cipher: Cipher
    salts: PrefixSalts | None = None
    limits: Limits = DEFAULT
    tiers_of: Callable[[str], Container[str]] = lambda tenant: ()

    def job(
        self, asked: Asked, found: LookedUp, model: ModelInfo, holds: Holds, response_id: str, created_at: int
    ) -> Job:
        """Decide about a response, and return its job. `created_at`: unix seconds. Raises WireError."""
        prepared = self.prepare(asked, found, model, holds)
        request = prepared.request
        tier = granted_tier(request.service_tier, self.tiers_of(asked.tenant))
        response = new_response(request, model, prepared.tools, response_id, created_at)
        response.service_tier = tier
        self._check_outputs(found, request, prepared.compaction)
        return Job(
            response_id=response_id,
            tenant=asked.tenant,
            request=request,
            digest=digest_of(asked.request) if asked.request.request_id is not None else b"",
            tools=prepared.tools,
            shown=self._shown(asked.tenant, request),
            response=response,
            parent=found.parent,
            conversation=found.conversation,
            compaction=prepared.compaction,
            encrypt_compaction=partial(self.cipher.encrypt, COMPACTION, asked.tenant),
            on_disconnect=disconnect_policy(request, self.settings, native=asked.native),
            cache_salt=self.cache_salt(asked.tenant, request.cache_salt),
            mcp=prepared.mcp,
            warnings=warnings(request.unknown) if asked.native else [],
            origin=asked.origin,
            service_class=class_of(tier, background=bool(request.background)),
        )

    def unprepared(self, past: Past, conversation: Conversation | None) -> Job:
        """Return the job of a response that will continue, as far as it is known before an engine serves. Raises
        ValueError.
        """
        head = past.head
        response, warned = past.created()
        assert head.on_disconnect is not None
        return Job(
            response_id=head.response_id,
            tenant=head.owner,
            request=head.request,
            digest=b"",
            tools=ToolSet(),
            shown=self._shown(head.owner, head.request),
            response=response,
            parent=past.parent,
            conversation=conversation,
            compaction=compaction.compaction_policy(head.request),
            encrypt_compaction=partial(self.cipher.encrypt, COMPACTION, head.owner),
            on_disconnect=head.on_disconnect,
            cache_salt=self.cache_salt(head.owner, head.request.cache_salt),
            warnings=warned,
            service_class=class_of(response.service_tier, background=bool(head.request.background)),
        )

    def prepared(self, job: Job, parent: Turn | None, holds: Holds) -> Job:
        """Complete the job of a response that continues. `parent`: the turn before it. Raises WireError."""
        request = job.request
        before, own = since_compaction(parent, request.own_items)
        brought = brought_tools(before, own)
        holds = msgspec.structs.replace(holds, limits=self.limits)
        mcp = McpPlan.of(request, before, brought, self.mcp, holds)
        choice = request.tool_choice if mcp is None else None
        tools = tool_set(request.tools, choice, request.parallel_tool_calls, brought, holds=holds)
        return msgspec.structs.replace(job, parent=parent, mcp=mcp, tools=tools)

    def prepare(self, asked: Asked, found: LookedUp, model: ModelInfo, holds: Holds) -> PreparedRequest:
        """Prepare a request against the turn that it continues. `holds`: whether the model's calls can be constrained
        to schemas. Raises WireError.
        """
        request, parent = asked.request, found.continued
        check_attachments(request.items, self.images, sees=model.sees)
        own = resolve_references(request.items, parent.items() if parent is not None else [], found.items.get)
        own = decrypt_items(self.cipher, asked.tenant, own if model.sees else replace_images(own), "input")
        prepended = [*(request.previous_input_messages or ()), *asked.given]
        request = msgspec.structs.replace(request, items=[*prepended, *own], num_before=len(prepended))
        before, own = since_compaction(parent, own)
        check_format(request, before, self.limits)
        request = apply_settings(request, before)
        brought = brought_tools(before, own)
        holds = msgspec.structs.replace(holds, limits=self.limits)
        mcp = McpPlan.of(request, before, brought, self.mcp, holds)
        choice = request.tool_choice if mcp is None else None  # of MCP tools: when they are known
        tools = tool_set(request.tools, choice, request.parallel_tool_calls, brought, holds=holds)
        return PreparedRequest(request, tools, mcp, compaction.compaction_policy(request))

    def _check_outputs(self, found: LookedUp, request: ResponseCreate, policy: compaction.Policy | None) -> None:
        """Refuse outputs that answer no call, or one that is answered, and calls without theirs. Of a conversation that
        others go on with, what is in it when the response starts is known only then.
        """
        conversation = found.conversation
        if conversation is None:
            check_calls(history(found.parent, request.items))
        else:
            check_no_second_output(conversation.items(), request.items)
        if needs_outputs(request, policy) and (conversation is None or not conversation.num_users):
            check_no_output_missing(found.continued, request.items)

    def cache_salt(self, tenant: str, own: str | None) -> str | None:
        """Return the salt of a tenant's requests to the engine. `own`: the request's."""
        return self.salts.salt(tenant, own) if self.salts is not None else own

    def _shown(self, tenant: str, request: ResponseCreate) -> ReasoningShown:
        """Apply the reasoning policy (docs/protocol.md, 3.7)."""
        include = request.include or ()
        options = request.reasoning
        wants_summary = options is not None and (options.summary or options.generate_summary) is not None
        encrypt = partial(self.cipher.encrypt, REASONING, tenant)
        return ReasoningShown(
            summary=wants_summary or self.settings.show_reasoning == "summary",
            raw="reasoning.content" in include or (not wants_summary and self.settings.show_reasoning == "raw"),
            encrypt=encrypt if "reasoning.encrypted_content" in include else None,
        )
