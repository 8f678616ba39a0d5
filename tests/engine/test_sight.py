"""What can be told of images without a model: who wrote a marker."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from realtime.engine.base import EngineRefused
from realtime.engine.pictures import read
from realtime.engine.vllm.sight import check_markers, look, sight_of
from tests.support.pictures import image

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
    check_markers(model.model_config, [1, 2], 0)
    check_markers(model.model_config, [1, MARKER, 2], 1)
    with pytest.raises(EngineRefused, match="marker"):
        check_markers(model.model_config, [1, MARKER, 2], 0)
    with pytest.raises(EngineRefused, match="marker"):
        check_markers(model.model_config, [MARKER, MARKER], 1)


def test_a_model_without_images_has_no_marker() -> None:
    check_markers(llm().model_config, [MARKER], 0)


def test_a_model_that_takes_other_media_only_does_not_see() -> None:
    assert sight_of(llm(images=False)) == (False, None)
    text_only = llm()
    text_only.model_config.supports_multimodal_inputs = False
    assert sight_of(text_only) == (False, None)


async def test_an_engine_knows_a_picture_by_its_key_alone() -> None:
    asked: list[dict[str, Any]] = []

    async def process(prompt: dict[str, Any], *_: Any, **named: Any) -> dict[str, Any]:
        asked.append(prompt)
        assert named == {"skip_mm_cache": True}
        return {"prompt_token_ids": [1, 2]}

    model = llm()
    model.renderer.process_for_engine_async = process
    picture = read(image(), 10_000)
    for salt in (None, "a", "b"):
        assert (await look(model, [1], [picture.view(salt)])).token_ids == [1, 2]
    keys = [prompt["multi_modal_uuids"]["image"] for prompt in asked]
    assert keys == [[picture.view(salt).key] for salt in (None, "a", "b")]
