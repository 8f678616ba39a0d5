"""What a store in memory counts, forgets and leaves behind."""

from __future__ import annotations

from realtime.context.turns import Turn
from realtime.store.base import Claim
from realtime.store.memory.requests import MemoryRequests
from realtime.store.memory.responses import MemoryResponses
from realtime.store.records import Head
from realtime.wire.items import InputImage, Message
from realtime.wire.requests import ResponseCreate
from tests.support.at_once import at_once
from tests.support.responses import PLENTY, make_response

from .test_responses import SIZE, kept, put, record, with_items


def test_a_sweep_drops_what_has_expired_and_says_when_the_next_one_will() -> None:
    gone: list[str] = []
    store = MemoryResponses(max_bytes=PLENTY, on_gone=gone.append)
    for n, expires_at in enumerate((600.0, 30.0, 30.0, 45.0)):
        put(store, record(f"resp_{n}", expires_at=expires_at), 0.0)
    assert (store.sweep(29.9), gone) == (30.0, [])
    assert (store.sweep(30.0), gone) == (45.0, ["resp_1", "resp_2"])
    assert (store.sweep(100.0), gone) == (600.0, ["resp_1", "resp_2", "resp_3"])
    assert (store.sweep(600.0), list(store._kept), store._num_bytes) == (None, [], 0)


def test_what_is_gone_early_is_not_waited_for() -> None:
    store = MemoryResponses(max_bytes=PLENTY)
    put(store, record("resp_0", expires_at=10), 0.0)
    store.delete("resp_0")
    assert store.sweep(0.0) is None


def test_expiry_times_of_what_is_gone_do_not_pile_up() -> None:
    store = MemoryResponses(max_bytes=SIZE)
    for n in range(1000):
        put(store, record(f"resp_{n % 8}"), 0.0)
    assert len(store._expiries) < 200


def test_the_input_of_a_failed_response_is_counted() -> None:
    store = MemoryResponses(max_bytes=3_000_000)
    for n in range(8):
        put(store, record(f"resp_{n}", turn=None, input=(Message(role="user", content="x" * 900_000),)), 0.0)
    assert kept(store) == [5, 6, 7]
    for n in range(8):
        store.delete(f"resp_{n}")
    assert store._num_bytes == 0


def test_an_input_is_counted_once_whether_or_not_it_has_come_to_a_turn() -> None:
    items = (Message(role="user", content="x" * 900_000),)
    for turn in (None, Turn("resp_0", None, items, ())):
        store = MemoryResponses(max_bytes=PLENTY)
        put(store, record("resp_0", turn=turn, input=items), 0.0)
        assert 900_000 < store._num_bytes < 910_000


def test_instructions_are_counted() -> None:
    store, response = MemoryResponses(max_bytes=PLENTY), make_response("resp_0", instructions="x" * 900_000)
    put(store, record("resp_0", response=response), 0.0)
    assert store._num_bytes > 900_000


def test_images_are_counted_once() -> None:
    url = "data:image/png;base64," + "A" * 900_000
    items = (Message(role="user", content=[InputImage(image_url=url)]),)
    for turn in (None, Turn("resp_0", None, items, ())):
        store = MemoryResponses(max_bytes=PLENTY)
        put(store, record("resp_0", turn=turn, input=items), 0.0)
        assert 900_000 < store._num_bytes < 910_000


def test_many_small_items_are_more_than_their_texts() -> None:
    store = MemoryResponses(max_bytes=PLENTY)
    put(store, record("resp_0", turn=None, input=(Message(role="user", content=""),) * 10_000), 0.0)
    assert store._num_bytes > 1_000_000


def test_whoever_wants_to_know_is_told_what_is_gone() -> None:
    gone: list[str] = []
    store = MemoryResponses(max_bytes=2 * SIZE, on_gone=gone.append)
    for n in range(3):
        put(store, record(f"resp_{n}", expires_at=10.0 + n), 0.0)
    store.delete("unknown")
    store.delete("resp_2")
    assert gone == ["resp_0", "resp_2"]
    assert kept(store, 11.0) == []
    assert gone == ["resp_0", "resp_2", "resp_1"]


def test_labels_count_in_what_is_held() -> None:
    store = MemoryResponses(max_bytes=PLENTY)
    put(store, record("resp_0"), 0.0)
    plain = store._num_bytes
    labelled = make_response("resp_1", metadata={f"key {n}": "x" * 512 for n in range(16)})
    put(store, record("resp_1", response=labelled), 0.0)
    assert store._num_bytes - 2 * plain >= 16 * 512


def test_nothing_is_left_of_what_was_deleted() -> None:
    store, requests = MemoryResponses(max_bytes=PLENTY), MemoryRequests()
    head = Head(response_id="resp_0", owner="t", epoch="e", stream_id=None, request=ResponseCreate())
    store.open(head)
    put(store, with_items("resp_0", ("a", "A")), 0.0)
    put(store, with_items("resp_1", ("a", "A"), continuable=False), 0.0)
    for response_id in ("resp_0", "resp_1"):
        store.delete(response_id)
        at_once(requests.claim("t", "r", Claim(response_id, b"x"), None))
        requests.forget(response_id)
    assert (store._homes, store._tips, len(store._shelves), store._num_bytes) == ({}, {}, 0, 0)
    assert (requests._claims, requests._keys) == ({}, {})
