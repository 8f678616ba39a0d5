"""Conversations: appended whole, read in one order, bounded, and nobody else's (H12)."""

from __future__ import annotations

from array import array
from itertools import count
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.context.turns import ExpandedCompaction, Prompt, Turn, history
from realtime.store.base import ConversationStore
from realtime.store.conversations import Conversation
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.items import (
    Compaction,
    FunctionCallOutput,
    InputItem,
    InputText,
    Message,
    OutputText,
    Reasoning,
    ReasoningText,
)
from tests.support.at_once import at_once
from tests.support.fuzz import examples
from tests.support.stores import KINDS, Maker, makers, only_long

NOW = 1234


make = makers(*KINDS)


def make_store(make: Maker, **bounds: int) -> Any:
    numbers = count()
    limits = {"max_conversations_bytes": 1 << 20, "max_conversation_bytes": 1 << 18, "max_items": 100, **bounds}
    return make(new_id=lambda prefix: f"{prefix}_{next(numbers)}", **limits).conversations


def said(text: str, **members: Any) -> Message:
    return Message(role="user", content=text, **members)


def answered(text: str) -> Message:
    return Message(id=f"msg_of_{text[:-1]}", status="completed", role="assistant", content=[OutputText(text=text)])


def post(store: ConversationStore, conversation: Conversation, *items: InputItem) -> list[str]:
    return [*store.post(conversation, items, items, NOW)]


def turn(conversation: Conversation, name: str) -> Turn:
    """A response to this conversation as it is now."""
    prompt = Prompt(f"prompt of {name}", array("I", [1, 2]))
    return Turn(
        f"resp_{name}", conversation.turn, (said(f"{name}?"),), (answered(f"{name}!"),), prompt, array("I", [3])
    )


def respond(store: ConversationStore, conversation: Conversation, answer: Turn) -> None:
    store.respond(conversation, answer, answer.parent, answer.output, NOW)


def texts(items: Any) -> list[str]:
    return ["".join(part.text for part in item.content) for item in items]


def everything(conversation: Conversation) -> list[str]:
    return texts(conversation.items())


def refusal(error: pytest.ExceptionInfo[WireError]) -> ErrorCode:
    return error.value.code


def test_what_is_posted_is_shown_in_its_full_form_with_an_id(make: Maker) -> None:
    store = make_store(make)
    conversation = store.create("me", {}, 0)
    mine = said("hi", id="mine")
    ids = post(store, conversation, mine, said("there"), Message(role="assistant", content="ho"), said("x", id="a/b"))
    assert ids == ["mine", "msg_1", "msg_2", "msg_3"], "an id that can't be in a path is replaced"
    assert conversation.get("mine").shown == Message(
        id="mine", status="completed", role="user", content=[InputText(text="hi")]
    )
    assert conversation.get("msg_2").shown.content == [OutputText(text="ho")]
    assert mine == said("hi", id="mine"), "the client's item is as it was"
    again = post(store, conversation, said("hi", id="mine"))
    assert again == ["msg_4"], "an id names one item"


def test_a_response_is_appended_whole_and_its_exact_tokens_are_kept(make: Maker) -> None:
    store = make_store(make)
    conversation = store.create("me", {}, 0)
    post(store, conversation, said("before"))
    for name in "abc":
        respond(store, conversation, turn(conversation, name))
    assert everything(conversation) == ["before", "a?", "a!", "b?", "b!", "c?", "c!"]
    newest = conversation.turn
    assert newest is not None
    assert texts(newest.output) == ["c!"]
    assert newest.prompt is not None
    assert newest.prompt.text == "prompt of c"
    assert newest.parent is not None
    assert (newest.parent.parent, newest.parent.prompt) == (None, None), "older tokens are not held"
    post(store, conversation, said("after"))
    assert conversation.turn is not None
    assert conversation.turn.parent is newest, "what is posted comes after the exact tokens"


def test_what_is_posted_while_a_response_runs_comes_before_it_and_its_tokens_no_longer_hold(make: Maker) -> None:
    store = make_store(make)
    conversation = store.create("me", {}, 0)
    running = turn(conversation, "a")
    post(store, conversation, said("meanwhile"))
    respond(store, conversation, running)
    assert everything(conversation) == ["meanwhile", "a?", "a!"]
    assert conversation.turn is not None
    assert conversation.turn.prompt is None
    assert [message.role for message in conversation.turn.items()] == ["user", "user", "assistant"]


def test_what_is_hidden_is_remembered_and_never_shown(make: Maker) -> None:
    store = make_store(make)
    conversation = store.create("me", {}, 0)
    opened = ExpandedCompaction.of(Compaction(encrypted_content="blob"), [said("secret summary")])
    thought = Reasoning(encrypted_content="blob", content=[ReasoningText(text="secret")])
    shown = Reasoning(id="rs_out")
    answer = Turn("resp", None, (opened, thought), (Reasoning(content=[ReasoningText(text="secret")]),))
    store.respond(conversation, answer, None, [shown], NOW)
    listed = conversation.items()
    assert "secret" not in repr(listed)
    assert [type(item) for item in listed] == [Compaction, Reasoning, Reasoning]
    assert conversation.turn is not None
    assert "secret" in repr(conversation.turn.output)
    assert history(conversation.turn, [])[0] == said("secret summary"), "a compaction stands for what was before it"


def test_an_item_that_is_removed_is_gone_for_the_model_too(make: Maker) -> None:
    store = make_store(make)
    conversation = store.create("me", {}, 0)
    respond(store, conversation, turn(conversation, "a"))
    store.remove(conversation, "msg_of_a")
    assert everything(conversation) == ["a?"]
    assert conversation.turn is not None
    assert (len(conversation.turn.items()), conversation.turn.prompt) == (1, None)
    with pytest.raises(WireError) as caught:
        store.remove(conversation, "msg_of_a")
    assert refusal(caught) is ErrorCode.ITEM_NOT_FOUND
    store.remove(conversation, conversation.items()[-1].id or "")
    assert conversation.turn is None


def test_another_tenants_conversation_does_not_exist(make: Maker) -> None:
    store = make_store(make)
    conversation = store.create("me", {}, 0)
    for owner, name in (("you", conversation.id), ("me", "conv_unknown"), ("nobody", "")):
        with pytest.raises(WireError) as caught:
            at_once(store.get(owner, name))
        assert (refusal(caught), caught.value.message) == (
            ErrorCode.CONVERSATION_NOT_FOUND,
            f"Conversation with id '{name}' not found.",
        )
    assert at_once(store.get("me", conversation.id)) is conversation


def test_nothing_is_appended_to_what_was_deleted(make: Maker) -> None:
    store = make_store(make)
    conversation = store.create("me", {}, 0)
    running = turn(conversation, "a")
    store.delete(conversation)
    respond(store, conversation, running)
    store.delete(conversation)
    assert (store.num_bytes, len(conversation)) == (0, 0)


def test_a_full_conversation_says_so_and_takes_the_answer_that_has_begun(make: Maker) -> None:
    store = make_store(make, max_items=3, max_conversation_bytes=5000)
    conversation = store.create("me", {}, 0)
    post(store, conversation, said("1"), said("2"))
    with pytest.raises(WireError) as caught:
        post(store, conversation, said("3"), said("4"))
    assert refusal(caught) is ErrorCode.CONVERSATION_FULL
    assert everything(conversation) == ["1", "2"]
    respond(store, conversation, turn(conversation, "a"))
    assert len(conversation) == 4
    large = store.create("me", {}, 0)
    post(store, large, said("x" * 5000))
    with pytest.raises(WireError) as caught:
        post(store, large, said("y"))
    assert refusal(caught) is ErrorCode.CONVERSATION_FULL


def test_whoever_holds_most_gives_up_what_it_used_longest_ago_but_nothing_in_use(make: Maker) -> None:
    if make.kind.endswith("late"):
        pytest.skip("nothing is committed, so nothing is given up")
    store = make_store(make, max_conversations_bytes=60_000)
    modest = store.create("modest", {}, 0)
    mine = [store.create("greedy", {}, 0) for _ in range(3)]
    mine[1].num_users = 1
    for conversation in mine:
        post(store, conversation, said("x" * 15_000))
    at_once(store.get("greedy", mine[0].id))
    newest = store.create("greedy", {}, 0)
    post(store, newest, said("x" * 15_000))
    assert [one.deleted for one in (modest, *mine, newest)] == [False, False, False, True, False]


STEPS = st.lists(
    st.tuples(st.sampled_from(["create", "post", "respond", "remove", "delete", "get"]), st.integers(0, 9)), max_size=40
)


@examples(60)
@given(STEPS)
def test_the_store_against_a_list_of_lists(make: Maker, steps: list[tuple[str, int]]) -> None:
    """Order, and the count of bytes, after anything that may happen."""
    only_long(make)
    store = make_store(make, max_items=10_000)
    live: list[tuple[Conversation, list[str]]] = []
    for number, (what, choice) in enumerate(steps):
        if what == "create" or not live:
            live.append((store.create(f"tenant {choice % 3}", {}, 0), []))
            continue
        conversation, wanted = live[choice % len(live)]
        match what:
            case "post":
                post(store, conversation, said(f"{number}a"), FunctionCallOutput(call_id="c", output=f"{number}b"))
                wanted += [f"{number}a", f"{number}b"]
            case "respond":
                respond(store, conversation, turn(conversation, str(number)))
                wanted += [f"{number}?", f"{number}!"]
            case "remove" if wanted:
                at = choice % len(wanted)
                item = conversation.items()[at]
                store.remove(conversation, str(item.id))
                del wanted[at]
            case "delete":
                store.delete(conversation)
                live.remove((conversation, wanted))
            case "get":
                assert at_once(store.get(conversation.owner, conversation.id)) is conversation
    assert store.num_bytes == sum(conversation.num_bytes for conversation, _ in live)
    for conversation, wanted in live:
        assert [_text(item) for item in conversation.items()] == wanted
        assert [_text(item) for item in (conversation.turn.items() if conversation.turn else [])] == wanted


def _text(item: Any) -> str:
    if isinstance(item, FunctionCallOutput):
        return str(item.output)
    return item.content if isinstance(item.content, str) else item.content[0].text


# -- truncations


def test_a_truncation_replaces_the_newest_answer_and_keeps_the_count(make: Maker) -> None:
    store = make_store(make)
    conversation = store.create("t", {}, 0)
    post(store, conversation, said("before"))
    answer = turn(conversation, "a")
    respond(store, conversation, answer)
    cut = msgspec.structs.replace(answer, output=(answered("a"),), token_ids=array("I"))
    short = msgspec.structs.replace(answered("a!"), content=[OutputText(text="a")], status="incomplete")
    cut = msgspec.structs.replace(cut, output=(short,))
    store.truncate(conversation, cut, answer.output, [short])
    assert [getattr(item, "id", None) for item in conversation.items()][-1] == "msg_of_a"
    assert conversation.items()[-1].status == "incomplete"
    assert store.num_bytes == conversation.num_bytes
    assert conversation.turn is not None
    assert (conversation.turn.output, conversation.turn.prompt) == ((short,), answer.prompt)
    assert conversation.turn.parent is not None
    assert conversation.turn.parent.input == (conversation.items()[0],)
    store.truncate(conversation, msgspec.structs.replace(cut, output=()), [short], [])
    assert [type(item) for item in conversation.items()] == [Message, Message], "the question stays"
    assert store.num_bytes == conversation.num_bytes


def test_a_truncation_of_what_is_not_the_newest_changes_nothing(make: Maker) -> None:
    store = make_store(make)
    conversation = store.create("t", {}, 0)
    answer = turn(conversation, "a")
    respond(store, conversation, answer)
    post(store, conversation, said("after"))
    before = (conversation.items(), conversation.turn, store.num_bytes)
    with pytest.raises(WireError) as refused:
        store.truncate(conversation, msgspec.structs.replace(answer, output=()), answer.output, [])
    assert refused.value.code is ErrorCode.CONVERSATION_MOVED_ON
    assert (conversation.items(), conversation.turn, store.num_bytes) == before
    store.delete(conversation)
    store.truncate(conversation, msgspec.structs.replace(answer, output=()), answer.output, [])


def test_what_a_client_has_put_in_the_place_of_an_answer_is_not_cut(make: Maker) -> None:
    store = make_store(make)
    conversation = store.create("t", {}, 0)
    answer = turn(conversation, "a")
    respond(store, conversation, answer)
    store.remove(conversation, "msg_of_a")
    post(store, conversation, Message(role="user", content="mine", id="msg_of_a"))
    before = (conversation.items(), conversation.turn, store.num_bytes)
    with pytest.raises(WireError) as refused:
        store.truncate(conversation, msgspec.structs.replace(answer, output=()), answer.output, [])
    assert refused.value.code is ErrorCode.CONVERSATION_MOVED_ON
    assert (conversation.items(), conversation.turn, store.num_bytes) == before


def test_an_answer_beside_which_something_was_posted_is_cut_in_one_flat_history(make: Maker) -> None:
    store = make_store(make)
    conversation = store.create("t", {}, 0)
    answer = turn(conversation, "a")
    post(store, conversation, said("meanwhile"))
    respond(store, conversation, answer)
    store.truncate(conversation, msgspec.structs.replace(answer, output=()), answer.output, [])
    assert conversation.turn is not None
    assert conversation.turn == Turn("", None, tuple(conversation.items()), ())
    assert [getattr(item, "role", None) for item in conversation.turn.items()] == ["user", "user"]
