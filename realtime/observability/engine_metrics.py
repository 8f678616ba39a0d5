"""Metrics of the engine, under the names, labels and buckets of vLLM's own metrics.

Dashboards, routers and autoscalers that were made for vLLM find here what they look for. vLLM's own recording stays
off, because it costs time for each token. These metrics are fed once per generation and once per engine step; the tests
hold names and buckets to the installed vLLM's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from .instruments import Distribution, Labels, Tally, gauge
from .timeline import GenerationTimes

LATENCY = (
    0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0, 960.0,
    1920.0, 7680.0,
)  # fmt: skip
FIRST_TOKEN = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0,
    160.0, 640.0, 2560.0,
)  # fmt: skip
BETWEEN_TOKENS = (
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0,
)  # fmt: skip
STEP_TOKENS = tuple(float(2**power) for power in range(15) if power not in (1, 2))
CHOICES = (1.0, 2.0, 5.0, 10.0, 20.0)
PREEMPTIONS = (1.0, 2.0, 3.0, 4.0, 5.0, 10.0, 20.0)
FINISH_REASONS = ("stop", "length", "abort", "error", "repetition")
SOURCES = ("local_compute", "local_cache_hit", "external_kv_transfer")
DRAFTS = ("num_drafts", "num_draft_tokens", "num_accepted_tokens")
_LABELS = ("model_name", "engine")


def token_buckets(max_model_len: int) -> tuple[float, ...]:
    """Return bounds for the number of tokens of a request: 1, 2, 5, 10, 20, ... up to the context window."""
    series = (float(digit * 10**power) for power in range(10) for digit in (1, 2, 5))
    return tuple(bound for bound in series if bound <= max_model_len)


class Finished(msgspec.Struct, frozen=True, kw_only=True):
    """A generation that has ended. `reason`: one of FINISH_REASONS."""

    times: GenerationTimes
    reason: str
    num_prompt: int
    num_cached: int
    num_output: int
    max_tokens: int


class CoreTimes(msgspec.Struct):
    """Times that EngineCore reports for one request, in seconds on its own clock."""

    queued_at: float = 0.0
    scheduled_at: float = 0.0
    first_at: float = 0.0
    num_preemptions: int = 0


class Load(msgspec.Struct, frozen=True):
    """The engine's load at this moment."""

    num_running: int = 0
    num_waiting: int = 0
    num_deferred: int = 0  # of those that wait: not for want of room
    kv_cache_usage: float = 0.0


class EngineMetrics:
    """The engine's metrics. `load`, and `running_tokens` (tokens of running generations), are called at each scrape."""

    def __init__(self, model_name: str) -> None:
        self.load: Callable[[], Load] = Load
        self.running_tokens: Callable[[], int] = lambda: 0
        self.info: dict[str, str] | None = None  # of the KV cache, for `vllm:cache_config_info`
        self._own = (model_name, "0")
        self._tallies: list[Tally] = []
        self._distributions: list[Distribution] = []
        tally, distribution = self._tally, self._distribution
        self.prefix_queries = tally("prefix_cache_queries", "Prompt tokens that were looked up in the prefix cache.")
        self.prefix_hits = tally("prefix_cache_hits", "Prompt tokens that were found in the prefix cache.")
        self.external_queries = tally("external_prefix_cache_queries", "Tokens looked up in other caches.")
        self.external_hits = tally("external_prefix_cache_hits", "Tokens found in other caches.")
        self.mm_queries = tally("mm_cache_queries", "Images that were looked up in the cache of images.")
        self.mm_hits = tally("mm_cache_hits", "Images that were found in the cache of images.")
        self.preemptions = tally("num_preemptions", "Requests that had to leave the batch for want of KV cache.")
        self.prompt_tokens = tally("prompt_tokens", "Prompt tokens that were read.")
        self.prompt_tokens_cached = tally("prompt_tokens_cached", "Prompt tokens that a cache had.")
        self.prompt_tokens_by_source = tally("prompt_tokens_by_source", "Prompt tokens by source.", "source", SOURCES)
        self._cached_by_source = tally(
            "prompt_tokens_cached_by_source", "Cached prompt tokens by cache.", "source", ("device",)
        )
        self.success = tally("request_success", "Requests that have ended.", "finished_reason", FINISH_REASONS)
        self._drafts: dict[str, Tally] = {}  # there from the first one on, as nobody else looks for them
        self._num_generated = 0
        self.step_tokens = distribution("iteration_tokens_total", "Tokens of one engine step.", STEP_TOKENS)
        window = token_buckets(1)
        self._prompt_sizes = distribution("request_prompt_tokens", "Prompt tokens of a request.", window)
        self._output_sizes = distribution("request_generation_tokens", "Generated tokens of a request.", window)
        self._max_outputs = distribution("request_max_num_generation_tokens", "Generated tokens, longest.", window)
        self._max_tokens = distribution("request_params_max_tokens", "`max_tokens` of a request.", window)
        self._computed = distribution("request_prefill_kv_computed_tokens", "Prompt tokens not cached.", window)
        self._sizes = (self._prompt_sizes, self._output_sizes, self._max_outputs, self._max_tokens, self._computed)
        self._choices = distribution("request_params_n", "Answers of a request.", CHOICES)
        self._first_token = distribution("time_to_first_token_seconds", "Time to the first token.", FIRST_TOKEN)
        self.between_tokens = distribution("inter_token_latency_seconds", "Time between tokens.", BETWEEN_TOKENS)
        self._per_token = distribution(
            "request_time_per_output_token_seconds", "Mean time between the tokens of a request.", BETWEEN_TOKENS
        )
        self._e2e = distribution("e2e_request_latency_seconds", "Time from a request to its last token.", LATENCY)
        self._queue = distribution("request_queue_time_seconds", "Time that a request waits in the engine.", LATENCY)
        self._prefill = distribution("request_prefill_time_seconds", "Time to read a prompt.", LATENCY)
        self._decode = distribution("request_decode_time_seconds", "Time from first to last token.", LATENCY)
        self._inference = distribution("request_inference_time_seconds", "Time in the batch.", LATENCY)
        self._preempted = distribution("request_num_preemptions", "Preemptions of a request.", PREEMPTIONS)

    def loaded(self, max_model_len: int) -> None:
        """Note that a model was loaded. Its context window bounds the size of requests."""
        for distribution in self._sizes:
            distribution.rebound(token_buckets(max_model_len))

    # -- what is counted

    def first_token(self, seconds: float) -> None:
        """Note that a generation has its first tokens, so many seconds after it was asked for."""
        self._first_token.observe(seconds, *self._own)

    def finished(self, done: Finished) -> None:
        """Note that a generation has ended."""
        own, times = self._own, done.times
        self.success.add(1, *own, done.reason)
        if times.first_at is None or times.ended_at is None:
            return  # aborted before it had anything
        self._e2e.observe(times.ended_at - times.began_at, *own)
        seconds = times.ended_at - times.first_at - times.aside_seconds
        between = seconds / (done.num_output - 1) if done.num_output > 1 else 0.0
        self._per_token.observe(between, *own)
        self._prompt_sizes.observe(done.num_prompt, *own)
        self._output_sizes.observe(done.num_output, *own)
        self._max_outputs.observe(done.num_output, *own)
        self._max_tokens.observe(done.max_tokens, *own)
        self._computed.observe(done.num_prompt - done.num_cached, *own)
        self._choices.observe(1, *own)

    def generated(self, num_tokens: int) -> None:
        """Note that a response is over, with so many generated tokens, which `running_tokens` no longer counts."""
        self._num_generated += num_tokens

    def prompt_read(self, num_tokens: int, num_cached: int, num_external: int = 0) -> None:
        """Note that a prompt was read, and how much of it was cached, in the engine's own cache or in an
        external one.
        """
        own = self._own
        self.prompt_tokens.add(num_tokens, *own)
        self.prompt_tokens_cached.add(num_cached, *own)
        parts = (num_tokens - num_cached, num_cached - num_external, num_external)
        for source, part in zip(SOURCES, parts, strict=True):
            self.prompt_tokens_by_source.add(part, *own, source)

    def left_batch(self, core: CoreTimes, last_at: float) -> None:
        """Note that a request has ended in EngineCore without being aborted."""
        own = self._own
        self._queue.observe(core.scheduled_at - core.queued_at, *own)
        self._prefill.observe(core.first_at - core.scheduled_at, *own)
        self._decode.observe(last_at - core.first_at, *own)
        self._inference.observe(last_at - core.scheduled_at, *own)
        self._preempted.observe(core.num_preemptions, *own)

    def preempted(self) -> None:
        """Note that a request was preempted."""
        self.preemptions.add(1, *self._own)

    def step(self, num_tokens: int, num_decoding: int, seconds: float) -> None:
        """Note an engine step: so many tokens, and so many requests whose previous token came `seconds` ago."""
        self.step_tokens.observe(num_tokens, *self._own)
        if num_decoding > 0:
            self.between_tokens.observe(seconds, *self._own, times=num_decoding)

    def looked_up(self, queries: int, hits: int) -> None:
        """Note that prompt tokens were looked up in the prefix cache."""
        self.prefix_queries.add(queries, *self._own)
        self.prefix_hits.add(hits, *self._own)
        self._cached_by_source.add(hits, *self._own, "device")

    def looked_up_elsewhere(self, queries: int, hits: int) -> None:
        """Note that prompt tokens were looked up in an external cache."""
        self.external_queries.add(queries, *self._own)
        self.external_hits.add(hits, *self._own)

    def images_looked_up(self, queries: int, hits: int) -> None:
        """Note that images were looked up."""
        self.mm_queries.add(queries, *self._own)
        self.mm_hits.add(hits, *self._own)

    def drafted(self, counts: Mapping[str, float], accepted: Sequence[int]) -> None:
        """Note that tokens were drafted (speculative decoding). `counts`: of DRAFTS. `accepted`: by position in a
        draft.
        """
        if not self._drafts:
            for name in DRAFTS:
                self._drafts[name] = Tally(f"vllm:spec_decode_{name}", "Speculative decoding.", _LABELS)
            name = "num_accepted_tokens_per_pos"
            self._drafts[name] = Tally(f"vllm:spec_decode_{name}", "Accepted by position.", (*_LABELS, "position"))
        for name in DRAFTS:
            self._drafts[name].add(counts[name], *self._own)
        for position, number in enumerate(accepted):
            self._drafts["num_accepted_tokens_per_pos"].add(number, *self._own, str(position))

    # -- what is read out

    def collect(self) -> Iterator[Tally | Distribution | Metric]:
        """Yield all families of metrics."""
        yield from self._momentary()
        yield from self._tallies
        yield from self._drafts.values()
        yield from self._distributions

    def _momentary(self) -> Iterator[Tally | Metric]:
        load, own = self.load(), self._own
        generated = Tally("vllm:generation_tokens", "Tokens that were generated.", _LABELS)
        generated.add(self._num_generated + self.running_tokens(), *own)
        yield generated
        for name, text, value in (
            ("num_requests_running", "Requests in the engine's batch.", load.num_running),
            ("num_requests_waiting", "Requests that wait in the engine.", load.num_waiting),
            ("kv_cache_usage_perc", "Share of the KV cache in use; 1 is all of it.", load.kv_cache_usage),
        ):
            yield gauge(f"vllm:{name}", text, {own: value}, _LABELS)
        waiting: dict[Labels, float] = {
            (*own, "capacity"): load.num_waiting - load.num_deferred,
            (*own, "deferred"): load.num_deferred,
        }
        text = "Requests that wait in the engine, by reason."
        yield gauge("vllm:num_requests_waiting_by_reason", text, waiting, (*_LABELS, "reason"))
        states: dict[Labels, float] = {
            (*own, "awake"): 1, (*own, "weights_offloaded"): 0, (*own, "discard_all"): 0,
        }  # fmt: skip
        yield gauge(
            "vllm:engine_sleep_state", "Whether the engine sleeps; ours never does.", states, (*_LABELS, "sleep_state")
        )
        if self.info is not None:
            info = GaugeMetricFamily("vllm:cache_config_info", "The KV cache's configuration.", labels=list(self.info))
            info.add_metric(list(self.info.values()), 1)
            yield info

    def _tally(self, name: str, text: str, label: str = "", values: tuple[str, ...] = ()) -> Tally:
        begin: list[Labels] = [(*self._own, value) for value in values] or [self._own]
        tally = Tally(f"vllm:{name}", text, (*_LABELS, label) if label else _LABELS, begin)
        self._tallies.append(tally)
        return tally

    def _distribution(self, name: str, text: str, bounds: tuple[float, ...]) -> Distribution:
        distribution = Distribution(f"vllm:{name}", text, bounds, _LABELS, [self._own])
        self._distributions.append(distribution)
        return distribution
