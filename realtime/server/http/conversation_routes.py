"""The operations on conversations: the rows of the table of routes."""

from __future__ import annotations

from realtime.wire.bodies import (
    ConversationDeleted,
    ConversationFork,
    ConversationList,
    ConversationObject,
    ConversationUpdate,
)
from realtime.wire.errors import ErrorCode as E

from . import conversations, responses
from .error_groups import BODY
from .operations import Operation
from .schemas import ConversationItem, ConversationItems, CreateConversation, CreateItems

_CONVERSATIONS = "/v1/conversations"
_CONVERSATION = {"conversation_id": "the id of a conversation"}
_ITEM = {**_CONVERSATION, "item_id": "the id of one of its items"}
CONVERSATIONS = (
    Operation(
        method="POST",
        path=_CONVERSATIONS,
        handler=conversations.create,
        summary="Create a conversation",
        body=CreateConversation,
        body_optional=True,
        answer=ConversationObject,
        errors=(*BODY, E.INVALID_ENCRYPTED_CONTENT),
    ),
    Operation(
        method="GET",
        path=_CONVERSATIONS,
        handler=conversations.list_conversations,
        summary="List conversations",
        query=conversations.ConversationsQuery,
        answer=ConversationList,
        errors=(E.INVALID_REQUEST,),
    ),
    Operation(
        method="POST",
        path=f"{_CONVERSATIONS}/{{conversation_id}}/fork",
        path_parameters=_CONVERSATION,
        handler=conversations.fork,
        summary="Begin a conversation with the items of this one, up to and with one of them",
        body=ConversationFork,
        body_optional=True,
        answer=ConversationObject,
        errors=(*BODY, E.CONVERSATION_NOT_FOUND, E.ITEM_NOT_FOUND),
    ),
    Operation(
        method="GET",
        path=f"{_CONVERSATIONS}/{{conversation_id}}",
        path_parameters=_CONVERSATION,
        handler=conversations.retrieve,
        summary="Retrieve a conversation",
        answer=ConversationObject,
        errors=(E.CONVERSATION_NOT_FOUND,),
    ),
    Operation(
        method="POST",
        path=f"{_CONVERSATIONS}/{{conversation_id}}",
        path_parameters=_CONVERSATION,
        handler=conversations.update,
        summary="Give a conversation other metadata",
        body=ConversationUpdate,
        answer=ConversationObject,
        errors=(*BODY, E.CONVERSATION_NOT_FOUND),
    ),
    Operation(
        method="DELETE",
        path=f"{_CONVERSATIONS}/{{conversation_id}}",
        path_parameters=_CONVERSATION,
        handler=conversations.delete,
        summary="Delete a conversation; its responses stay",
        answer=ConversationDeleted,
        errors=(E.CONVERSATION_NOT_FOUND,),
    ),
    Operation(
        method="POST",
        path=f"{_CONVERSATIONS}/{{conversation_id}}/items",
        path_parameters=_CONVERSATION,
        handler=conversations.create_items,
        summary="Append items to a conversation",
        query=conversations.IncludeQuery,
        body=CreateItems,
        answer=ConversationItems,
        errors=(
            *BODY,
            E.CONVERSATION_NOT_FOUND,
            E.CONVERSATION_FULL,
            E.INVALID_ENCRYPTED_CONTENT,
            E.TOOL_OUTPUT_ALREADY_ACCEPTED,
        ),
    ),
    Operation(
        method="GET",
        path=f"{_CONVERSATIONS}/{{conversation_id}}/items",
        path_parameters=_CONVERSATION,
        handler=conversations.list_items,
        summary="List the items of a conversation",
        query=responses.ItemsQuery,
        answer=ConversationItems,
        errors=(E.INVALID_REQUEST, E.CONVERSATION_NOT_FOUND),
    ),
    Operation(
        method="GET",
        path=f"{_CONVERSATIONS}/{{conversation_id}}/items/{{item_id}}",
        path_parameters=_ITEM,
        handler=conversations.retrieve_item,
        summary="Retrieve an item of a conversation",
        query=conversations.IncludeQuery,
        answer=ConversationItem,
        errors=(E.INVALID_REQUEST, E.CONVERSATION_NOT_FOUND, E.ITEM_NOT_FOUND),
    ),
    Operation(
        method="DELETE",
        path=f"{_CONVERSATIONS}/{{conversation_id}}/items/{{item_id}}",
        path_parameters=_ITEM,
        handler=conversations.delete_item,
        summary="Take an item out of a conversation",
        answer=ConversationObject,
        errors=(E.CONVERSATION_NOT_FOUND, E.ITEM_NOT_FOUND),
    ),
)
