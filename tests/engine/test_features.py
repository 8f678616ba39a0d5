"""Images as an engine elsewhere is told of them, read back by vLLM's own code."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from realtime.engine.base import EngineRefused
from realtime.engine.vllm.features import features_of

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.filterwarnings("ignore"),  # importing vLLM and torch warns of their own affairs
]


def processed(*marks: str | None) -> Any:
    """A prompt with images, each at 10, 20, ...: `.` stands for a mark around it, `x` for what is seen."""
    import torch
    from vllm.multimodal.inputs import MultiModalFieldElem, MultiModalKwargsItem, PlaceholderRange
    from vllm.multimodal.inputs import MultiModalSharedField as Field

    ranges, items = [], []
    for number, one in enumerate(marks, 1):
        mask = None if one is None else torch.tensor([letter == "x" for letter in one])
        ranges.append(PlaceholderRange(offset=number * 10, length=len(one or "xxx"), is_embed=mask))
        elem = MultiModalFieldElem(data=torch.full((2, 2), number), field=Field(batch_size=1))
        items.append(MultiModalKwargsItem({"pixel_values": elem}))
    hashes = {"image": [f"key {number}" for number in range(len(marks))]}
    return {"mm_placeholders": {"image": ranges}, "mm_kwargs": {"image": items}, "mm_hashes": hashes}


def test_what_is_seen_is_told_and_the_marks_around_it_are_not() -> None:
    from vllm.entrypoints.scale_out.token_in_token_out.mm_features import mm_kwargs_from_features
    from vllm.entrypoints.scale_out.token_in_token_out.protocol import MultiModalFeatures

    inputs = processed("..xxxx.", None, "x")
    read = MultiModalFeatures.model_validate_json(bytes(features_of(inputs)))
    places = [(one.offset, one.length) for one in read.mm_placeholders["image"]]
    assert places == [(12, 4), (20, 3), (30, 1)]
    assert read.mm_hashes == inputs["mm_hashes"]
    pixels = [one["pixel_values"].data.tolist() for one in mm_kwargs_from_features(read)["image"] if one is not None]
    assert pixels == [[[number] * 2] * 2 for number in (1, 2, 3)]


@pytest.mark.parametrize("marks", ["xx.xx", ".x.x", "..."])
def test_an_image_in_several_pieces_is_refused(marks: str) -> None:
    with pytest.raises(EngineRefused, match="several pieces"):
        features_of(processed(None, marks))


def test_what_is_encoded_is_sent_as_it_is() -> None:
    from realtime.engine.remote.wire import body

    sent = msgspec.json.decode(body("a", (1,), {}, features=msgspec.Raw(b'{"mm_hashes":{}}')))
    assert sent["features"] == {"mm_hashes": {}}
