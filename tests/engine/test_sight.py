"""What can be told of images without a model: who wrote a marker."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from realtime.engine.base import EngineRefused
from realtime.engine.vllm.sight import check_markers, sight_of

MARKER = 9


def llm(images: bool = True, **config: int) -> Any:
    limits = {"image": 1} if images else {}
    processor = SimpleNamespace(info=SimpleNamespace(allowed_mm_limits=limits))
    return SimpleNamespace(
        model_config=SimpleNamespace(hf_config=SimpleNamespace(**config), supports_multimodal_inputs=True),
        renderer=SimpleNamespace(get_mm_processor=lambda: processor),
    )


@pytest.mark.parametrize("name", ["image_token_id", "image_token_index"])
def test_a_marker_without_an_image_is_refused(name: str) -> None:
    config: dict[str, Any] = {name: MARKER}
    model = llm(**config)
    check_markers(model, [1, 2], 0)
    check_markers(model, [1, MARKER, 2], 1)
    with pytest.raises(EngineRefused, match="marker"):
        check_markers(model, [1, MARKER, 2], 0)
    with pytest.raises(EngineRefused, match="marker"):
        check_markers(model, [MARKER, MARKER], 1)


def test_a_model_without_images_has_no_marker() -> None:
    check_markers(llm(), [MARKER], 0)


def test_a_model_that_takes_other_media_only_does_not_see() -> None:
    assert sight_of(llm(images=False)) == (False, None)
    text_only = llm()
    text_only.model_config.supports_multimodal_inputs = False
    assert sight_of(text_only) == (False, None)
