"""The steps in the journal besides events: the engine's chunks, and the requests made to it. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from realtime.context.turns import Turn
from realtime.engine.base import FinishReason, TokenChunk, TokenLogprob
from realtime.store.records import Begun, GoesOn, Note, digest_of

from .journal import Chunk
from .packing import from_numbers, to_numbers
from .turns import PackedPrompt, pack_prompt, unpack_prompt

_FINISHES = (None, FinishReason.STOP, FinishReason.LENGTH, FinishReason.ABORT)
_NUMBERS = {finish: number for number, finish in enumerate(_FINISHES)}


class _Rest(msgspec.Struct, array_like=True):
    """Members that few chunks have."""

    stop_reason: str | int | None
    num_cached: int
    logprobs: Sequence[Sequence[TokenLogprob]] | None


class _Begun(msgspec.Struct, array_like=True, tag=0):
    """A generation that was begun. `digest`: of the prompt's tokens, most of which are those of the turn that it
    continues.
    """

    number: int
    prompt: PackedPrompt | None
    digest: int
    seed: int | None
    fingerprint: str
    freed: bool


class _GoesOn(msgspec.Struct, array_like=True, tag=1):
    attempts: int
    epoch: str
    left: bool
    lonely: bool = False
    detached: bool = False


_encode = msgspec.msgpack.Encoder().encode
_decode_rest = msgspec.msgpack.Decoder(_Rest).decode
_decode_note = msgspec.msgpack.Decoder(_Begun | _GoesOn).decode


def chunk_of(
    number: int, first: int, events: Sequence[bytes], what: TokenChunk | Note | None, num_hidden: int
) -> Chunk:
    """Return the chunk for one `append` or `note`."""
    if what is None:
        return Chunk(number, first, events, b"", num_hidden)
    if not isinstance(what, TokenChunk):
        return Chunk(number, first, events, note=_encode(_packed(what)))
    rest = b""
    if what.stop_reason is not None or what.num_cached_tokens or what.logprobs is not None:
        rest = _encode(_Rest(what.stop_reason, what.num_cached_tokens, what.logprobs))
    return Chunk(number, first, events, from_numbers(what.token_ids), 0, what.text, _NUMBERS[what.finish], rest)


def given_in(chunk: Chunk) -> TokenChunk | None:
    """Return the engine's chunk; None: this did not come from the engine. Raises ValueError."""
    if chunk.text is None:
        return None
    rest = _decode_rest(chunk.rest) if chunk.rest else _Rest(None, 0, None)
    tokens, finish = to_numbers(chunk.tokens), _FINISHES[chunk.finish]
    return TokenChunk(chunk.text, tokens, finish, rest.stop_reason, rest.num_cached, rest.logprobs)


def note_in(chunk: Chunk, parent: Turn | None) -> Note | None:
    """Return the note in a chunk, if it has one. `parent`: the turn that the response continues. Raises ValueError."""
    if not chunk.note:
        return None
    kept = _decode_note(chunk.note)
    if isinstance(kept, _GoesOn):
        return GoesOn(
            attempts=kept.attempts, epoch=kept.epoch, left=kept.left, lonely=kept.lonely, detached=kept.detached
        )
    prompt = unpack_prompt(kept.prompt, parent) if kept.prompt is not None else None
    if prompt is not None and digest_of(prompt) != kept.digest:
        prompt = None
    return Begun(
        number=kept.number,
        prompt=prompt,
        digest=kept.digest,
        parent=parent,
        seed=kept.seed,
        fingerprint=kept.fingerprint,
        freed=kept.freed,
    )


def _packed(note: Note) -> _Begun | _GoesOn:
    if isinstance(note, GoesOn):
        return _GoesOn(note.attempts, note.epoch, note.left, note.lonely, note.detached)
    prompt = note.prompt
    assert prompt is not None
    packed = pack_prompt(prompt, note.parent) if not prompt.pictures else None
    return _Begun(note.number, packed, digest_of(prompt), note.seed, note.fingerprint, note.freed)
