"""What is deleted is gone from the file, byte by byte: from the journal and from the log beside the file too."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from realtime.context.turns import Turn
from realtime.engine.base import TokenChunk
from realtime.settings.fields import ResponseSettings, StoreSettings
from realtime.store.packed.packing import unpack
from realtime.store.records import Head, Record
from realtime.store.sqlite.maintenance import delete_tenant
from realtime.store.sqlite.stores import Opened, bounds_of, open_stores
from realtime.wire.items import Message
from realtime.wire.requests import ResponseCreate
from tests.support.responses import Answer
from tests.support.steps import until

BOUNDS = bounds_of(ResponseSettings())


def begin(opened: Opened, name: str, owner: str = "t") -> Answer:
    """A response that runs and has said its name, which is in its request too."""
    request = ResponseCreate(items=[Message(role="user", content=name)])
    answer = Answer(f"resp_{name}", request=request).say(name)
    head = Head(response_id=answer.response_id, owner=owner, epoch="e", stream_id=None, request=request)
    opened.stores.responses.open(head)
    opened.stores.responses.append(answer.response_id, 0, answer.written, TokenChunk("", [1]))
    return answer


def end(opened: Opened, answer: Answer, owner: str = "t", parent: Turn | None = None) -> Turn:
    answer.finish()
    turn = Turn(answer.response_id, parent, answer.input, tuple(answer.response.output))
    record = Record(
        owner=owner,
        response=answer.response,
        epoch="e",
        turn=turn,
        continuable=True,
        expires_at=1e12,
        input=answer.input,
    )
    opened.stores.responses.seal(record, answer.log.stored(), 0.0)
    return turn


async def committed(opened: Opened) -> None:
    await until(lambda: opened.commits.settled, "everything is committed")


def content(path: Path) -> bytes:
    """All bytes of the file and of what is beside it, and all blobs that can be found in them, unpacked."""
    raw = b"".join(one.read_bytes() for one in path.parent.iterdir())
    found = [raw, *_inflated(raw)]
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            values = itertools.chain.from_iterable(db.execute(f"SELECT * FROM {table}"))
            found += [unpack(value) for value in values if isinstance(value, bytes) and value[:1] in (b"\0", b"\1")]
    return b"\n".join(found)


def _inflated(raw: bytes) -> list[bytes]:
    """What begins like a compressed blob anywhere, as far as it goes: also in pages that nobody uses any more."""
    import zlib

    found, at = [], raw.find(b"\x78\x01")
    while at >= 0:
        with contextlib.suppress(zlib.error):
            found.append(zlib.decompressobj().decompress(raw[at : at + 4096]))
        at = raw.find(b"\x78\x01", at + 1)
    return found


@contextlib.asynccontextmanager
async def opened_at(path: Path, **more: Any) -> Any:
    opened = open_stores(path, BOUNDS, StoreSettings(store_flush_ms=1))
    opened.writer._checkpoint_seconds = 0.01  # type: ignore[union-attr]
    try:
        yield opened
    finally:
        await asyncio.to_thread(lambda: None)
        opened.stores.close()


@pytest.mark.parametrize("over", [True, False], ids=["finished", "running"])
async def test_nothing_is_left_of_a_response_while_others_keep_the_journal(tmp_path: Path, over: bool) -> None:
    path = tmp_path / "store.db"
    async with opened_at(path) as opened:
        begin(opened, "bystander-0")
        answer = begin(opened, "s3cret-answer-" + "x" * 200)
        await committed(opened)
        if over:
            end(opened, answer)
            await committed(opened)
        begin(opened, "bystander-1")
        await committed(opened)
        assert b"s3cret-answer" in content(path), "the test can find it"
        opened.stores.responses.delete(answer.response_id)
        await until(lambda: opened.commits.settled and not path.with_name("store.db-wal").stat().st_size, "emptied")
        left = content(path)
        assert b"s3cret-answer" not in left
        assert b"bystander-0" in left
        assert b"bystander-1" in left


async def test_what_goes_on_after_it_keeps_its_own_history(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with opened_at(path) as opened:
        first = end(opened, begin(opened, "s3cret-first"))
        second = end(opened, begin(opened, "second"), parent=first)
        await committed(opened)
        opened.stores.responses.delete("resp_s3cret-first")
        await committed(opened)
    async with opened_at(path) as opened:
        assert await opened.stores.responses.get("resp_s3cret-first", 0.0) is None
        kept = await opened.stores.responses.get("resp_second", 0.0)
        assert kept is not None
        assert kept.turn is not None
        assert kept.turn.items() == second.items()
        opened.stores.responses.delete("resp_second")
        await until(lambda: opened.commits.settled and not path.with_name("store.db-wal").stat().st_size, "emptied")
        assert b"s3cret" not in content(path), "with the last that goes on after it, it is gone"
        assert opened.transactions.turns.num_bytes == 0


async def test_a_conversation_is_gone_with_its_items(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with opened_at(path) as opened:
        conversations = opened.stores.conversations
        conversation = conversations.create("t", {"topic": "s3cret-topic"}, 0)
        items = [Message(role="user", content=f"s3cret-item-{n}") for n in range(2)]
        ids = conversations.post(conversation, items, items, 0)
        await committed(opened)
        conversations.remove(conversation, ids[0])
        await until(lambda: opened.commits.settled and not path.with_name("store.db-wal").stat().st_size, "emptied")
        assert b"s3cret-item-0" not in content(path)
        assert b"s3cret-item-1" in content(path)
        conversations.delete(conversation)
        await until(lambda: opened.commits.settled and not path.with_name("store.db-wal").stat().st_size, "emptied")
        assert b"s3cret" not in content(path)


async def test_all_of_a_tenant_can_be_deleted(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with opened_at(path) as opened:
        end(opened, begin(opened, "s3cret-of-a", "a"), "a")
        end(opened, begin(opened, "of-b", "b"), "b")
        begin(opened, "s3cret-running", "a")
        opened.stores.conversations.create("a", {"topic": "s3cret"}, 0)
        await committed(opened)
    assert delete_tenant(path, "a") == (2, 1)
    left = content(path)
    assert b"s3cret" not in left
    assert b"of-b" in left
