"""The phases of EngineCore's start are told by messages of vLLM's log, which are as we know them."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from realtime.engine.vllm.startup import _LOGGERS, hear_phases, phase_of, tell_phases
from realtime.observability.progress import Progress

SOURCES = {
    "v1/worker/gpu_model_runner.py": ("Starting to load model", "Model loading took", "Graph capturing"),
    "v1/worker/cpu_model_runner.py": ("Starting to load model", "Warming up"),
    "v1/worker/gpu_worker.py": ("Compile and warming",),
    "model_executor/model_loader/default_loader.py": ("Loading weights took",),
}


@pytest.mark.parametrize("name", SOURCES)
def test_vllm_still_says_so(name: str) -> None:
    """internal: pinned here."""
    found = importlib.util.find_spec("vllm")
    assert found is not None, "vllm is not installed"
    source = Path(*(found.submodule_search_locations or ())[:1], name).read_text()
    assert [message for message in SOURCES[name] if message not in source] == []


def test_messages_begin_phases() -> None:
    assert phase_of("Starting to load model %s...") == "loading the weights"
    assert phase_of("Loading weights took %.2f seconds") == "preparing the KV cache"
    assert phase_of("Warming up model for the compilation...") == "compiling"
    assert phase_of("anything else") is None


@pytest.fixture
def vllm_log() -> Iterator[logging.Logger]:
    """The log of a module of vLLM; the changes are taken back."""
    logs = [logging.getLogger(name) for name in _LOGGERS]
    before = [(list(log.handlers), log.level) for log in logs]
    yield logging.getLogger("vllm.v1.worker.cpu_model_runner")
    for log, (handlers, level) in zip(logs, before, strict=True):
        log.handlers[:] = handlers
        log.setLevel(level)


def test_phases_are_sent_and_heard_until_nobody_listens(
    vllm_log: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    progress = Progress()
    with hear_phases(progress) as sender:
        tell_phases(sender)
        vllm_log.info("Starting to load model %s...", "a secret")
        vllm_log.info("Loading weights took %.2f seconds", 1.0)
    progress.end()
    told = [record.getMessage() for record in caplog.records if record.name == "realtime.start"]
    assert [message.split(" seconds")[0] for message in told] == ["loading the weights", "preparing the KV cache"]
    vllm_log.info("Starting to load model %s...", "x")
    assert not logging.getLogger("vllm.v1").handlers
