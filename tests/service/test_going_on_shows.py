"""What operators see of answers that go on: a count and a line in the log for each, and nothing of whose they are."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from realtime.engine.scripted import say
from tests.observability.scrapes import parse
from tests.support.jobs import make_request
from tests.support.restarts import House, house

WORDS = ("one ", "two ", "", "three. ", "four ", "five")


@pytest.fixture(autouse=True)
def _info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    records = [one for one in caplog.records if one.name == "realtime.continuations"]
    return [{"text": one.text, **one.members} for one in records]  # type: ignore[attr-defined]


async def counted(here: House) -> dict[tuple[str, str], float]:
    """The continuations, by what had ended and what came of it."""
    found = {}
    for (name, has), number in parse((await here.gateway.exposition.text()).decode()).items():
        if name == "realtime_continuations_total" and number:
            labels = dict(has)
            assert set(labels) == {"after", "outcome"}
            found[labels["after"], labels["outcome"]] = number
    return found


async def left(path: Path, how: str, **members: Any) -> str:
    """Begin an answer in a process that ends, one way or another."""
    async with house(path, say(*WORDS)) as here:
        run = await here.create(make_request("hi", **members))
        await here.say(2)
        here.flush()
        if how == "server":
            await here.die()
        else:
            await here.service.shutdown(leave=True)
    return run.response_id


@pytest.mark.parametrize("how", ["server", "drain"])
async def test_after_the_end_of_a_process(tmp_path: Path, how: str, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "store.db"
    response_id = await left(path, how)
    async with house(path, say(*WORDS)) as here:
        await here.finish()
        assert await counted(here) == {(how, "exact"): 1}
    attempts = 2 if how == "server" else 1
    assert lines(caplog) == [
        {
            "text": "response goes on", "response_id": response_id, "after": how, "outcome": "exact",
            "attempts": attempts, "tokens": 2,
        }
    ]  # fmt: skip
    assert "local" not in caplog.records[-1].getMessage()


async def test_after_the_death_of_the_engine(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with house(tmp_path / "store.db", say(*WORDS), seeds_are_free=False) as here:
        await here.create(make_request())
        await here.say(2)
        here.engine.kill()
        await here.settle()
        await here.finish()
        assert await counted(here) == {("engine", "prefix_exact"): 1}
    [line] = lines(caplog)
    assert (line["after"], line["outcome"], line["attempts"], line["tokens"]) == ("engine", "prefix_exact", 2, 2)


async def test_one_that_does_not(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "store.db"
    response_id = await left(path, "server")
    async with house(path, say(*WORDS), name="another") as here:
        await here.finish()
        assert await counted(here) == {("server", "model_changed"): 1}
    [line] = lines(caplog)
    assert (line["text"], line["response_id"]) == ("response does not go on", response_id)
    assert line["outcome"] == "model_changed"


async def test_one_of_which_nothing_is_stored(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "store.db"
    response_id = await left(path, "server", store=False)
    async with house(path, say(*WORDS)) as here:
        assert await counted(here) == {("server", "not_stored"): 1}
    [line] = lines(caplog)
    assert (line["text"], line["response_id"]) == ("response does not go on", response_id)
    assert line["outcome"] == "not_stored"


async def test_one_that_had_not_begun_is_no_continuation(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with house(tmp_path / "store.db", say(*WORDS)) as here:
        await here.create(make_request())
        await here.finish()
        assert await counted(here) == {}
    assert lines(caplog) == []
