"""A translation of vLLM's exceptions into errors of the `Engine` protocol."""

from __future__ import annotations

from realtime.engine.base import EngineDead, EngineError, EngineOverloaded, EngineRefused


def translate(error: Exception) -> EngineError:
    """Return the protocol's error for an exception of vLLM's."""
    from vllm.exceptions import GracefulHTTPError, VLLMClientError
    from vllm.v1.engine.exceptions import EngineDeadError

    match error:
        case EngineError():
            return error
        case EngineDeadError():
            return EngineDead(str(error))
        case GracefulHTTPError():  # QueueOverflowError, MaxQueuedTokensError
            return EngineOverloaded(str(error))
        case VLLMClientError() | ValueError() | TypeError() | OverflowError():
            return EngineRefused(str(error))
        case _:
            return EngineError(f"{type(error).__name__}: {error}")
