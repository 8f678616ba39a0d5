"""The rules of conversations, without a door: what they hold, how their items are shown, whose they are."""

from __future__ import annotations

from array import array
from contextlib import nullcontext
from itertools import count
from typing import Any

import pytest

from realtime.context.encrypted import KEY_BYTES, Cipher
from realtime.context.turns import Prompt, Turn
from realtime.service.conversations import ENCRYPTED_REASONING, Conversations
from realtime.service.principal import Principal
from realtime.store.memory.conversations import MemoryConversations
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.items import (
    Compaction,
    CompactionTrigger,
    InputItem,
    InputText,
    ItemReference,
    Message,
    Reasoning,
    ReasoningText,
)
from tests.support.at_once import at_once

ME, YOU = Principal("me"), Principal("you")


def made(**bounds: int) -> Conversations:
    numbers = count()
    limits = {"max_bytes": 1 << 20, "max_conversation_bytes": 1 << 18, "max_items": 100, **bounds}
    store = MemoryConversations(new_id=lambda prefix: f"{prefix}_{next(numbers)}", **limits)
    return Conversations(store, Cipher(bytes(KEY_BYTES)), lambda: 1234.9, nullcontext)


def num_held(conversations: Conversations) -> int:
    assert isinstance(conversations.store, MemoryConversations)
    return len(conversations.store)


def said(text: str, **members: Any) -> Message:
    return Message(role="user", content=text, **members)


def refusal(error: pytest.ExceptionInfo[WireError]) -> tuple[ErrorCode, str | None]:
    return error.value.code, error.value.param


def test_a_conversation_is_made_shown_changed_and_deleted() -> None:
    conversations = made()
    begun = conversations.create(ME, [], {"topic": "x"})
    assert (begun.id, begun.created_at, begun.metadata) == ("conv_0", 1234, {"topic": "x"})
    assert at_once(conversations.retrieve(ME, begun.id)) == begun
    assert at_once(conversations.update(ME, begun.id, {"topic": "y"})).metadata == {"topic": "y"}
    assert at_once(conversations.retrieve(ME, begun.id)).metadata == {"topic": "y"}
    gone = at_once(conversations.delete(ME, begun.id))
    assert (gone.id, gone.deleted) == (begun.id, True)
    with pytest.raises(WireError) as caught:
        at_once(conversations.retrieve(ME, begun.id))
    assert refusal(caught) == (ErrorCode.CONVERSATION_NOT_FOUND, "conversation")


@pytest.mark.parametrize("item", [CompactionTrigger(), ItemReference(id="msg_1")])
def test_what_is_for_a_request_can_not_be_held(item: InputItem) -> None:
    conversations = made()
    conversation_id = conversations.create(ME, [], {}).id
    for attempt in (
        lambda: conversations.create(ME, [said("a"), item], {}),
        lambda: at_once(conversations.add_items(ME, conversation_id, [said("a"), item])),
    ):
        with pytest.raises(WireError, match="a conversation can't hold it") as caught:
            attempt()
        assert refusal(caught) == (ErrorCode.INVALID_REQUEST, "items[1].type")
    assert num_held(conversations) == 1, "nothing half made"
    assert at_once(conversations.list_items(ME, conversation_id)).data == []


def test_a_compaction_that_can_not_be_decrypted_is_refused() -> None:
    conversations = made()
    with pytest.raises(WireError) as caught:
        conversations.create(ME, [Compaction(encrypted_content="of another server")], {})
    assert refusal(caught) == (ErrorCode.INVALID_ENCRYPTED_CONTENT, "items[0].encrypted_content")
    assert num_held(conversations) == 0


def test_what_is_added_is_answered_as_it_is_listed() -> None:
    conversations = made()
    conversation_id = conversations.create(ME, [said("a")], {}).id
    added = at_once(conversations.add_items(ME, conversation_id, [said("b"), said("c", id="mine")]))
    assert [item.content for item in added.data] == [[InputText(text="b")], [InputText(text="c")]]  # type: ignore[union-attr]
    assert (added.first_id, added.last_id, added.has_more) == (added.data[0].id, "mine", False)
    listed = at_once(conversations.list_items(ME, conversation_id))
    assert listed.data[:2] == added.data[::-1], "newest first"
    oldest = at_once(conversations.list_items(ME, conversation_id, order="asc", limit=2))
    assert (oldest.data[1], oldest.has_more) == (added.data[0], True)
    rest = at_once(conversations.list_items(ME, conversation_id, order="asc", after=oldest.last_id))
    assert (rest.data, rest.has_more) == ([added.data[1]], False)
    with pytest.raises(WireError) as caught:
        at_once(conversations.list_items(ME, conversation_id, after="msg_x"))
    assert caught.value.message == "`after` must be the id of an item of this conversation; 'msg_x' is none."


def test_an_item_is_found_and_taken_out_by_its_id() -> None:
    conversations = made()
    conversation_id = conversations.create(ME, [said("a", id="mine")], {}).id
    assert at_once(conversations.retrieve_item(ME, conversation_id, "mine")).item.id == "mine"
    assert at_once(conversations.delete_item(ME, conversation_id, "mine")).id == conversation_id
    for attempt in (conversations.retrieve_item, conversations.delete_item):
        with pytest.raises(WireError) as caught:
            at_once(attempt(ME, conversation_id, "mine"))
        assert refusal(caught) == (ErrorCode.ITEM_NOT_FOUND, "item_id")


def with_a_thought(conversations: Conversations) -> str:
    """A conversation in which a response has thought; its id."""
    conversation = conversations.store.create(ME.tenant, {}, 0)
    thought = Reasoning(id="rs_1", content=[ReasoningText(text="sec"), ReasoningText(text="ret")])
    prompt = Prompt("", array("I"))
    turn = Turn("resp_1", None, (said("a", id="msg_1"),), (thought,), prompt)
    conversations.store.respond(conversation, turn, None, [Reasoning(id="rs_1")], 0)
    return conversation.id


def test_reasoning_is_shown_encrypted_to_who_asks_and_comes_back_as_it_was() -> None:
    conversations = made()
    conversation_id = with_a_thought(conversations)
    plain = at_once(conversations.retrieve_item(ME, conversation_id, "rs_1")).item
    assert plain == Reasoning(id="rs_1", status="completed")
    thought = at_once(conversations.retrieve_item(ME, conversation_id, "rs_1", [ENCRYPTED_REASONING])).item
    assert isinstance(thought, Reasoning)
    assert isinstance(thought.encrypted_content, str)
    assert "secret" not in repr(thought)
    message, listed = at_once(
        conversations.list_items(ME, conversation_id, order="asc", include=[ENCRYPTED_REASONING])
    ).data
    assert (message.id, type(listed)) == ("msg_1", Reasoning)
    assert listed.encrypted_content  # type: ignore[union-attr]

    elsewhere = conversations.create(ME, [thought], {}).id
    (remembered,) = at_once(conversations.store.get(ME.tenant, elsewhere)).turn.items()  # type: ignore[union-attr]
    assert remembered.content == [ReasoningText(text="secret")]  # type: ignore[union-attr]
    (shown,) = at_once(conversations.list_items(ME, elsewhere, include=[ENCRYPTED_REASONING])).data
    assert shown.encrypted_content == thought.encrypted_content, "the client's own is not encrypted again"  # type: ignore[union-attr]
    assert "secret" not in repr(shown)


def test_anothers_conversation_does_not_exist() -> None:
    conversations = made()
    name = conversations.create(ME, [said("a", id="mine")], {}).id
    for attempt in (
        lambda: at_once(conversations.retrieve(YOU, name)),
        lambda: at_once(conversations.update(YOU, name, {})),
        lambda: at_once(conversations.delete(YOU, name)),
        lambda: at_once(conversations.add_items(YOU, name, [said("b")])),
        lambda: at_once(conversations.list_items(YOU, name)),
        lambda: at_once(conversations.retrieve_item(YOU, name, "mine")),
        lambda: at_once(conversations.delete_item(YOU, name, "mine")),
    ):
        with pytest.raises(WireError) as caught:
            attempt()
        assert refusal(caught) == (ErrorCode.CONVERSATION_NOT_FOUND, "conversation")
    assert [item.id for item in at_once(conversations.list_items(ME, name)).data] == ["mine"]


def test_a_full_conversation_takes_nothing() -> None:
    conversations = made(max_items=2)
    name = conversations.create(ME, [said("a")], {}).id
    with pytest.raises(WireError) as caught:
        at_once(conversations.add_items(ME, name, [said("b"), said("c")]))
    assert refusal(caught) == (ErrorCode.CONVERSATION_FULL, "conversation")
    assert len(at_once(conversations.list_items(ME, name)).data) == 1
