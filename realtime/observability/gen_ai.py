"""The names of OpenTelemetry's conventions for generative AI, in one place because they are still changing. Pure.

From https://github.com/open-telemetry/semantic-conventions-genai (2026-11), except for `realtime.*`, which are ours.
"""

from __future__ import annotations

OPERATION = "gen_ai.operation.name"
CHAT = "chat"  # the value of it that fits best
PROVIDER = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
REQUEST_MAX_TOKENS = "gen_ai.request.max_tokens"
REQUEST_TEMPERATURE = "gen_ai.request.temperature"
REQUEST_TOP_P = "gen_ai.request.top_p"
PREVIOUS_ID = "gen_ai.request.previous_response.id"
RESPONSE_ID = "gen_ai.response.id"
RESPONSE_MODEL = "gen_ai.response.model"
FINISH_REASONS = "gen_ai.response.finish_reasons"
TIME_TO_FIRST_TOKEN = "gen_ai.response.time_to_first_chunk"  # seconds
CONVERSATION_ID = "gen_ai.conversation.id"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
CACHED_TOKENS = "gen_ai.usage.cache_read.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
REASONING_TOKENS = "gen_ai.usage.reasoning.output_tokens"
INPUT_MESSAGES = "gen_ai.input.messages"
OUTPUT_MESSAGES = "gen_ai.output.messages"
ERROR_TYPE = "error.type"

CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"  # the variable that allows contents
CAPTURES = frozenset({"true", "1", "span_only", "span_and_event"})  # its values that mean: in spans

REQUEST_ID = "realtime.request.id"
STATUS = "realtime.response.status"
REASON = "realtime.response.reason"
ABORT_MS = "realtime.response.abort_ms"
NUM_EVENTS = "realtime.response.events"
LINK = "realtime.link"  # what a link means: `continues`, `resumes`
REPLAYED = "realtime.resume.replayed_events"
OUTCOME = "realtime.resume.outcome"
