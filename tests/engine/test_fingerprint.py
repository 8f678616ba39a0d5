"""The digest of what decides which token follows: the same for the same, and not for anything else."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from realtime.engine.options import STARTER_MODEL
from realtime.engine.vllm import fingerprint as module
from realtime.engine.vllm.fingerprint import digest_of, files_of, fingerprint
from tests.support.engines import Engines


def model(folder: Path) -> Path:
    (folder / "original").mkdir(parents=True)
    for name, content in (
        ("config.json", b"{}"), ("model.safetensors", os.urandom(200_000)), ("tokenizer.json", b"[]"),
        ("README.md", b"about"), ("original/model.safetensors", b"copy"),
    ):  # fmt: skip
        (folder / name).write_bytes(content)
    return folder


def test_what_is_in_the_files_counts_and_not_where_they_lie(tmp_path: Path) -> None:
    first = model(tmp_path / "a")
    digests = files_of(str(first))
    assert [name for name, _ in digests] == ["config.json", "model.safetensors", "tokenizer.json"]
    moved = tmp_path / "b" / "c"
    shutil.copytree(first, moved)
    for path in moved.iterdir():
        os.utime(path, (1, 1))
    (moved / "README.md").write_text("other words")
    assert files_of(str(moved)) == digests
    (moved / "config.json").write_text("{ }")
    assert files_of(str(moved)) != digests
    assert files_of(str(first / "model.safetensors")) == [digests[1]]


def test_other_weights_of_the_same_shape_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a large file only blocks are read: a change of a third of it is seen, wherever that is."""
    monkeypatch.setattr(module, "_WHOLE_BYTES", 1000)
    monkeypatch.setattr(module, "_BLOCK_BYTES", 16)
    path = model(tmp_path / "a") / "model.safetensors"
    content, before = path.read_bytes(), digest_of(path)
    assert digest_of(path) == before
    third = len(content) // 3
    for start in (0, third, 2 * third):
        path.write_bytes(content[:start] + os.urandom(third) + content[start + third :])
        assert digest_of(path) != before
    path.write_bytes(content[:-1])
    assert digest_of(path) != before
    path.write_bytes(content)
    assert digest_of(path) == before


@pytest.mark.vllm
def test_what_is_no_folder_here_counts_by_its_name() -> None:
    assert files_of("s3://bucket/model") == [("s3://bucket/model", "None")]
    assert files_of("nobody/never-loaded", "v2") == [("nobody/never-loaded", "v2")]


@pytest.mark.vllm
@pytest.mark.asyncio(loop_scope="session")
async def test_it_follows_the_set_up(engines: Engines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import vllm

    llm: Any = engines.newest._llm
    options, loaded, config = engines.newest._options, engines.loaded, llm.vllm_config
    defaults = msgspec.to_builtins(loaded.model.defaults)

    def now(
        tokenizer: Any = loaded.tokenizer,
        defaults: Any = defaults,
        tokenizer_folder: str | None = None,
        **changes: Any,
    ) -> str:
        changed = msgspec.structs.replace(options, tokenizer=tokenizer_folder, **changes)
        return fingerprint(changed, config, tokenizer, defaults)

    assert now() == loaded.fingerprint
    assert len(loaded.fingerprint) == 32
    copied = shutil.copytree(STARTER_MODEL, tmp_path / "elsewhere")
    assert now(model=str(copied), served_name="another name", max_num_seqs=3) == loaded.fingerprint
    (copied / "generation_config.json").write_text('{"top_k": 3}')
    others = {
        "defaults": now(defaults={**defaults, "top_k": 7}),
        "template": now(tokenizer=None),
        "model": now(model=str(copied)),
        "tokenizer": now(tokenizer_folder=str(copied)),
    }
    for owner, name, value in (
        (config.model_config, "dtype", "float32"),
        (config.model_config, "max_model_len", 77),
        (config.model_config, "quantization", "fp8"),
        (config.model_config.hf_config, "rms_norm_eps", 0.5),
        (config.cache_config, "cache_dtype", "fp8"),
        (config.parallel_config, "tensor_parallel_size", 2),
        (config.structured_outputs_config, "reasoning_parser", "deepseek_r1"),
        (vllm, "__version__", "0.99"),
    ):
        with monkeypatch.context() as changed:
            changed.setattr(owner, name, value)
            others[name] = now()
    with monkeypatch.context() as changed:
        changed.setenv("VLLM_BATCH_INVARIANT", "1")
        others["environment"] = now()
    assert len({loaded.fingerprint, *others.values()}) == 1 + len(others), others
    assert now() == loaded.fingerprint
