"""A history is stored once: a chain, its forks, and the responses of a conversation share what came before them."""

from __future__ import annotations

from array import array
from pathlib import Path

import pytest

from realtime.context.turns import Prompt, Turn
from realtime.store.records import Record
from realtime.store.sqlite.stores import Opened, open_at_once
from realtime.wire.items import Message, OutputText
from tests.support.responses import Answer

from .test_deletion import BOUNDS

QUESTION = "0123456789" * 20


def keep(opened: Opened, turn: Turn, *, conversation: bool) -> None:
    answer = Answer(turn.response_id).say("x").finish()
    if conversation:
        [there] = opened.stores.conversations._known.values()  # type: ignore[attr-defined]
        opened.stores.conversations.respond(there, turn, turn.parent, turn.output, 0)
    record = Record(
        owner="t", response=answer.response, epoch="e", turn=turn, continuable=True, expires_at=1e12, input=turn.input
    )
    opened.stores.responses.seal(record, answer.log.stored(), 0.0)


def next_turn(number: int, parent: Turn | None) -> Turn:
    """A turn whose prompt begins with that of its parent, and its answer."""
    before = parent.prompt if parent is not None else None
    text = f"{before.text if before is not None else ''}<{QUESTION}>"
    tokens = array("I", [*(before.token_ids if before is not None else ()), *range(50)])
    said = Message(role="user", content=f"{number} {QUESTION}")
    answered = Message(id=f"msg_{number}", role="assistant", content=[OutputText(text=f"{number}")])
    return Turn(f"resp_{number}", parent, (said,), (answered,), Prompt(text, tokens), array("I", [number]))


@pytest.mark.parametrize("conversation", [False, True], ids=["chain", "conversation"])
def test_what_is_stored_grows_with_what_is_said(tmp_path: Path, conversation: bool) -> None:
    opened = open_at_once(tmp_path / "store.db", BOUNDS)
    there = opened.stores.conversations.create("t", {}, 0) if conversation else None
    sizes, turn = [], None
    for number in range(60):
        turn = next_turn(number, there.turn if there is not None else turn)
        keep(opened, turn, conversation=conversation)
        sizes.append(opened.transactions.turns.num_bytes)
    assert sizes[59] - sizes[39] < 1.2 * (sizes[39] - sizes[19])
    (rows,) = opened.transactions.connection.execute("SELECT count(*) FROM turn").fetchone()
    assert rows == 60
    opened.stores.close()


def test_forks_share_what_they_continue(tmp_path: Path) -> None:
    opened = open_at_once(tmp_path / "store.db", BOUNDS)
    parent = next_turn(0, None)
    keep(opened, parent, conversation=False)
    for number in range(1, 20):
        keep(opened, next_turn(number, parent), conversation=False)
    assert opened.transactions.connection.execute("SELECT num_refs FROM turn WHERE no = 1").fetchone() == (20,)
    opened.stores.close()
