"""History: continued and forked without copying, never changed by what comes after (H1, H9)."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from realtime.context.turns import Turn, history
from realtime.dialects.messages import to_messages
from realtime.wire.items import InputItem, Message, OutputText
from tests.support.fuzz import examples


def said(text: str) -> Message:
    return Message(role="user", content=text)


def answered(text: str) -> Message:
    return Message(id=f"msg_{text}", status="completed", role="assistant", content=[OutputText(text=text)])


def turn(name: str, parent: Turn | None = None) -> Turn:
    return Turn(name, parent, (said(f"{name}?"),), (answered(f"{name}!"),))


def snapshot(value: Turn) -> bytes:
    """Every byte of it, tokens included."""
    return msgspec.msgpack.encode(value, enc_hook=list)


def texts(items: list[InputItem]) -> list[str]:
    return [message["content"] for message in to_messages(None, items)]


def test_a_history_is_everything_that_was_said_oldest_first() -> None:
    third = turn("c", turn("b", turn("a")))
    assert texts(history(third, [said("now")])) == ["a?", "a!", "b?", "b!", "c?", "c!", "now"]
    assert texts(history(None, [said("now")])) == ["now"]


def test_hundreds_of_forks_do_not_see_each_other_and_leave_the_parent_as_it_was() -> None:
    root = turn("root")
    parent = turn("parent", root)
    before = snapshot(parent)
    forks = [turn(f"fork {n}", parent) for n in range(300)]
    for n, fork in enumerate(forks):
        assert texts(history(fork, [said("x")])) == [
            "root?",
            "root!",
            "parent?",
            "parent!",
            f"fork {n}?",
            f"fork {n}!",
            "x",
        ]
        grandchild = turn(f"grandchild {n}", fork)
        assert texts(grandchild.items())[-3:] == [f"fork {n}!", f"grandchild {n}?", f"grandchild {n}!"]
    assert snapshot(parent) == before
    assert all(fork.parent is parent for fork in forks), "shared, not copied"


def test_what_a_caller_does_to_a_history_stays_with_the_caller() -> None:
    """The bug of H1: the stored list was the one that the next turn appended to."""
    parent = turn("parent")
    before = snapshot(parent)
    request: list[InputItem] = [said("x")]
    for items in (parent.items(), history(parent, request), history(None, request)):
        items.append(said("intruder"))
        items.reverse()
    assert snapshot(parent) == before
    assert texts(history(parent, request)) == ["parent?", "parent!", "x"]


def test_rendering_changes_nothing() -> None:
    parent = turn("parent")
    before = snapshot(parent)
    to_messages("be kind", history(parent, [said("x")]))
    assert snapshot(parent) == before


def test_instructions_are_not_inherited() -> None:
    roles = [message["role"] for message in to_messages(None, turn("a").items())]
    assert roles == ["user", "assistant"]


def test_a_long_conversation_is_no_deeper_than_a_short_one() -> None:
    """A chain of turns is walked and freed without recursion."""
    last: Turn | None = None
    for n in range(20_000):
        last = Turn(str(n), last, (), ())
    assert last is not None
    assert last.items() == []


@examples(50)
@given(st.lists(st.integers(0, 10), max_size=30))
def test_any_tree_of_turns(parents: list[int]) -> None:
    """Each new turn continues any earlier one; each history is the path from the root."""
    turns, paths = [turn("0")], [["0?", "0!"]]
    for number, choice in enumerate(parents, 1):
        at = choice % len(turns)
        turns.append(turn(str(number), turns[at]))
        paths.append([*paths[at], f"{number}?", f"{number}!"])
    assert [texts(one.items()) for one in turns] == paths
