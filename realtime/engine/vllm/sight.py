"""Images through vLLM: whether the model takes them, and how its processor turns a prompt with images into tokens.

vLLM's renderer runs the model's own processor in a thread of its own, which scales the images and puts as many tokens
for each into the prompt as it takes. Places that rely on vLLM's internals are marked `# internal:`, as in `engine.py`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from realtime.engine.base import EngineRefused, Seen
from realtime.engine.pictures import View

if TYPE_CHECKING:
    from vllm.v1.engine.async_llm import AsyncLLM


def sight_of(llm: AsyncLLM) -> tuple[bool, str | None]:
    """Return whether the model takes images, and the marker if its template takes text only."""
    if not _takes_images(llm):
        return False, None
    from vllm.model_executor.model_loader import get_model_cls
    from vllm.renderers.hf import resolve_chat_template_content_format

    config = llm.model_config
    tokenizer = llm.get_tokenizer()
    form = resolve_chat_template_content_format(None, None, "auto", tokenizer, model_config=config)
    if form == "openai":
        return True, None
    return True, get_model_cls(config).get_placeholder_str("image", 1) or ""


async def look(llm: AsyncLLM, prompt_token_ids: Sequence[int], views: Sequence[View]) -> Seen:
    """Process a prompt's images; see `Engine.look`. Raises what vLLM raises, and EngineRefused."""
    check_markers(llm.model_config, prompt_token_ids, len(views))
    prompt = {
        "prompt_token_ids": list(prompt_token_ids),
        "multi_modal_data": {"image": [view.pixels for view in views]},
        "multi_modal_uuids": {"image": [view.key for view in views]},
    }
    # skip_mm_cache: the other cache leaves out what it has sent to EngineCore before, and takes for sent whatever it
    # was asked for; a prompt that is looked at and then not submitted (too long, cancelled) would confuse it for good.
    inputs: Any = await llm.renderer.process_for_engine_async(prompt, time.time(), skip_mm_cache=True)
    return Seen(inputs["prompt_token_ids"], inputs)


def check_markers(model_config: Any, prompt_token_ids: Sequence[int], num_pictures: int) -> None:
    """Refuse text that contains the marker of an image. The model would look for an image in its place, and the missing
    one can end EngineCore.
    """
    check_marker(marker_of(model_config), prompt_token_ids, num_pictures)


def marker_of(model_config: Any) -> int | None:
    """Return the token that marks an image; None if the model has none."""
    config = model_config.hf_config
    marker: int | None = getattr(config, "image_token_id", None) or getattr(config, "image_token_index", None)
    return marker


def check_marker(marker: int | None, prompt_token_ids: Sequence[int], num_pictures: int) -> None:
    """See `check_markers`."""
    if marker is not None and list(prompt_token_ids).count(marker) > num_pictures:
        raise EngineRefused("the text holds the model's marker of an image, which only an image may bring")


def _takes_images(llm: AsyncLLM) -> bool:
    if not llm.model_config.supports_multimodal_inputs:
        return False
    return bool(llm.renderer.get_mm_processor().info.allowed_mm_limits.get("image"))
