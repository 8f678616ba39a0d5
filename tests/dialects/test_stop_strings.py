"""Stop strings: in text only, wherever chunks are cut, and with the log probabilities of what precedes them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from realtime.dialects.base import BlockEnd, CallBegin, CallDelta, CallEnd, Piece, ReasoningDelta, TextDelta
from realtime.dialects.stop_strings import StopStrings


def through(stop: Sequence[str], *chunks: Sequence[Piece]) -> tuple[list[Piece], str | None]:
    """What comes of these pieces, and the stop string that was found."""
    stops = StopStrings(stop)
    out = [piece for chunk in chunks for piece in stops.feed(chunk)]
    return [*out, *stops.close(())], stops.found


def joined(pieces: Sequence[Piece]) -> str:
    return "".join(piece.text for piece in pieces if isinstance(piece, TextDelta))


def test_a_request_without_stop_strings_has_nobody_to_look_for_them() -> None:
    assert [StopStrings.of(none) for none in (None, [], "", [""])] == [None] * 4
    for stop in ("x", ["y", "x"]):
        stops = StopStrings.of(stop)
        assert stops is not None
        assert stops.feed([TextDelta("axb")]) == [TextDelta("a")]


def test_nothing_behind_a_stop_string_counts() -> None:
    call = [CallBegin("f"), CallDelta("{}"), CallEnd()]
    assert through(["END"], [TextDelta("abEND cd"), *call], call) == ([TextDelta("ab")], "END")


def test_reasoning_and_calls_are_no_text() -> None:
    said = [ReasoningDelta("END"), CallBegin("f"), CallDelta('{"a": "END"}'), CallEnd()]
    assert through(["END"], said) == (said, None)


def test_a_stop_string_is_not_found_across_items() -> None:
    said: list[Piece] = [TextDelta("E"), BlockEnd(), TextDelta("ND")]
    assert through(["END"], said[:1], said[1:]) == (said, None)


def test_what_might_have_become_one_is_text() -> None:
    assert through(["END", "dE"], [TextDelta("abEN")], [TextDelta("D")])[1] == "END"
    assert joined(through(["END"], [TextDelta("abEN")], [TextDelta("d")])[0]) == "abENd"
    assert joined(through(["END"], [TextDelta("abEN")])[0]) == "abEN"


@given(st.text("ab", max_size=12), st.lists(st.text("ab", min_size=1, max_size=4), min_size=1, max_size=3), st.data())
def test_the_text_ends_at_the_first_however_it_comes(text: str, stop: list[str], data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)))) | {0, len(text)})
    chunks = [[TextDelta(text[at:end])] for at, end in pairwise(cuts)]
    got, found = through(stop, *chunks)
    at = min((text.find(one) for one in stop if one in text), default=len(text))
    assert joined(got) == text[:at]
    assert (found is not None) == any(one in text for one in stop)


def test_log_probabilities_end_where_the_text_does() -> None:
    def tokens(*texts: str) -> list[dict[str, Any]]:
        return [{"token": text} for text in texts]

    got, _ = through(["ND x"], [TextDelta("a E", tokens("a", " E"))], [TextDelta("ND xy", tokens("ND", " xy"))])
    assert joined(got) == "a E"
    assert [one for piece in got if isinstance(piece, TextDelta) for one in piece.logprobs] == tokens("a", " E")


def test_long_stop_strings_cost_no_more_than_short_ones() -> None:
    stop = ["a" * 1023 + end for end in "bcdefghijklmnopq"]  # as long and as many as are accepted
    said = ["aaaa"] * 5000
    pieces, found = through(stop, *([TextDelta(one)] for one in said), [TextDelta("q")])
    assert found == stop[-1]
    assert joined(pieces) == "a" * (4 * 5000 - 1023)
