"""vLLM's statistics, read without its own recording, which costs time for each token.

EngineCore is started with its statistics on: with each step it reports its scheduler's state, and with a request's
first tokens the times of its life there. Both come with outputs that come anyway. Only the part that vLLM's front end
computes for each token stays off. Places that rely on internals are marked `# internal:`, as in `engine.py`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from realtime.observability.engine_metrics import DRAFTS, CoreTimes, EngineMetrics

if TYPE_CHECKING:
    from vllm.v1.engine.async_llm import AsyncLLM
    from vllm.v1.metrics.stats import SchedulerStats

_TIMES = "realtime_times"  # the attribute of a request's state in vLLM's front end, with which it goes
_SUFFIX = 9  # internal: `-` and eight random characters
_QUEUED, _SCHEDULED, _PREEMPTED = 1, 2, 3  # internal: EngineCoreEventType


class Statistics:
    """The scheduler's newest report, and the metrics made from it and from requests' outputs."""

    def __init__(self, metrics: EngineMetrics) -> None:
        self.num_waiting = 0  # deferred ones included
        self.num_deferred = 0
        self.kv_cache_usage = 0.0
        self._prefill: Mapping[str, int] = {}  # see core_patches; by vLLM's ids
        self._metrics = metrics
        self._llm: AsyncLLM | None = None
        self._steps: deque[float] = deque([0.0], maxlen=1)  # when the ones before ended, as many as overlap
        self._now = 0.0  # of the step whose outputs are processed
        self._num_first = 0  # its requests that have their first token ...
        self._num_read = 0  # ... and the tokens of their prompts that were computed

    def attach(self, llm: AsyncLLM) -> None:
        """Make vLLM report here instead of to its own loggers."""
        config, processor = llm.vllm_config, llm.output_processor
        # internal: the output handler reads these once, when it starts
        llm.log_stats = processor.log_stats = False
        llm.logger_manager = None
        processor.update_scheduler_stats = self.on_scheduler
        # internal: called for each output, and does nothing without statistics
        processor._update_stats_from_output = self.on_output
        processor._update_stats_from_finished = self.on_finished
        process = processor.process_outputs

        def process_outputs(outputs: Sequence[Any], timestamp: float | None = None, *args: Any, **kwargs: Any) -> Any:
            self.begin_step(timestamp or 0.0)
            try:
                return process(outputs, timestamp, *args, **kwargs)
            finally:
                self.end_step(len(outputs))

        processor.process_outputs = process_outputs
        self._steps = deque(maxlen=config.parallel_config.pipeline_parallel_size)
        self._metrics.loaded(config.model_config.max_model_len)
        self._metrics.info = {**config.cache_config.metrics_info(), "engine": "0"}
        self._llm = llm

    # -- once for each step

    def begin_step(self, timestamp: float) -> None:
        """Begin a step's outputs, all of them or a part. `timestamp`: when the step ended, on EngineCore's clock."""
        if timestamp != self._now:
            self._steps.append(self._now)
        self._now, self._num_first, self._num_read = timestamp, 0, 0

    def end_step(self, num_outputs: int) -> None:
        """Count the processed outputs: one for each request that had tokens. Every request that is not at its first
        token had its previous one when the step before ended; with a pipeline, as many steps before as the pipeline is
        long.
        """
        if num_outputs:
            self._metrics.step(self._num_read + num_outputs, num_outputs - self._num_first, self._now - self._steps[0])

    def on_scheduler(self, stats: SchedulerStats | None) -> None:
        """Take the scheduler's report. Replaces `OutputProcessor.update_scheduler_stats`."""
        if stats is None:
            return
        self.num_deferred = stats.num_skipped_waiting_reqs
        self.num_waiting = stats.num_waiting_reqs + stats.num_skipped_waiting_reqs
        self.kv_cache_usage = stats.kv_cache_usage
        self._prefill = stats.running_lora_adapters
        if (cache := stats.prefix_cache_stats).queries:
            self._metrics.looked_up(cache.queries, cache.hits)
        if (other := stats.connector_prefix_cache_stats) is not None and other.queries:
            self._metrics.looked_up_elsewhere(other.queries, other.hits)
        if (drafts := stats.spec_decoding_stats) is not None:
            counts = {name: getattr(drafts, name) for name in DRAFTS}
            self._metrics.drafted(counts, drafts.num_accepted_tokens_per_pos)
        if self._llm is not None and (images := self._llm.renderer.stat_mm_cache()) is not None and images.queries:
            self._metrics.images_looked_up(images.queries, images.hits)

    @property
    def prefill(self) -> dict[str, int]:
        """Return how far prompts are read; see EngineStats. vLLM's id of a request is ours with a suffix."""
        return {name[:-_SUFFIX]: number for name, number in self._prefill.items()}

    # -- for what begins, ends or is put back

    def on_output(self, state: Any, output: Any, timestamp: float | None = None, _: Any = None) -> None:
        """Take a request's output. Replaces `OutputProcessor._update_stats_from_output`."""
        if output.events is not None:
            self._note(_times_of(state), output.events)
        if not state.is_prefilling:
            return
        _times_of(state).first_at = self._now
        self._num_first += 1
        if (read := output.prefill_stats) is not None:
            self._num_read += read.num_computed_tokens
            self._metrics.prompt_read(read.num_prompt_tokens, read.num_cached_tokens, read.num_external_cached_tokens)

    def on_finished(self, state: Any, reason: Any = None, _: Any = None) -> None:
        """Note that a request has ended by itself. Replaces `OutputProcessor._update_stats_from_finished`."""
        self._metrics.left_batch(_times_of(state), self._now)

    def _note(self, times: CoreTimes, events: Sequence[Any]) -> None:
        for event in events:
            if event.type == _QUEUED:
                times.queued_at = event.timestamp
            elif event.type == _SCHEDULED and not times.scheduled_at:  # not again, after a preemption
                times.scheduled_at = event.timestamp
            elif event.type == _PREEMPTED:
                times.num_preemptions += 1
                self._metrics.preempted()


def _times_of(state: Any) -> CoreTimes:
    times: CoreTimes | None = getattr(state, _TIMES, None)
    if times is None:
        times = CoreTimes()
        setattr(state, _TIMES, times)
    return times
