"""Items as they are listed: in full form, each with an id that stays, in pages that miss nothing."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.context.listing import complete, fresh_prefix, hide_decrypted, list_input, list_of, page
from realtime.context.turns import ExpandedCompaction
from realtime.wire import codec
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.harmony import HarmonyMessage
from realtime.wire.items import (
    Compaction,
    FunctionCall,
    FunctionCallOutput,
    InputItem,
    InputText,
    Message,
    OutputText,
    PlainText,
    Reasoning,
    ReasoningText,
    Refusal,
    id_of,
    kind_of,
)
from tests.support.fuzz import examples
from tests.wire.test_items import ITEMS

EVERY_KIND = codec.decode_items(msgspec.json.encode(ITEMS), "items", len(ITEMS))
STATELESS = {
    "additional_tools", "compaction", "compaction_trigger", "configuration_update", "mcp_approval_request",
    "mcp_approval_response", "mcp_list_tools",
}  # fmt: skip


def said(text: str, **members: Any) -> Message:
    return Message(role="user", content=text, **members)


@pytest.mark.parametrize("item", EVERY_KIND, ids=kind_of)
def test_every_kind_of_item_is_completed(item: Any) -> None:
    before = msgspec.json.encode(item)
    full = complete(msgspec.structs.replace(item, status=msgspec.UNSET), "own")
    assert full.id == "own"
    assert full.status is msgspec.UNSET if kind_of(item) in STATELESS else full.status == "completed"
    assert complete(msgspec.structs.replace(item, status="failed"), "own").status == "failed", "a status is kept"
    assert complete(full, "own") == full
    assert msgspec.json.encode(item) == before, "what the client gave is as it was"


@pytest.mark.parametrize(
    ("message", "parts"),
    [
        (said("a"), [InputText(text="a")]),
        (Message(role="assistant", content="a"), [OutputText(text="a")]),
        (Message(role="developer", content=[PlainText(text="a")]), [InputText(text="a")]),
        (
            Message(role="assistant", content=[PlainText(text="a"), Refusal(refusal="b")]),
            [OutputText(text="a"), Refusal(refusal="b")],
        ),
        (Message(role="user", content=[]), []),
    ],
)
def test_the_content_of_a_message_is_parts_of_its_role(message: Message, parts: list[Any]) -> None:
    assert complete(message, "m").content == parts  # type: ignore[union-attr]


def test_what_was_decrypted_is_hidden_and_what_the_client_wrote_is_not() -> None:
    opened = ExpandedCompaction.of(Compaction(id="cmp_1", encrypted_content="blob"), [said("secret")])
    thought = Reasoning(encrypted_content="blob", content=[ReasoningText(text="secret")])
    plain = Reasoning(content=[ReasoningText(text="mine")])
    assert hide_decrypted(opened) == Compaction(id="cmp_1", encrypted_content="blob")
    assert type(hide_decrypted(opened)) is Compaction
    assert hide_decrypted(thought) == Reasoning(encrypted_content="blob")
    assert hide_decrypted(plain) is plain
    assert "secret" not in repr(list_input("resp_1", [opened, thought]))


def test_an_id_of_the_client_is_kept_for_the_first_item_that_has_it() -> None:
    items: list[InputItem] = [
        said("a", id="mine"),
        said("b", id="mine"),
        said("c"),
        said("d", id=""),
        said("e", id=None),
    ]
    ids = [id_of(item) for item in list_input("resp_1", items)]
    assert ids[0] == "mine"
    assert len(set(ids)) == len(items)
    assert all(str(name).startswith("msg_") and len(str(name)) == 36 for name in ids[1:])
    assert ids == [id_of(item) for item in list_input("resp_1", items)], "the same whenever they are asked for"
    assert not set(ids[1:]) & {id_of(item) for item in list_input("resp_2", items)}


def test_the_prefix_of_an_id_tells_the_type() -> None:
    items: list[InputItem] = [
        Reasoning(), FunctionCall(call_id="c", name="f", arguments=""), FunctionCallOutput(call_id="c", output=""),
    ]  # fmt: skip
    derived = [str(item.id).rpartition("_")[0] for item in list_input("resp_1", items)]
    assert derived == ["rs", "fc", "function_call_output"]
    assert [fresh_prefix(item) for item in items if not isinstance(item, HarmonyMessage)] == ["rs", "fc", "fco"]
    assert {fresh_prefix(item) for item in EVERY_KIND if "shell" in kind_of(item)} == {"item"}  # type: ignore[arg-type]


def test_messages_in_a_models_own_format_are_not_listed_and_move_no_id() -> None:
    held = HarmonyMessage(role="user", content="x")
    with_it, without = list_input("resp_1", [held, said("a")]), list_input("resp_1", [said("x"), said("a")])
    assert [item.id for item in with_it] == [without[1].id]


def test_the_list_object_names_its_ends() -> None:
    full = list_input("resp_1", [said("a", id="a"), said("b", id="b")])
    whole, empty = list_of(full), list_of([])
    assert (whole.first_id, whole.last_id, whole.has_more, whole.data) == ("a", "b", False, full)
    assert (empty.first_id, empty.last_id, empty.has_more, empty.data) == (None, None, False, [])


@examples(100)
@given(st.integers(0, 12), st.integers(1, 5), st.booleans())
def test_pages_go_through_everything_once_in_either_order(count: int, limit: int, newest_first: bool) -> None:
    items = list_input("resp_1", [said(str(number)) for number in range(count)])
    seen: list[str | None] = []
    for _ in range(count + 1):
        one = page(items, after=seen[-1] if seen else None, limit=limit, newest_first=newest_first)
        assert len(one.data) == min(limit, count - len(seen))
        seen += [item.id for item in one.data]  # type: ignore[misc]
        assert one.has_more == (len(seen) < count)
        if not one.has_more:
            break
    assert seen == [item.id for item in (items[::-1] if newest_first else items)]


def test_a_page_after_nothing_is_refused_in_the_words_of_its_list() -> None:
    items = list_input("resp_1", [said("a", id="a")])
    with pytest.raises(WireError) as caught:
        page(items, after="b", limit=1, newest_first=False)
    assert (caught.value.code, caught.value.param) == (ErrorCode.INVALID_REQUEST, "after")
    assert caught.value.message == "`after` is 'b', which is the id of no item of this list."
    with pytest.raises(WireError, match=f"^no {'x' * 128}$"):
        page(items, after="x" * 200, limit=1, newest_first=False, unknown="no {after}")
