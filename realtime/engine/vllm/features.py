"""A prompt's images in the form of vLLM's token-in, token-out endpoint: the member `features` of its requests.

The node runs the model's processor, and the engine gets what it has made. The endpoint is told where an image is by the
place of its first token and a number of tokens (`PlaceholderRangeInfo`), so what the model sees of an image has to be
one piece of the prompt: of the marks around it nothing needs to be said, but no marks may be within it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from realtime.engine.base import EngineRefused

IN_PIECES = (
    "the model takes an image in several pieces, which engines elsewhere can't be told: show it a smaller image, or "
    "use an engine of the server's own"
)


class Features(msgspec.Struct, frozen=True):
    """The images of a processed prompt. `sent`: the member of a request. `places`: where each one's first token is, in
    order, and the hash by which the engine's prefix cache knows it.
    """

    sent: msgspec.Raw
    places: tuple[tuple[int, str], ...]


def features_of(inputs: Any) -> Features:
    """Encode the images of a processed prompt, by their kinds. Takes CPU time, not on the event loop. Raises
    EngineRefused.
    """
    from vllm.entrypoints.scale_out.token_in_token_out.mm_serde import encode_mm_kwargs_item  # internal: as vLLM does

    places = {kind: list(map(_place, ranges)) for kind, ranges in inputs["mm_placeholders"].items()}
    data = {kind: list(map(encode_mm_kwargs_item, items)) for kind, items in inputs["mm_kwargs"].items()}
    hashes = inputs["mm_hashes"]
    sent = msgspec.json.encode({"mm_hashes": hashes, "mm_placeholders": places, "kwargs_data": data})
    pairs = ((place["offset"], name) for kind in places for place, name in zip(places[kind], hashes[kind], strict=True))
    return Features(msgspec.Raw(sent), tuple(sorted(pairs)))


def _place(placeholder: Any) -> dict[str, int]:
    pieces = placeholder.extract_embeds_range()
    if len(pieces) != 1:
        raise EngineRefused(IN_PIECES)
    [(first, last)] = pieces
    return {"offset": first, "length": last - first + 1}
