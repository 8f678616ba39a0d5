"""Blobs that a client keeps for us."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.context.encrypted import KEY_BYTES, Cipher, NotOurs

CIPHER = Cipher(b"k" * KEY_BYTES)
BLOB = CIPHER.encrypt("reasoning", "me", "hmm")


@given(text=st.text(st.characters(exclude_categories=["Cs"])), owner=st.text(st.characters(exclude_categories=["Cs"])))
def test_what_was_sealed_can_be_opened(text: str, owner: str) -> None:
    assert CIPHER.decrypt("reasoning", owner, CIPHER.encrypt("reasoning", owner, text)) == text


def test_a_blob_does_not_show_what_is_in_it_and_is_never_the_same() -> None:
    text = "a secret thought"
    blobs = {CIPHER.encrypt("reasoning", "me", text) for _ in range(20)}
    assert len(blobs) == 20
    assert not any(text in blob for blob in blobs)


@pytest.mark.parametrize(
    ("purpose", "owner"), [("reasoning", "you"), ("compaction", "me"), ("reasoning", ""), ("reasoning\0me", "")]
)
def test_a_blob_is_for_one_purpose_and_one_owner(purpose: str, owner: str) -> None:
    with pytest.raises(NotOurs):
        CIPHER.decrypt(purpose, owner, BLOB)


@pytest.mark.parametrize(
    "blob",
    [
        "",
        "rt1.",
        "rt1.AAAA",
        "rt1.?",
        "rt1.é",
        "gAAAAABn",
        BLOB[:-4],
        BLOB[4:],
        BLOB + "AAAA",
        BLOB.replace("rt1.", "rt2."),
    ],
    ids=range(10),  # BLOB is random, and all workers must know a test by one name
)
def test_what_we_did_not_seal_is_refused(blob: str) -> None:
    with pytest.raises(NotOurs):
        CIPHER.decrypt("reasoning", "me", blob)


@given(at=st.integers(4, len(BLOB) - 2), by=st.sampled_from("AZaz09-_"))
def test_a_changed_blob_is_refused(at: int, by: str) -> None:
    changed = BLOB[:at] + by + BLOB[at + 1 :]
    if changed != BLOB:
        with pytest.raises(NotOurs):
            CIPHER.decrypt("reasoning", "me", changed)


def test_without_a_key_each_sealer_has_its_own() -> None:
    with pytest.raises(NotOurs):
        Cipher().decrypt("reasoning", "me", Cipher().encrypt("reasoning", "me", "hmm"))
