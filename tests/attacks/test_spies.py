"""Two tenants on the scripted engine: one knows all ids of the other, and learns nothing."""

from __future__ import annotations

from pathlib import Path

from realtime.engine.scripted import RandomScript
from tests.support.http import http
from tests.support.server import changed, running
from tests.support.steps import make_keys

from .arena import Arena
from .tenants import spy

STORIES = RandomScript(seed=6, min_tokens=1000, max_tokens=1000)


async def test_a_spy_who_has_all_ids_is_told_what_they_are_told_who_guess(tmp_path: Path) -> None:
    keys = make_keys(tmp_path / "keys.json", "ada", "eve")
    settings = changed(api_keys_file=str(tmp_path / "keys.json"))
    async with running(STORIES, settings, max_num_seqs=32, max_model_len=1 << 14) as server:
        arena = Arena(server.port, 1, keys["eve"], keys["ada"])
        await spy(arena, lambda: True)
        assert arena.tally.wrong == []
        assert arena.tally["foreign ids tried"] >= 60
        assert arena.tally["spied"] == 2


async def test_the_same_request_id_is_each_tenants_own(tmp_path: Path) -> None:
    keys = make_keys(tmp_path / "keys.json", "ada", "eve")
    settings = changed(api_keys_file=str(tmp_path / "keys.json"))
    body = {"input": "hi", "request_id": "the first of the day", "max_output_tokens": 5}
    async with (
        running(STORIES, settings) as server,
        http(server, keys["ada"]) as ada,
        http(server, keys["eve"]) as eve,
    ):
        hers = (await ada.post("/v1/responses", json=body)).json()
        other = (await eve.post("/v1/responses", json={**body, "input": "ho"})).json()  # no conflict either
        assert other["id"] != hers["id"]
        assert (await ada.post("/v1/responses", json=body)).json()["id"] == hers["id"]
