"""What is kept of finished responses, in memory and in a file: for a time, up to a size, the newest longest."""

from __future__ import annotations

from array import array
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.context.turns import Turn
from realtime.engine.base import TokenChunk
from realtime.store.base import Claim, ResponseStore
from realtime.store.records import MAX_ITEM_ID, Filter, Head, Record
from realtime.store.shelves import Place, Span
from realtime.wire.items import Message
from realtime.wire.requests import ConversationRef, ResponseCreate
from tests.support.at_once import at_once
from tests.support.fuzz import examples
from tests.support.responses import PLENTY, Answer, make_response
from tests.support.stores import KINDS, Made, Maker, makers, only_long

ANSWERS = {f"resp_{n}": Answer(f"resp_{n}").say("x" * 50).finish() for n in range(8)}
SIZE = ANSWERS["resp_0"].log.num_bytes
make = makers(*KINDS)


def record(response_id: str, *, expires_at: float = 100.0, **members: Any) -> Record:
    answer = ANSWERS[response_id]
    defaults = {"owner": "t", "response": answer.response, "epoch": "e", "turn": answer.turn, "continuable": True}
    return Record(**{**defaults, **members}, expires_at=expires_at)


def put(store: ResponseStore, one: Record, now: float) -> None:
    store.seal(one, ANSWERS[one.response_id].log.stored(), now)


def room_for(make: Maker, number: int) -> Made:
    """Stores that have room for so many records. Room is made when something is committed."""
    if make.kind.endswith("late"):
        pytest.skip("nothing is committed, so there is no room to be made")
    measuring = make()
    put(measuring.responses, record("resp_0"), 0.0)
    size = measuring.num_bytes or SIZE
    return make(int((number + 0.5) * size))


def sweep(made: Made, now: float) -> float | None:
    """Drop what has expired, and have it written. Return when the next one will."""
    made.responses.sweep(now)
    made.flush()
    return made.responses.sweep(now)


def kept(store: ResponseStore, now: float = 0.0) -> list[int]:
    return [n for n in range(8) if at_once(store.get(f"resp_{n}", now)) is not None]


def test_what_was_put_can_be_got(make: Maker) -> None:
    store, one = make().responses, record("resp_0")
    put(store, one, 0.0)
    assert at_once(store.get("resp_0", 0.0)) == one
    assert at_once(store.get("resp_1", 0.0)) is None


@pytest.mark.parametrize(("now", "there"), [(0.0, True), (99.9, True), (100.0, False), (1e9, False)])
def test_a_record_lives_until_it_expires(make: Maker, now: float, there: bool) -> None:
    store = make().responses
    put(store, record("resp_0"), 0.0)
    assert (at_once(store.get("resp_0", now)) is not None) == there


def test_a_record_that_expires_early_is_gone_although_an_older_one_stays(make: Maker) -> None:
    store = make().responses
    put(store, record("resp_0", expires_at=100), 0.0)
    put(store, record("resp_1", expires_at=10), 0.0)
    assert kept(store, 50) == [0]


def test_the_oldest_go_first_when_there_is_no_room(make: Maker) -> None:
    store = room_for(make, 3).responses
    for n in range(5):
        put(store, record(f"resp_{n}"), 0.0)
    assert kept(store) == [2, 3, 4]


def test_expired_records_make_room_before_living_ones(make: Maker) -> None:
    store = room_for(make, 3).responses
    put(store, record("resp_0", expires_at=10), 0.0)
    for n in (1, 2, 3):
        put(store, record(f"resp_{n}"), 20.0)
    assert kept(store, 20.0) == [1, 2, 3]


def test_what_is_larger_than_the_store_is_not_kept_and_the_store_goes_on(make: Maker) -> None:
    store = room_for(make, 0).responses
    put(store, record("resp_0"), 0.0)
    assert kept(store) == []
    roomy = room_for(make, 2).responses
    for response_id in ("resp_0", "resp_0", "resp_0", "resp_1"):  # put again: counted once
        put(roomy, record(response_id), 0.0)
    assert kept(roomy) == [0, 1]


def test_a_deleted_record_is_gone_and_its_room_is_free(make: Maker) -> None:
    store = room_for(make, 2).responses
    for n in (0, 1):
        put(store, record(f"resp_{n}"), 0.0)
    store.delete("resp_1")
    store.delete("resp_1")
    store.delete("unknown")
    put(store, record("resp_2"), 0.0)
    assert kept(store) == [0, 2]


@examples(32)
@given(
    st.integers(0, 4),
    st.lists(st.tuples(st.sampled_from(["put", "delete"]), st.integers(0, 7), st.integers(0, 9)), max_size=25),
)
def test_the_store_against_a_list(make: Maker, room: int, steps: list[tuple[str, int, int]]) -> None:
    """At most `room` records; expiry in the order of putting, so that the oldest are also the first to expire."""
    only_long(make)
    store = room_for(make, room).responses
    model: list[tuple[int, float]] = []  # (number, expires at), oldest first
    now = 0.0
    for what, number, seconds in steps:
        now += seconds
        model = [one for one in model if one[0] != number]
        if what == "put":
            put(store, record(f"resp_{number}", expires_at=now + 20), now)
            model = [*model, (number, now + 20)][-room:] if room else []
        else:
            store.delete(f"resp_{number}")
        assert kept(store, now) == sorted(n for n, expires_at in model if expires_at > now)


# -- expiry without visitors


def test_a_record_that_is_kept_again_expires_by_its_newest_time(make: Maker) -> None:
    made = make()
    store = made.responses
    put(store, record("resp_0", expires_at=10), 0.0)
    put(store, record("resp_1", expires_at=40), 0.0)
    put(store, record("resp_0", expires_at=50), 0.0)
    store.replace(record("resp_1", expires_at=20), 0.0)
    assert sweep(made, 10.0) == 20.0
    assert (sweep(made, 20.0), kept(store, 20.0)) == (50.0, [0])
    assert (sweep(made, 50.0), kept(store, 0.0)) == (None, []), "it is gone, whatever the time"


# -- items by their ids


def with_items(response_id: str, *items: tuple[str | None, str], **members: Any) -> Record:
    """A record whose turn has these items: (id, text)."""
    said = tuple(Message(id=item_id, role="user", content=text) for item_id, text in items)
    return record(response_id, turn=Turn(response_id, None, said, ()), **members)


def found(store: ResponseStore, item_id: str, owner: str = "t", now: float = 0.0) -> Any:
    item = at_once(store.find_item(owner, item_id, now))
    assert item is None or isinstance(item, Message)
    return item.content if item is not None else None


def test_an_item_is_found_by_its_owner_only(make: Maker) -> None:
    store = make().responses
    put(store, with_items("resp_0", (None, "x"), ("a", "A"), ("b", "B")), 0.0)
    assert (found(store, "a"), found(store, "b"), found(store, "c")) == ("A", "B", None)
    assert found(store, "a", owner="somebody else") is None
    put(store, with_items("resp_2", ("a", "theirs"), owner="somebody else"), 0.0)
    assert (found(store, "a"), found(store, "a", owner="somebody else")) == ("A", "theirs")
    answer = ANSWERS["resp_1"].turn
    assert answer is not None
    put(store, record("resp_1"), 0.0)
    assert at_once(store.find_item("t", str(answer.output[0].id), 0.0)) == answer.output[0]


def test_an_item_goes_with_its_record(make: Maker) -> None:
    store = make().responses
    put(store, with_items("resp_0", ("a", "old"), expires_at=10), 0.0)
    assert found(store, "a", now=10.0) is None
    put(store, with_items("resp_0", ("a", "old")), 20.0)
    put(store, with_items("resp_1", ("a", "new"), ("a", "newer")), 20.0)
    store.delete("resp_0")
    assert found(store, "a", now=20.0) == "newer"
    store.delete("resp_1")
    assert found(store, "a", now=20.0) is None


def test_what_may_not_be_continued_may_not_be_referred_to(make: Maker) -> None:
    store = make().responses
    put(store, with_items("resp_0", ("a", "A"), continuable=False), 0.0)
    put(store, record("resp_1", turn=None), 0.0)
    put(store, with_items("resp_2", ("x" * (MAX_ITEM_ID + 1), "long")), 0.0)
    assert [found(store, item_id) for item_id in ("a", "x" * (MAX_ITEM_ID + 1))] == [None, None]


# -- journals, logs, replacing


def test_a_running_response_is_durable_up_to_what_was_appended_and_committed(make: Maker) -> None:
    made = make()
    store = made.responses
    head = Head(response_id="resp_0", owner="t", epoch="e", stream_id=None, request=ResponseCreate())
    store.open(head)
    assert store.durable("resp_0") == 0
    store.append("resp_0", 0, [b"a", b"b"])
    store.append("resp_0", 2, [b"c"], TokenChunk("c", array("I", [7])))
    assert store.durable("resp_0") == (0 if make.kind.endswith("late") else 3)
    made.flush()
    assert store.durable("resp_0") == 3
    put(store, record("resp_0"), 0.0)
    store.open(head)
    store.delete("resp_0")
    store.append("resp_0", 0, [b"a"])  # by a run that does not know yet
    made.flush()
    assert store.durable("resp_0") == 0
    assert at_once(store.get("resp_0", 0.0)) is None


def test_a_kept_log_is_read_to_the_byte(make: Maker) -> None:
    store = make().responses
    put(store, record("resp_0", expires_at=10.0), 0.0)
    log = at_once(store.read("resp_0", 0.0))
    assert log is not None
    assert log.read(0, PLENTY) == ANSWERS["resp_0"].log.read(0, PLENTY)
    assert at_once(store.read("resp_0", 10.0)) is None
    assert at_once(store.read("resp_1", 0.0)) is None


def test_a_replaced_record_keeps_its_log_and_its_age(make: Maker) -> None:
    store = room_for(make, 3).responses
    for n in range(3):
        put(store, with_items(f"resp_{n}", (f"item_{n}", "old")), 0.0)
    store.replace(with_items("resp_0", ("item_new", "new")), 0.0)
    store.replace(record("resp_7"), 0.0)  # there is none: nothing comes of it
    assert (found(store, "item_0"), found(store, "item_new"), kept(store)) == (None, "new", [0, 1, 2])
    put(store, record("resp_3"), 0.0)
    assert kept(store) == [1, 2, 3]


# -- lists


def place(n: int) -> Place:
    return Place(n, f"resp_{n}")


def listed(store: ResponseStore, *, now: float = 0.0, limit: int = 10, newest_first: bool = True, **wanted: Any) -> Any:
    after = wanted.pop("after", None)
    span = Span(after=None if after is None else place(after), limit=limit, newest_first=newest_first)
    records, _ = at_once(store.list(Filter(**{"owner": "t", **wanted}), span, now))
    return [int(one.response_id.removeprefix("resp_")) for one in records]


def test_a_list_has_the_owners_records_in_the_order_in_which_they_began(make: Maker) -> None:
    store = make().responses
    kept: list[dict[str, Any]] = [{}, {"owner": "u"}, {"continuable": False}, {}, {"expires_at": 5.0}]
    for n in (3, 0, 4, 1, 2):  # who begins first may end last
        put(store, record(f"resp_{n}", begun_at=n, **kept[n]), 0.0)
    assert listed(store) == [4, 3, 0]
    assert listed(store, newest_first=False) == [0, 3, 4]
    assert listed(store, limit=1) == [4]
    assert (listed(store, after=4), listed(store, after=1), listed(store, after=0)) == ([3, 0], [0], [])
    assert listed(store, after=1, newest_first=False) == [3, 4]
    assert listed(store, owner="u") == [1]
    assert listed(store, owner="nobody") == []
    assert listed(store, now=5.0) == [3, 0]
    store.delete("resp_3")
    assert listed(store, now=5.0) == [0]
    store.delete("resp_0")
    assert listed(store, now=5.0) == []


def test_a_list_may_be_of_a_status_of_metadata_or_of_a_conversation(make: Maker) -> None:
    store = make().responses
    kept: list[dict[str, Any]] = [
        {"metadata": {"a": "1"}}, {"metadata": {"a": "2", "b": "1"}},
        {"status": "failed", "conversation": ConversationRef(id="conv_1")},
    ]  # fmt: skip
    for n, members in enumerate(kept):
        changed: dict[str, Any] = {"status": "completed", **members}
        response = make_response(f"resp_{n}", **changed)
        put(store, record(f"resp_{n}", response=response, begun_at=n), 0.0)
    assert listed(store, status="completed") == [1, 0]
    assert listed(store, metadata=(("a", "2"),)) == [1]
    assert listed(store, metadata=(("a", "2"), ("b", "2"))) == []
    assert listed(store, metadata=(("a", "2"), ("b", "1"))) == [1]
    assert listed(store, conversation="conv_1") == [2]
    assert listed(store, conversation="conv_2") == []
    other = make_response("resp_1", metadata={"a": "3"})
    store.replace(record("resp_1", response=other, begun_at=1), 0.0)
    assert (listed(store, metadata=(("a", "2"),)), listed(store, metadata=(("a", "3"),))) == ([], [1])


# -- requests


def test_a_request_is_claimed_once(make: Maker) -> None:
    requests = make().requests
    mine, theirs = Claim("resp_0", b"x"), Claim("resp_1", b"x")
    assert at_once(requests.claim("t", "r", mine, None)) is None
    assert at_once(requests.claim("t", "r", theirs, None)) == mine, "somebody was faster"
    assert at_once(requests.claim("u", "r", theirs, None)) is None, "another tenant's is another one"
    assert at_once(requests.find("t", "r")) == mine


def test_a_newer_try_takes_the_place_of_one_that_came_to_nothing(make: Maker) -> None:
    requests = make().requests
    first, second, third = (Claim(f"resp_{n}", b"x") for n in range(3))
    at_once(requests.claim("t", "r", first, None))
    assert at_once(requests.claim("t", "r", second, first)) is None
    assert at_once(requests.claim("t", "r", third, first)) == second, "only what was looked at is replaced"
    requests.forget("resp_0")
    assert at_once(requests.find("t", "r")) == second, "the end of the first try is nothing to the second"


def test_a_claim_goes_with_its_response(make: Maker) -> None:
    requests = make().requests
    at_once(requests.claim("t", "r", Claim("resp_0", b"x"), None))
    requests.release("u", "r", "resp_0")
    assert at_once(requests.find("t", "r")) is not None
    requests.release("t", "r", "resp_0")
    assert at_once(requests.find("t", "r")) is None
    at_once(requests.claim("t", "r", Claim("resp_0", b"x"), None))
    requests.forget("resp_0")
    requests.forget("resp_0")
    assert at_once(requests.find("t", "r")) is None
