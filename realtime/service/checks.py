"""Checks of a request by itself, before what it refers to is looked up. Pure; raises WireError."""

from __future__ import annotations

from realtime.dialects.base import Dialect
from realtime.engine.base import ModelInfo
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.requests import HARMONY_MESSAGES, ResponseCreate

# What a chat template is given besides variables: names of these would be taken for orders to the tokenizer.
_NO_TEMPLATE_VARIABLES = frozenset(
    {
        "add_generation_prompt", "chat_template", "continue_final_message", "conversation", "documents", "max_length",
        "messages", "padding", "processor_kwargs", "self", "tokenize", "tokenizer_kwargs", "tools", "truncation",
    }
)  # fmt: skip


def check_request(request: ResponseCreate, model: ModelInfo, dialect: Dialect) -> None:
    """Check what must hold both for creating and for counting."""
    _check_model(request.model, model)
    _check_supported(request)
    _check_harmony(request, dialect)
    _check_template_variables(request)


def check_background(request: ResponseCreate) -> None:
    """Refuse a background response that could not be found again, or that would depend on a reader."""
    if not request.background:
        return
    if request.store is False:
        text = "`background: true` needs a stored response: leave `store` out, or set it to true."
        raise WireError(ErrorCode.INVALID_REQUEST, text, param="background")
    if request.on_disconnect is not None and request.on_disconnect.policy != "continue":
        text = "A background response goes on without a reader: leave `on_disconnect` out."
        raise WireError(ErrorCode.INVALID_REQUEST, text, param="on_disconnect")


def check_history(request: ResponseCreate) -> None:
    """Refuse a request that names two histories."""
    if request.conversation_id is not None and request.previous_response_id is not None:
        text = "`conversation` and `previous_response_id` exclude each other: send one of them."
        raise WireError(ErrorCode.INVALID_REQUEST, text, param="conversation")


def _check_model(name: str | None, model: ModelInfo) -> None:
    if name is not None and name not in (model.name, model.path):
        text = f"Model '{name}' is not served here; this server serves '{model.name}'."
        raise WireError(ErrorCode.MODEL_NOT_FOUND, text, param="model")


def _check_supported(request: ResponseCreate) -> None:
    """Refuse what OpenAI's service supports and this one does not, where ignoring it would change the answer."""
    if request.prompt is not None:
        text = "`prompt` is not supported, no templates are stored here: send `instructions` and `input`."
        raise WireError(ErrorCode.UNSUPPORTED_PARAMETER, text, param="prompt")
    if request.moderation is not None:
        text = "`moderation` is not supported: no moderation model is run here, so nothing would be scored or blocked."
        raise WireError(ErrorCode.UNSUPPORTED_PARAMETER, text, param="moderation")


def _check_harmony(request: ResponseCreate, dialect: Dialect) -> None:
    """Refuse a history that is given twice, and Harmony messages for a model that does not speak Harmony."""
    held = request.previous_input_messages is not None
    if held and (request.previous_response_id is not None or request.conversation is not None):
        other = "conversation" if request.previous_response_id is None else "previous_response_id"
        text = f"The history is given twice: send `{other}` or `previous_input_messages`, not both."
        raise WireError(ErrorCode.INVALID_REQUEST, text, param="previous_input_messages")
    if not dialect.speaks_harmony and (held or HARMONY_MESSAGES in (request.include or ())):
        text = f"The model does not speak Harmony, so there is no `{HARMONY_MESSAGES}`: send and read items."
        param = "previous_input_messages" if held else "include"
        raise WireError(ErrorCode.UNSUPPORTED_PARAMETER, text, param=param)


def _check_template_variables(request: ResponseCreate) -> None:
    for name in request.chat_template_kwargs or ():
        if name in _NO_TEMPLATE_VARIABLES or name.startswith("return_"):
            text = f"`chat_template_kwargs` may set variables of the chat template; '{name[:64]}' is not one."
            raise WireError(ErrorCode.INVALID_REQUEST, text, param=f"chat_template_kwargs.{name[:64]}")
