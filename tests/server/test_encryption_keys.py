"""Sealing keys: from the settings, over a restart, replaced; and never to be read anywhere."""

from __future__ import annotations

import base64
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from realtime.context.encrypted import KEY_BYTES
from realtime.engine.scripted import say
from realtime.server.encryption_keys import encryption_keys
from realtime.server.keys import KeysError
from realtime.settings.fields import ServerSettings
from realtime.settings.sources import SettingsError, load
from realtime.settings.text import effective_toml, settings_table
from tests.support.patience import SECONDS
from tests.support.server import Running, changed, running

OLD, NEW = (base64.b64encode(bytes([value]) * KEY_BYTES).decode() for value in (1, 2))


def sdk(server: Running) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{server.http}/v1", api_key="unused", max_retries=0)


async def compacted(server: Running) -> Any:
    history: Any = [{"role": "user", "content": "remember 4711"}, {"role": "assistant", "content": "yes"}]
    async with sdk(server) as client:
        return (await client.responses.compact(model="starter", input=history)).output[-1].to_dict()


async def accepts(server: Running, item: Any) -> bool:
    async with sdk(server) as client:
        try:
            await client.responses.create(model="starter", input=[item, {"role": "user", "content": "what?"}])
        except openai.BadRequestError as error:
            return error.code != "invalid_encrypted_content"
        return True


@pytest.mark.parametrize(
    ("after", "good"),
    [((OLD,), True), ((NEW, OLD), True), ((NEW,), False), ((), False)],
    ids=["same", "both", "new", "none"],
)
async def test_a_compaction_outlives_a_restart_as_long_as_its_key_is_there(after: tuple[str, ...], good: bool) -> None:
    async with running(say("ok"), changed(sealing_keys=(OLD,))) as server:
        item = await compacted(server)
        assert await accepts(server, item)
    async with running(say("ok"), changed(sealing_keys=after)) as server:
        assert await accepts(server, item) is good
        sealed_again = await compacted(server)
    if after:
        async with running(say("ok"), changed(sealing_keys=after[:1])) as server:
            assert await accepts(server, sealed_again), "the first key is the one that seals"


async def test_the_keys_are_nowhere_to_be_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    effective = load({}, {"REALTIME_SEALING_KEYS": f"{NEW},{OLD}"})
    assert effective.settings.server.sealing_keys == (NEW, OLD)
    table = effective_toml(effective)
    assert "sealing_keys = ***" in table
    async with running(say("ok"), effective.settings) as server:
        item = await compacted(server)
        assert await accepts(server, item)
        async with httpx2.AsyncClient(base_url=server.http, timeout=SECONDS) as http:
            told = (await http.get("/ready")).text + (await http.get("/openapi.json")).text
    for text in (table, told, caplog.text, settings_table(), str(item)):
        assert NEW not in text
        assert OLD not in text
    command = [sys.executable, "-m", "realtime", "serve", "--print-config"]
    done = subprocess.run(command, env={"REALTIME_SEALING_KEYS": OLD}, capture_output=True, text=True, check=False)  # noqa: ASYNC221
    assert (done.returncode, OLD in done.stdout + done.stderr) == (0, False)
    assert "***" in done.stdout


def test_a_file_of_keys(tmp_path: Path) -> None:
    path = tmp_path / "sealing"
    path.write_text(f"{NEW}\n\n  {OLD}\n")
    assert encryption_keys(ServerSettings(sealing_keys_file=str(path))) == (b"\2" * KEY_BYTES, b"\1" * KEY_BYTES)
    assert encryption_keys(ServerSettings()) == ()


@pytest.mark.parametrize("content", ["", "\n", "short", NEW[:-4], NEW + "AAAA", "\xff", f"{NEW}\nx"])
def test_what_is_no_key_is_refused_without_being_told(tmp_path: Path, content: str) -> None:
    path = tmp_path / "sealing"
    path.write_text(content, "latin-1")
    with pytest.raises(KeysError) as caught:
        encryption_keys(ServerSettings(sealing_keys_file=str(path)))
    assert str(path) in str(caught.value)
    assert NEW[:8] not in str(caught.value)


def test_a_file_that_is_not_there_and_both_at_once(tmp_path: Path) -> None:
    with pytest.raises(KeysError, match="can't be read: No such file"):
        encryption_keys(ServerSettings(sealing_keys_file=str(tmp_path / "none")))
    with pytest.raises(SettingsError, match="both given"):
        load({}, {"REALTIME_SEALING_KEYS": NEW, "REALTIME_SEALING_KEYS_FILE": "x"})
    with pytest.raises(KeysError) as caught:
        encryption_keys(ServerSettings(sealing_keys=("secret value",)))
    assert "secret value" not in str(caught.value)
    path = tmp_path / "realtime.toml"
    path.write_text("[server]\nsealing_keys = 123456")
    with pytest.raises(SettingsError) as refused:
        load({}, {}, str(path))
    assert "123456" not in str(refused.value)
