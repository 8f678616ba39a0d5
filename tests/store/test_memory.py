"""What is kept of finished responses: for a time, up to a size, the newest longest."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.context.turns import Turn
from realtime.store.memory import MAX_ITEM_ID, MemoryStore, Record
from realtime.wire.items import Message
from tests.support.fuzz import examples
from tests.support.responses import PLENTY, Answer

ANSWERS = {f"resp_{n}": Answer(f"resp_{n}").say("x" * 50).finish() for n in range(8)}
SIZE = ANSWERS["resp_0"].log.num_bytes


def record(response_id: str, *, expires_at: float = 100.0, **members: Any) -> Record:
    answer = ANSWERS[response_id]
    defaults = {"owner": "t", "response": answer.response, "log": answer.log, "turn": answer.turn, "continuable": True}
    return Record(**{**defaults, **members}, expires_at=expires_at)


def kept(store: MemoryStore, now: float = 0.0) -> list[int]:
    return [n for n in range(8) if store.get(f"resp_{n}", now) is not None]


def test_what_was_put_can_be_got() -> None:
    store, one = MemoryStore(max_bytes=PLENTY), record("resp_0")
    store.put(one, 0.0)
    assert store.get("resp_0", 0.0) is one
    assert store.get("resp_1", 0.0) is None


@pytest.mark.parametrize(("now", "there"), [(0.0, True), (99.9, True), (100.0, False), (1e9, False)])
def test_a_record_lives_until_it_expires(now: float, there: bool) -> None:
    store = MemoryStore(max_bytes=PLENTY)
    store.put(record("resp_0"), 0.0)
    assert (store.get("resp_0", now) is not None) == there


def test_a_record_that_expires_early_is_gone_although_an_older_one_stays() -> None:
    store = MemoryStore(max_bytes=PLENTY)
    store.put(record("resp_0", expires_at=100), 0.0)
    store.put(record("resp_1", expires_at=10), 0.0)
    assert kept(store, 50) == [0]


def test_the_oldest_go_first_when_there_is_no_room() -> None:
    store = MemoryStore(max_bytes=3 * SIZE)
    for n in range(5):
        store.put(record(f"resp_{n}"), 0.0)
    assert kept(store) == [2, 3, 4]


def test_expired_records_make_room_before_living_ones() -> None:
    store = MemoryStore(max_bytes=3 * SIZE)
    store.put(record("resp_0", expires_at=10), 0.0)
    for n in (1, 2, 3):
        store.put(record(f"resp_{n}"), 20.0)
    assert kept(store, 20.0) == [1, 2, 3]


def test_what_is_larger_than_the_store_is_not_kept_and_the_store_goes_on() -> None:
    store = MemoryStore(max_bytes=SIZE - 1)
    store.put(record("resp_0"), 0.0)
    assert kept(store) == []
    roomy = MemoryStore(max_bytes=2 * SIZE)
    for response_id in ("resp_0", "resp_0", "resp_0", "resp_1"):  # put again: counted once
        roomy.put(record(response_id), 0.0)
    assert kept(roomy) == [0, 1]


def test_a_deleted_record_is_gone_and_its_room_is_free() -> None:
    store = MemoryStore(max_bytes=2 * SIZE)
    for n in (0, 1):
        store.put(record(f"resp_{n}"), 0.0)
    store.delete("resp_1")
    store.delete("resp_1")
    store.delete("unknown")
    store.put(record("resp_2"), 0.0)
    assert kept(store) == [0, 2]


@examples(32)
@given(
    st.integers(0, 4),
    st.lists(st.tuples(st.sampled_from(["put", "delete"]), st.integers(0, 7), st.integers(0, 9)), max_size=25),
)
def test_the_store_against_a_list(room: int, steps: list[tuple[str, int, int]]) -> None:
    """At most `room` records; expiry in the order of putting, so that the oldest are also the first to expire."""
    store = MemoryStore(max_bytes=room * SIZE)
    model: list[tuple[int, float]] = []  # (number, expires at), oldest first
    now = 0.0
    for what, number, seconds in steps:
        now += seconds
        model = [one for one in model if one[0] != number]
        if what == "put":
            store.put(record(f"resp_{number}", expires_at=now + 20), now)
            model = [*model, (number, now + 20)][-room:] if room else []
        else:
            store.delete(f"resp_{number}")
        assert kept(store, now) == sorted(n for n, expires_at in model if expires_at > now)


# -- items by their ids


def with_items(response_id: str, *items: tuple[str | None, str], **members: Any) -> Record:
    """A record whose turn has these items: (id, text)."""
    said = tuple(Message(id=item_id, role="user", content=text) for item_id, text in items)
    return record(response_id, turn=Turn(response_id, None, said, ()), **members)


def found(store: MemoryStore, item_id: str, owner: str = "t", now: float = 0.0) -> Any:
    item = store.find_item(owner, item_id, now)
    assert item is None or isinstance(item, Message)
    return item.content if item is not None else None


def test_an_item_is_found_by_its_owner_only() -> None:
    store = MemoryStore(max_bytes=PLENTY)
    store.put(with_items("resp_0", (None, "x"), ("a", "A"), ("b", "B")), 0.0)
    assert (found(store, "a"), found(store, "b"), found(store, "c")) == ("A", "B", None)
    assert found(store, "a", owner="somebody else") is None
    store.put(with_items("resp_2", ("a", "theirs"), owner="somebody else"), 0.0)
    assert (found(store, "a"), found(store, "a", owner="somebody else")) == ("A", "theirs")
    answer = ANSWERS["resp_1"].turn
    assert answer is not None
    store.put(record("resp_1"), 0.0)
    assert store.find_item("t", str(answer.output[0].id), 0.0) is answer.output[0]


def test_an_item_goes_with_its_record() -> None:
    store = MemoryStore(max_bytes=PLENTY)
    store.put(with_items("resp_0", ("a", "old"), expires_at=10), 0.0)
    assert found(store, "a", now=10.0) is None
    store.put(with_items("resp_0", ("a", "old")), 20.0)
    store.put(with_items("resp_1", ("a", "new"), ("a", "newer")), 20.0)
    store.delete("resp_0")
    assert found(store, "a", now=20.0) == "newer"
    store.delete("resp_1")
    assert found(store, "a", now=20.0) is None
    assert store._homes == {}, "nothing of them is left"


def test_what_may_not_be_continued_may_not_be_referred_to() -> None:
    store = MemoryStore(max_bytes=PLENTY)
    store.put(with_items("resp_0", ("a", "A"), continuable=False), 0.0)
    store.put(record("resp_1", turn=None), 0.0)
    store.put(with_items("resp_2", ("x" * (MAX_ITEM_ID + 1), "long")), 0.0)
    assert store._homes == {}
