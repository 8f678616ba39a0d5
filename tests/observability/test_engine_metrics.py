"""The engine's metrics are vLLM's: the names and the buckets of the one that is installed."""

from __future__ import annotations

import importlib.util
import re
import runpy
from pathlib import Path

import pytest

from realtime.observability import engine_metrics as ours
from realtime.observability.engine_metrics import CoreTimes, EngineMetrics, Finished, Load
from realtime.observability.exposition import texts
from realtime.observability.timeline import GenerationTimes
from tests.observability.scrapes import names, parse, value

OPTIONAL = re.compile(  # there with features of vLLM that are off here, or by its HTTP server
    r"vllm:(corrupted_requests|watermark_requests|admission_rejections|num_requests_kv_fetch_by_stage|lora_requests_info"
    r"|cache_config_info|kv_block_\w+)"
)


def scrape(metrics: EngineMetrics) -> str:
    return b"".join(texts([metrics])).decode()


@pytest.fixture
def metrics() -> EngineMetrics:
    metrics = EngineMetrics("starter")
    metrics.loaded(4096)
    return metrics


def vllm_source(name: str) -> Path:
    found = importlib.util.find_spec("vllm")
    assert found is not None, "vllm is not installed"
    return Path(*(found.submodule_search_locations or ())[:1], name)


def test_every_metric_of_vllms_recorder_is_there_by_its_name_and_labels(metrics: EngineMetrics) -> None:
    source = vllm_source("v1/metrics/loggers.py").read_text()
    theirs = {name for name in re.findall(r'name="(vllm:[a-z_0-9]+)"', source) if not OPTIONAL.fullmatch(name)}
    assert len(theirs) > 25
    families = {family.name for family in metrics.collect()}
    assert theirs - families == set()
    for name, labels in parse(scrape(metrics)):
        assert {("model_name", "starter"), ("engine", "0")} <= labels, name


def test_the_buckets_are_vllms() -> None:
    theirs = runpy.run_path(str(vllm_source("v1/metrics/buckets.py")))
    assert theirs["REQUEST_LATENCY_BUCKETS"] == ours.LATENCY
    assert theirs["TIME_TO_FIRST_TOKEN_BUCKETS"] == ours.FIRST_TOKEN
    assert theirs["INTER_TOKEN_LATENCY_BUCKETS"] == ours.BETWEEN_TOKENS
    assert theirs["ITERATION_TOKENS_BUCKETS"] == ours.STEP_TOKENS
    assert theirs["REQUEST_PARAMS_N_BUCKETS"] == ours.CHOICES
    assert theirs["REQUEST_NUM_PREEMPTIONS_BUCKETS"] == ours.PREEMPTIONS
    for window in (1, 2048, 100_000, 131_072):
        assert tuple(theirs["build_1_2_5_buckets"](window)) == ours.token_buckets(window)


def test_a_generation_is_counted_once(metrics: EngineMetrics) -> None:
    times = GenerationTimes(began_at=10.0, first_at=10.5, ended_at=12.5)
    metrics.first_token(0.5)
    metrics.finished(
        Finished(times=times, reason="length", num_prompt=100, num_cached=60, num_output=21, max_tokens=21)
    )
    text = scrape(metrics)
    assert value(text, "vllm:request_success_total", finished_reason="length") == 1
    assert value(text, "vllm:time_to_first_token_seconds_sum") == 0.5
    assert value(text, "vllm:e2e_request_latency_seconds_sum") == 2.5
    assert value(text, "vllm:request_time_per_output_token_seconds_sum") == 0.1
    assert value(text, "vllm:request_prompt_tokens_sum") == 100
    assert value(text, "vllm:request_prefill_kv_computed_tokens_sum") == 40
    assert value(text, "vllm:request_generation_tokens_sum") == 21


def test_one_that_was_aborted_before_its_first_token_has_no_times(metrics: EngineMetrics) -> None:
    times = GenerationTimes(began_at=10.0, ended_at=12.5)
    metrics.finished(Finished(times=times, reason="abort", num_prompt=1, num_cached=0, num_output=0, max_tokens=9))
    text = scrape(metrics)
    assert value(text, "vllm:request_success_total", finished_reason="abort") == 1
    assert value(text, "vllm:e2e_request_latency_seconds_count") == 0


def test_a_step_counts_for_all_that_it_served(metrics: EngineMetrics) -> None:
    metrics.step(num_tokens=132, num_decoding=32, seconds=0.03)
    text = scrape(metrics)
    assert value(text, "vllm:inter_token_latency_seconds_count") == 32
    assert value(text, "vllm:inter_token_latency_seconds_bucket", le="0.05") == 32
    assert value(text, "vllm:inter_token_latency_seconds_bucket", le="0.025") == 0
    assert value(text, "vllm:iteration_tokens_total_count") == 1
    assert value(text, "vllm:iteration_tokens_total_bucket", le="128.0") == 0


def test_generated_tokens_never_go_back(metrics: EngineMetrics) -> None:
    running = [30]
    metrics.running_tokens = lambda: sum(running)
    assert value(scrape(metrics), "vllm:generation_tokens_total") == 30
    running[:] = [5]
    metrics.generated(32)
    assert value(scrape(metrics), "vllm:generation_tokens_total") == 37


def test_what_the_engine_holds_is_asked_at_each_scrape(metrics: EngineMetrics) -> None:
    metrics.load = lambda: Load(num_running=3, num_waiting=5, num_deferred=1, kv_cache_usage=0.25)
    text = scrape(metrics)
    assert value(text, "vllm:num_requests_running") == 3
    assert value(text, "vllm:num_requests_waiting") == 5
    assert value(text, "vllm:num_requests_waiting_by_reason", reason="capacity") == 4
    assert value(text, "vllm:kv_cache_usage_perc") == 0.25


def test_the_times_of_engine_core(metrics: EngineMetrics) -> None:
    metrics.left_batch(CoreTimes(queued_at=1, scheduled_at=3, first_at=4, num_preemptions=2), last_at=10)
    text = scrape(metrics)
    sums = {name: value(text, f"vllm:request_{name}_seconds_sum") for name in (
        "queue_time", "prefill_time", "decode_time", "inference_time",
    )}  # fmt: skip
    assert sums == {"queue_time": 2, "prefill_time": 1, "decode_time": 6, "inference_time": 7}
    assert value(text, "vllm:request_num_preemptions_sum") == 2


def test_speculative_decoding_shows_once_there_is_some(metrics: EngineMetrics) -> None:
    assert not any("spec_decode" in name for name in names(scrape(metrics)))
    metrics.drafted({"num_drafts": 2, "num_draft_tokens": 6, "num_accepted_tokens": 3}, [2, 1, 0])
    text = scrape(metrics)
    assert value(text, "vllm:spec_decode_num_accepted_tokens_total") == 3
    assert value(text, "vllm:spec_decode_num_accepted_tokens_per_pos_total", position="0") == 2
