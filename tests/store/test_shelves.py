"""Lists in pages: in one order, nothing twice or left out, and bounded work however much there is."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from realtime.store.shelves import MAX_LOOKED_AT, Place, Shelves, Span
from tests.support.fuzz import examples


class Held:
    """What is there, and a count of how many were looked at."""

    def __init__(self) -> None:
        self.keys: dict[Place, list[str]] = {}
        self.num_asked = 0
        self.shelves = Shelves()

    def put(self, number: int, *keys: str) -> Place:
        place = Place(number, f"id_{number}")
        self.keys[place] = list(keys)
        self.shelves.put(place, keys)
        return place

    def take(self, place: Place) -> None:
        self.shelves.take(place, self.keys.pop(place))

    def page(self, *keys: str, wanted: Any = lambda place: True, **span: Any) -> tuple[list[int], int | None]:
        def asked(place: Place) -> bool:
            self.num_asked += 1
            assert place in self.keys, "it has left"
            return bool(wanted(place))

        places, more = self.shelves.page(keys, Span(**{"limit": 10, **span}), asked)
        return [place.begun_at for place in places], more.begun_at if more is not None else None


STEPS = st.lists(
    st.tuples(st.just("put"), st.integers(0, 40), st.sets(st.sampled_from("ab"), min_size=1))
    | st.tuples(st.just("take"), st.integers(0, 40), st.just(set())),
    max_size=60,
)


@examples(80)
@given(STEPS, st.integers(1, 4), st.booleans(), st.sampled_from(["a", "b"]))
def test_the_pages_of_a_shelf_are_what_is_on_it(steps: Any, limit: int, newest_first: bool, key: str) -> None:
    held, model = Held(), {}
    for what, number, keys in steps:
        if what == "put" and number not in model:
            model[number] = keys
            held.put(number, *sorted(keys))
        elif what == "take" and number in model:
            del model[number]
            held.take(Place(number, f"id_{number}"))
    expected = sorted((n for n, keys in model.items() if key in keys), reverse=newest_first)
    found: list[int] = []
    after: Place | None = None
    while True:
        numbers, more = held.page(key, limit=limit, after=after, newest_first=newest_first)
        found += numbers
        if more is None:
            break
        after = Place(more, f"id_{more}")
    assert found == expected
    assert len(held.shelves) == len({key for keys in model.values() for key in keys})


@examples(60)
@given(st.lists(st.integers(0, 1000), unique=True, max_size=60), st.data())
def test_what_comes_and_goes_meanwhile_neither_repeats_nor_hides_what_was_there(
    numbers: list[int], data: st.DataObject
) -> None:
    """Pages turned while others begin, newest first, and end: the order of the rest does not change."""
    held = Held()
    places = [held.put(number, "a") for number in numbers]
    newest = 1001
    found: list[int] = []
    gone: set[int] = set()
    after: Place | None = None
    while True:
        page, more = held.page("a", limit=3, after=after)
        found += page
        if more is None:
            break
        after = Place(more, f"id_{more}")
        held.put(newest, "a")
        newest += 1
        left = [one for one in places if one in held.keys]
        ends: bool = data.draw(st.booleans())
        if left and ends:
            place: Place = data.draw(st.sampled_from(left))
            held.take(place)
            gone.add(place.begun_at)
    assert found == sorted(found, reverse=True)
    assert len(found) == len(set(found))
    assert set(numbers) - gone <= set(found) <= set(numbers)


def test_a_page_looks_at_a_bounded_number_however_much_there_is() -> None:
    held = Held()
    for number in range(100_000):
        held.put(number, "a")
    held.num_asked = 0
    assert held.page("a", limit=3) == ([99_999, 99_998, 99_997], 99_997)
    assert held.num_asked <= 3
    held.num_asked = 0
    assert held.page("a", wanted=lambda place: place.begun_at == 7) == ([], 100_000 - MAX_LOOKED_AT)
    assert held.num_asked <= MAX_LOOKED_AT
    after, turns = None, 0
    while True:
        found, more = held.page("a", wanted=lambda place: place.begun_at == 7, after=after)
        turns += 1
        if found or more is None:
            break
        after = Place(more, f"id_{more}")
    assert found == [7]
    assert turns == 100_000 // MAX_LOOKED_AT


def test_the_shortest_shelf_is_looked_at() -> None:
    held = Held()
    for number in range(5000):
        held.put(number, "a", *(["b"] if number == 7 else []))
    held.num_asked = 0
    assert held.page("a", "b") == ([7], None)
    assert held.num_asked == 1
    assert held.page("a", "c") == ([], None)


def test_what_has_left_is_cleared_away() -> None:
    held = Held()
    places = [held.put(number, "a") for number in range(10_000)]
    for place in places[:-1]:
        held.take(place)
    (shelf,) = held.shelves._shelves.values()
    assert len(shelf.places) < 100
    assert held.page("a") == ([9999], None)
    held.put(places[0].begun_at, "a")
    assert held.page("a") == ([9999, 0], None)


def test_what_comes_back_is_there_once() -> None:
    """A record that is replaced leaves its shelves and comes back to its place, also to fewer of them."""
    held = Held()
    for number in (1, 2):
        held.put(number, "a", "b")
    held.take(Place(1, "id_1"))
    held.put(1, "a")
    assert held.page("a") == ([2, 1], None)
    assert held.page("b") == ([2], None)
