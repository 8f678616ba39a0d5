"""What is remembered is bounded, for all and for each group, and no group shows what another has."""

from __future__ import annotations

from realtime.engine.recent_texts import RecentTexts


def test_groups_have_their_own() -> None:
    texts = RecentTexts(100, 50)
    texts.put("ada", b"key", "text")
    assert texts.get("ada", b"key") == "text"
    assert texts.get("eve", b"key") is None
    assert texts.get(None, b"key") is None


def test_a_group_that_is_full_loses_what_it_used_least_lately() -> None:
    texts = RecentTexts(100, 10)
    for key in (b"a", b"b"):
        texts.put("ada", key, "x" * 5)
    assert texts.get("ada", b"a")
    texts.put("ada", b"c", "x" * 5)
    assert [texts.get("ada", key) is not None for key in (b"a", b"b", b"c")] == [True, False, True]
    texts.put("ada", b"d", "x" * 11)
    assert (texts.get("ada", b"d"), texts.num_chars) == (None, 10), "larger than all that a group may have"


def test_all_groups_together_have_a_bound() -> None:
    texts = RecentTexts(20, 10)
    for group in ("ada", "bob", None):
        texts.put(group, b"1", "x" * 8)
    assert (texts.get("ada", b"1"), texts.num_chars) == (None, 16)
    assert texts.get("bob", b"1")
    texts.put("eve", b"1", "x" * 8)
    assert texts.get("bob", b"1"), "it was used later than the other"


def test_a_text_counts_once() -> None:
    texts = RecentTexts(20, 10)
    for _ in range(5):
        texts.put("ada", b"1", "x" * 8)
    assert texts.num_chars == 8
