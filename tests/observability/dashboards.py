"""The metrics that vLLM's own dashboards, routers and autoscalers ask for: their names, as of vLLM 0.32.

From examples/observability of vLLM (`prometheus_grafana/grafana.json`, and of `dashboards/grafana`:
`performance_statistics`, `query_statistics`, `vllm_overview`, `vllm_instances`, `vllm_service_status`, and what
`vllm_kv_cache` asks of an engine without connectors), the Gateway API's inference extension, KEDA's examples and the
router of the production stack.
"""

from __future__ import annotations

GRAFANA = (
    "vllm:e2e_request_latency_seconds_bucket",
    "vllm:e2e_request_latency_seconds_count",
    "vllm:e2e_request_latency_seconds_sum",
    "vllm:generation_tokens_total",
    "vllm:inter_token_latency_seconds_bucket",
    "vllm:inter_token_latency_seconds_count",
    "vllm:inter_token_latency_seconds_sum",
    "vllm:kv_cache_usage_perc",
    "vllm:num_requests_running",
    "vllm:num_requests_waiting",
    "vllm:prompt_tokens_total",
    "vllm:request_decode_time_seconds_sum",
    "vllm:request_generation_tokens_bucket",
    "vllm:request_max_num_generation_tokens_sum",
    "vllm:request_prefill_time_seconds_sum",
    "vllm:request_prompt_tokens_bucket",
    "vllm:request_queue_time_seconds_sum",
    "vllm:request_success_total",
    "vllm:time_to_first_token_seconds_bucket",
    "vllm:time_to_first_token_seconds_count",
    "vllm:time_to_first_token_seconds_sum",
)
OTHER_DASHBOARDS = (
    "http_request_duration_seconds_count",
    "http_request_duration_seconds_sum",
    "http_requests_total",
    "process_start_time_seconds",
    "vllm:engine_sleep_state",
    "vllm:iteration_tokens_total_bucket",
    "vllm:iteration_tokens_total_count",
    "vllm:iteration_tokens_total_sum",
    "vllm:num_preemptions_total",
    "vllm:num_requests_waiting_by_reason",
    "vllm:prefix_cache_hits_total",
    "vllm:prefix_cache_queries_total",
    "vllm:prompt_tokens_by_source_total",
    "vllm:prompt_tokens_cached_total",
    "vllm:prompt_tokens_cached_by_source_total",
    "vllm:request_decode_time_seconds_bucket",
    "vllm:request_generation_tokens_count",
    "vllm:request_generation_tokens_sum",
    "vllm:request_inference_time_seconds_bucket",
    "vllm:request_num_preemptions_bucket",
    "vllm:request_params_max_tokens_bucket",
    "vllm:request_params_n_bucket",
    "vllm:request_prefill_kv_computed_tokens_bucket",
    "vllm:request_prefill_time_seconds_bucket",
    "vllm:request_prompt_tokens_count",
    "vllm:request_prompt_tokens_sum",
    "vllm:request_queue_time_seconds_bucket",
    "vllm:request_time_per_output_token_seconds_bucket",
)
ROUTERS = (
    "vllm:kv_cache_usage_perc",
    "vllm:num_requests_running",
    "vllm:num_requests_waiting",
    "vllm:prefix_cache_hits_total",
    "vllm:prefix_cache_queries_total",
)
ENGINE_ONLY = ("vllm:cache_config_info",)  # there when a model is loaded
ALL = tuple(sorted({*GRAFANA, *OTHER_DASHBOARDS, *ROUTERS}))
