"""How vLLM is to be started, as far as that needs no vLLM: the environment, and which models are small."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from realtime.engine.options import STARTER_MODEL, VllmOptions
from realtime.engine.vllm import launch

STARTER = VllmOptions(model=STARTER_MODEL)


def test_what_the_user_has_set_in_the_environment_wins_and_all_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OURS_AND_THEIRS", "theirs")
    before = dict(os.environ)
    with launch.environment({"OURS_AND_THEIRS": "ours", "OURS": "ours"}):
        assert (os.environ["OURS_AND_THEIRS"], os.environ["OURS"]) == ("theirs", "ours")
        os.environ["OURS_AND_THEIRS"] = "vLLM's"
        os.environ["ADDED_BY_VLLM"] = "1"
        del os.environ["HOME"]
    assert dict(os.environ) == before


def test_nobody_is_told_of_a_self_hosted_server() -> None:
    for small in (True, False):
        assert launch.variables(VllmOptions(model="a/b"), small, "/tmp/x")["VLLM_NO_USAGE_STATS"] == "1"


def test_a_model_in_a_folder_needs_no_hub(tmp_path: Path) -> None:
    assert launch.variables(VllmOptions(model=str(tmp_path)), False, "/tmp/x")["HF_HUB_OFFLINE"] == "1"
    assert "HF_HUB_OFFLINE" not in launch.variables(VllmOptions(model="owner/name"), False, "/tmp/x")


@pytest.mark.parametrize(("eager", "compiles"), [(None, False), (True, False), (False, True)])
def test_a_small_model_compiles_only_where_it_was_asked_to(eager: bool | None, compiles: bool) -> None:
    variables = launch.variables(VllmOptions(model=STARTER_MODEL, enforce_eager=eager), True, "/tmp/x")
    assert ("TORCHDYNAMO_DISABLE" not in variables) is compiles


def test_which_models_are_small(tmp_path: Path) -> None:
    assert launch.is_small(STARTER)
    assert not launch.is_small(VllmOptions(model=STARTER_MODEL, tensor_parallel_size=2))
    assert not launch.is_small(VllmOptions(model="owner/name"))
    assert not launch.is_small(VllmOptions(model=str(tmp_path))), "without weights"
    with (tmp_path / "model.safetensors").open("wb") as weights:
        weights.truncate(launch.SMALL_MODEL_BYTES + 1)
    assert not launch.is_small(VllmOptions(model=str(tmp_path)))


def test_defaults_on_cpu_leave_memory_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VLLM_CPU_KVCACHE_SPACE", raising=False)
    small, large = launch._cpu_defaults(STARTER), launch._cpu_defaults(VllmOptions(model="owner/name"))
    assert (small["block_size"], small["kv_cache_memory_bytes"]) == (32, launch.SMALL_MODEL_KV_BYTES)
    assert launch.GIB <= large["kv_cache_memory_bytes"] <= 8 * launch.GIB
    assert "block_size" not in large
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "4")
    assert "kv_cache_memory_bytes" not in launch._cpu_defaults(STARTER)


@pytest.mark.vllm
def test_parallel_settings_reach_vllm() -> None:
    """Under vLLM's own names, which have to be there."""
    given: dict[str, Any] = {
        "tensor_parallel_size": 2, "pipeline_parallel_size": 2, "data_parallel_size": 4, "data_parallel_size_local": 1,
        "data_parallel_rank": 3, "data_parallel_address": "10.0.0.1", "data_parallel_rpc_port": 9000,
        "data_parallel_backend": "ray", "distributed_executor_backend": "ray", "enable_expert_parallel": True,
    }  # fmt: skip
    args = launch._engine_args(VllmOptions(**given), cpu=False)
    assert {name: args[name] for name in given} == given
    assert "data_parallel_rank" not in launch._engine_args(VllmOptions(), cpu=False)
