"""Engines elsewhere that are set up badly, each in one way, and that it is found."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from realtime.engine.base import EngineError
from realtime.engine.options import STARTER_MODEL, RemoteOptions
from realtime.server.doctor import packages
from realtime.server.doctor.engines import look_at_engines
from realtime.server.doctor.finding import Finding
from realtime.server.doctor.model import look_at_model
from realtime.server.doctor.packages import look_at_packages
from realtime.settings.fields import Settings
from tests.engine.remote.fleet import Front
from tests.support.server import changed
from tests.support.token_engine import KEY, TokenEngine, token_engines


async def looked_at(*engines: TokenEngine, urls: tuple[str, ...] = (), **options: Any) -> list[Finding]:
    remote = RemoteOptions(engine_url=urls or tuple(one.url for one in engines), engine_key=KEY)
    settings = changed(Settings(engine="remote", remote=remote), model="model", **options)
    return await asyncio.to_thread(lambda: list(look_at_engines(settings, lambda settings: Front())))


async def test_nothing_is_found_where_nothing_is_wrong() -> None:
    async with token_engines(2) as engines:
        found = await looked_at(*engines)
    assert [(one.name, one.level) for one in found] == [("engine 0", "ok"), ("engine 1", "ok")]
    assert KEY not in str(found)


@pytest.mark.parametrize(
    ("level", "word", "spoil"),
    [
        ("error", "not reached", lambda one: setattr(one, "health", 503)),
        ("error", "--enable-scale-out", lambda one: setattr(one, "generates", False)),
        ("error", "other tokens", lambda one: setattr(one, "reads", [1, 2, 3])),
        ("warning", "can't go on there", lambda one: setattr(one, "goes_on", False)),
        ("note", "without priorities", lambda one: setattr(one, "takes_priority", False)),
        ("note", "calls its model 'other'", lambda one: setattr(one, "model", "models/other")),
    ],
)
async def test_an_engine_that_is_wrong(level: str, word: str, spoil: Callable[[TokenEngine], None]) -> None:
    async with token_engines(2) as engines:
        spoil(engines[1])
        found = await looked_at(*engines)
    assert [one.level for one in found if one.name == "engine 0"] == ["ok"]
    [wrong] = [one for one in found if one.name == "engine 1" and one.level != "ok"]
    assert (wrong.level, word in wrong.text + wrong.advice) == (level, True)


async def test_an_engine_that_is_gone_or_is_too_small() -> None:
    async with token_engines(2) as engines:
        await engines[0].vanish()
        found = await looked_at(*engines, max_model_len=4000)
    assert [(one.name, one.level) for one in found] == [
        ("engine 0", "error"), ("engine 1", "warning"), ("engine 1", "ok"),
    ]  # fmt: skip
    assert "its context is 500 tokens" in found[1].text


async def test_settings_that_can_not_be_meant() -> None:
    [wrong] = await looked_at(urls=("ftp://me:hush@engine",))
    assert wrong.level == "error"
    assert "hush" not in wrong.text


async def test_a_key_that_others_can_read(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nobody(*arguments: object) -> list[object]:
        return []

    monkeypatch.setattr("realtime.server.doctor.engines._introduced", nobody)
    [wrong] = await looked_at(urls=("http://10.0.0.1:8000",))
    assert (wrong.name, wrong.level) == ("engine key", "warning")


def test_a_model_that_is_not_here() -> None:
    def load(settings: Settings) -> Any:
        raise EngineError("the model's files can't be read: no tokenizer")

    settings = Settings(engine="remote", remote=RemoteOptions(engine_url=("http://127.0.0.1:1",)))
    [wrong] = look_at_engines(settings, load)
    assert (wrong.name, wrong.level) == ("tokenizer", "error")


def test_what_is_needed_here_is_neither_weights_nor_a_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for file in Path(STARTER_MODEL).iterdir():
        if file.suffix != ".safetensors":
            (tmp_path / file.name).symlink_to(file)
    options = changed(model=str(tmp_path)).vllm
    assert [one.level for one in look_at_model(options, [], uses_weights=False)] == ["ok", "ok"]
    assert [one.level for one in look_at_model(options, [])] == ["error"]
    monkeypatch.setattr(packages, "installed", {"vllm": "0.32.0", "torch": "2.13.0"}.get)
    assert next(iter(look_at_packages([]))).level == "error"
    assert next(iter(look_at_packages([], uses_device=False))).level == "ok"
    monkeypatch.setattr(packages, "installed", {}.get)
    assert next(iter(look_at_packages([], uses_device=False))).text == "not installed"
