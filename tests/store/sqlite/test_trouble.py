"""A disk that is full, a file that can't be written: nothing is lost, new work is refused, it recovers by itself."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from realtime.engine.base import TokenChunk
from realtime.engine.scripted import say
from realtime.settings.fields import ResponseSettings, StoreSettings
from realtime.store.sqlite import writer as writing
from realtime.store.sqlite.stores import Opened, bounds_of, open_stores
from realtime.wire.errors import ErrorCode, WireError
from tests.support.responses import Answer
from tests.support.server import running
from tests.support.steps import until

from .test_deletion import begin, committed, end

BOUNDS = bounds_of(ResponseSettings())


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "FIRST_RETRY_SECONDS", 0.005)
    monkeypatch.setattr(writing, "MAX_RETRY_SECONDS", 0.02)


def open_at(path: Path) -> Opened:
    return open_stores(path, BOUNDS, StoreSettings(store_flush_ms=1))


def fill(opened: Opened) -> None:
    """Have the file take no page more than it has."""
    opened.transactions.connection.execute("PRAGMA max_page_count = 1")  # SQLite takes it as: what there is


def free(opened: Opened) -> None:
    opened.transactions.connection.execute("PRAGMA max_page_count = 1000000")


def forbid(opened: Opened) -> None:
    opened.transactions.connection.execute("PRAGMA query_only = ON")


def allow(opened: Opened) -> None:
    opened.transactions.connection.execute("PRAGMA query_only = OFF")


LARGE = "".join(map(chr, range(0x4E00, 0x4E00 + 20_000)))  # does not fit where there is no page more
WAYS = pytest.mark.parametrize(("break_it", "mend"), [(fill, free), (forbid, allow)], ids=["full", "read-only"])


@WAYS
async def test_what_was_promised_waits_in_memory_and_is_written_when_that_can_be(
    tmp_path: Path, break_it: object, mend: object
) -> None:
    opened = open_at(tmp_path / "store.db")
    running_answer = begin(opened, "running")
    await committed(opened)
    break_it(opened)  # type: ignore[operator]
    told: list[Answer] = []
    for n in range(5):
        answer = begin(opened, f"{n}{LARGE}")
        end(opened, answer)
        told.append(answer)
        opened.stores.responses.append("resp_running", len(running_answer.written) + n, [b"{}"], TokenChunk("", [n]))
        conversation = opened.stores.conversations.create("t", {"n": str(n)}, 0)
        await asyncio.sleep(0)
    await until(lambda: opened.writer.trouble is not None, "it is in trouble")
    with pytest.raises(WireError) as refused:
        opened.stores.check_writable()
    assert (refused.value.code, refused.value.retry_after) == (ErrorCode.STORE_UNAVAILABLE, 5.0)
    for answer in told:
        record = await opened.stores.responses.get(answer.response_id, 0.0)
        log = await opened.stores.responses.read(answer.response_id, 0.0)
        assert record is not None
        assert log is not None
        assert log.read(0, 99) == answer.written
    assert await opened.stores.conversations.get("t", conversation.id) is conversation
    mend(opened)  # type: ignore[operator]
    await committed(opened)
    opened.stores.check_writable()
    assert opened.stores.responses.durable("resp_running") == len(running_answer.written) + 5
    opened.stores.close()
    again = open_at(tmp_path / "store.db")
    for answer in told:
        log = await again.stores.responses.read(answer.response_id, 0.0)
        assert log is not None
        assert log.read(0, 99) == answer.written
    assert (await again.stores.conversations.get("t", conversation.id)).metadata == {"n": "4"}
    again.stores.close()


@WAYS
async def test_a_client_sees_a_refusal_that_it_may_repeat_and_the_end_of_its_answer_when_that_is_stored(
    tmp_path: Path, break_it: object, mend: object
) -> None:
    opened = open_at(tmp_path / "store.db")
    async with running(say("one", "two"), stores=opened.stores, tick_seconds=None) as server, server.client() as client:
        await client.send("response.create", input="hi")
        created = await client.receive()
        await until(lambda: opened.commits.settled, "its beginning is committed")
        break_it(opened)  # type: ignore[operator]
        while opened.writer.trouble is None:  # there may be free pages
            opened.stores.conversations.create("local", {"n": LARGE}, 0)
            await until(lambda: opened.commits.settled or opened.writer.trouble is not None, "it was tried")
        await client.send("response.create", input="more", stream_id="other")
        refused = await client.receive()
        while refused["type"] != "error":
            refused = await client.receive()
        assert (refused["status"], refused["error"]["code"]) == (503, "store_unavailable")
        assert refused["error"]["retry_after"] == 5.0
        reading = asyncio.create_task(client.until_done(created["response_id"]))
        while server.gateway.service.num_running:
            server.engine.step()
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not reading.done()
        mend(opened)  # type: ignore[operator]
        assert (await reading)[-1]["type"] == "response.completed"
        await until(lambda: opened.writer.trouble is None, "it has recovered")
        await until(lambda: opened.commits.settled, "and caught up")
    opened.stores.close()
    again = open_at(tmp_path / "store.db")
    kept = await again.stores.responses.get(created["response_id"], 0.0)
    assert kept is not None
    assert kept.response.status == "completed"
    again.stores.close()


async def test_an_end_in_trouble_does_not_wait_for_ever(tmp_path: Path) -> None:
    opened = open_at(tmp_path / "store.db")
    begin(opened, "running")
    await committed(opened)
    forbid(opened)
    end(opened, begin(opened, "lost"))
    await until(lambda: opened.writer.trouble is not None, "it is in trouble")
    await asyncio.to_thread(opened.stores.close)


async def test_a_step_that_fails_by_itself_costs_nobody_else_anything(tmp_path: Path) -> None:
    opened = open_at(tmp_path / "store.db")

    def broken() -> None:
        raise sqlite3.IntegrityError("a bug of ours")

    opened.commits.put(broken)
    end(opened, begin(opened, "good"))
    await committed(opened)
    opened.stores.close()
    again = open_at(tmp_path / "store.db")
    assert await again.stores.responses.get("resp_good", 0.0) is not None
    again.stores.close()


async def test_a_file_that_can_not_be_read_is_a_refusal(tmp_path: Path) -> None:
    opened = open_at(tmp_path / "store.db")
    end(opened, begin(opened, "good"))
    await committed(opened)
    opened.transactions.connection.execute("UPDATE response SET body = x'07'")
    opened.stores.responses._cache.drop("resp_good")  # type: ignore[attr-defined]
    with pytest.raises(WireError) as refused:
        await opened.stores.responses.get("resp_good", 0.0)
    assert refused.value.code is ErrorCode.STORE_UNAVAILABLE
    opened.stores.close()
