"""Images as an engine elsewhere is told of them, read back by vLLM's own code."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.engine.base import EngineRefused
from realtime.engine.remote.affinity import BLOCK_TOKENS, keys_of
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
    read = MultiModalFeatures.model_validate_json(bytes(features_of(inputs).sent))
    places = [(one.offset, one.length) for one in read.mm_placeholders["image"]]
    assert places == [(12, 4), (20, 3), (30, 1)]
    assert read.mm_hashes == inputs["mm_hashes"]
    pixels = [one["pixel_values"].data.tolist() for one in mm_kwargs_from_features(read)["image"] if one is not None]
    assert pixels == [[[number] * 2] * 2 for number in (1, 2, 3)]


def test_the_places_are_in_order_whatever_the_order_of_the_kinds() -> None:
    inputs = processed("..xxxx.", None)
    for name in ("mm_placeholders", "mm_kwargs", "mm_hashes"):
        inputs[name] = {"other": [inputs[name]["image"].pop()], **inputs[name]}
    assert features_of(inputs).places == ((12, "key 0"), (20, "key 1"))


NUM_TOKENS, IMAGE_TOKENS = 3 * BLOCK_TOKENS, 80  # so that an image may be in two blocks
shown = st.lists(st.tuples(st.integers(0, NUM_TOKENS // 20), st.sampled_from("xy")), max_size=2)


@given(st.lists(shown, min_size=2, max_size=2))
def test_prompts_have_in_common_what_the_prefix_cache_of_vllm_says(both: list[list[tuple[int, str]]]) -> None:
    from vllm.utils.hashing import sha256
    from vllm.v1.core.kv_cache_utils import generate_block_hash_extra_keys, hash_block_tokens, init_none_hash

    init_none_hash(sha256)

    def names(steps: list[tuple[int, str]]) -> tuple[list[Any], list[Any]]:
        ids, places, free = [1] * NUM_TOKENS, list[tuple[int, str]](), 0
        for step, name in steps:
            at = free + step * 20
            if at + IMAGE_TOKENS <= NUM_TOKENS:
                ids[at : at + IMAGE_TOKENS] = [2] * IMAGE_TOKENS
                places.append((at, name))
                free = at + IMAGE_TOKENS
        features = [
            SimpleNamespace(identifier=name, mm_position=SimpleNamespace(offset=at, length=IMAGE_TOKENS))
            for at, name in places
        ]
        request: Any = SimpleNamespace(mm_features=features, lora_request=None, cache_salt=None, prompt_embeds=None)
        theirs, before, number = [], None, 0
        for at in range(0, NUM_TOKENS, BLOCK_TOKENS):
            extra, number = generate_block_hash_extra_keys(request, at, at + BLOCK_TOKENS, number)
            before = hash_block_tokens(sha256, before, ids[at : at + BLOCK_TOKENS], extra)
            theirs.append(before)
        return keys_of(ids, None, places), theirs

    (ours, theirs), (our_others, their_others) = map(names, both)
    alike = [a == b for a, b in zip(ours, our_others, strict=True)]
    assert alike == [a == b for a, b in zip(theirs, their_others, strict=True)]


@pytest.mark.parametrize("marks", ["xx.xx", ".x.x", "..."])
def test_an_image_in_several_pieces_is_refused(marks: str) -> None:
    with pytest.raises(EngineRefused, match="several pieces"):
        features_of(processed(None, marks))


def test_what_is_encoded_is_sent_as_it_is() -> None:
    from realtime.engine.remote.wire import body

    sent = msgspec.json.decode(body("a", (1,), {}, features=msgspec.Raw(b'{"mm_hashes":{}}')))
    assert sent["features"] == {"mm_hashes": {}}
