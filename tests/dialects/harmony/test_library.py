"""The vocabulary of Harmony: where it comes from, and what is said when it can't be had."""

from __future__ import annotations

import base64
import logging
from pathlib import Path

import pytest
from openai_harmony import HarmonyError

from realtime.dialects.harmony import library as harmony_encoding
from realtime.engine.base import EngineError
from realtime.server.gateway import Gateway
from tests.support.harmony import Model, library, text_of
from tests.support.server import changed, running


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    library()  # before anything says that its vocabulary is elsewhere
    monkeypatch.setenv("TIKTOKEN_ENCODINGS_BASE", "")  # so that it is put back
    monkeypatch.delenv("TIKTOKEN_ENCODINGS_BASE")


def test_the_log_says_which_package_it_is(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "realtime.harmony"):
        encoding = harmony_encoding.load(None)
    assert "package=oss-harmony 0.0.11 vocabulary=its own" in caplog.text
    assert encoding.vocabulary.stop == (200002, 200012)


def test_a_package_without_the_vocabulary_is_pointed_to_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    def download(name: str) -> None:
        raise HarmonyError("error downloading or loading vocab file")

    monkeypatch.setattr(harmony_encoding, "load_harmony_encoding", download)
    with pytest.raises(
        harmony_encoding.NoVocabulary, match=r"downloading.*oss-harmony>=0\.0\.11.*`harmony_vocabulary`"
    ):
        harmony_encoding.load(None)


def test_the_folder_of_the_setting_is_where_the_library_looks(tmp_path: Path) -> None:
    file = tmp_path / "o200k_base.tiktoken"
    file.write_bytes(b"".join(map(_line, range(199998))))
    assert harmony_encoding.load(str(tmp_path)).vocabulary.start == 200006
    file.write_bytes(b"".join(map(_line, range(1000))))
    with pytest.raises(harmony_encoding.NoVocabulary, match="hash mismatch"):
        harmony_encoding.load(str(tmp_path))


def _line(rank: int) -> bytes:
    token = library().decode([rank], "surrogateescape").encode("utf-8", "surrogateescape")
    return base64.b64encode(token) + b" %d\n" % rank


async def test_a_server_without_the_vocabulary_says_so_before_it_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    """`serve` calls `prepare` once the engine is there, and ends with this error."""

    def download(name: str) -> None:
        raise HarmonyError("no network")

    monkeypatch.setattr(harmony_encoding, "load_harmony_encoding", download)
    async with running(Model("x").script, model_type="gpt_oss") as server:
        gateway: Gateway = server.gateway
        with pytest.raises(EngineError, match="can't be loaded"):
            gateway.service.prepare()


async def test_the_dialect_can_be_chosen_by_hand() -> None:
    """A model whose type does not show it."""
    model = Model("<|channel|>final<|message|>Yes.<|return|>")
    async with running(model.script, changed(dialect="harmony")) as server, server.client() as client:
        (*_, last) = await client.create("hi")
        assert last["response"]["output"][0]["content"][0]["text"] == "Yes."
    assert text_of(model.requests[0].prompt_token_ids).endswith("<|start|>assistant")
    async with (
        running(model.script, changed(dialect="chat"), model_type="gpt_oss") as server,
        server.client() as client,
    ):
        await client.create("hi")
    assert max(model.requests[1].prompt_token_ids) != 200006
