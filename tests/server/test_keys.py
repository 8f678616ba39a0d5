"""The keys file and the ring that follows it."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from realtime.server.keys import KeyFile, KeyRing, KeysError, read_keys, write_keys


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def add(path: Path, name: str) -> str:
    keys, key = (read_keys(path) if path.exists() else KeyFile()).add(name)
    write_keys(path, keys)
    return key


# keys file


def test_a_key_is_long_random_and_fit_for_a_subprotocol() -> None:
    made = [KeyFile().add("anna")[1] for _ in range(50)]
    assert len(set(made)) == 50
    for key in made:
        assert key.startswith("rt_")
        assert len(key) == 3 + 43
        assert key.replace("-", "").replace("_", "").isalnum()


def test_the_file_holds_no_key_and_belongs_to_its_owner_only(path: Path) -> None:
    old_mask = os.umask(0)
    try:
        key = add(path, "anna")
    finally:
        os.umask(old_mask)
    assert path.stat().st_mode & 0o777 == 0o600
    assert key not in path.read_text()
    assert key.removeprefix("rt_") not in path.read_text()
    assert [entry.name for entry in path.parent.iterdir()] == ["keys.json"]


def test_same_key_twice_has_two_hashes() -> None:
    first, _ = KeyFile().add("anna")
    second, _ = KeyFile().add("anna")
    assert first.keys[0].salt != second.keys[0].salt


@pytest.mark.parametrize("name", ["", "a b", "a/b", "x" * 65, ".hidden", "ä", "local", "a\n"])
def test_names_that_can_not_be(name: str) -> None:
    with pytest.raises(KeysError):
        KeyFile().add(name)


def test_a_name_has_one_key() -> None:
    keys, _ = KeyFile().add("anna")
    with pytest.raises(KeysError, match="already"):
        keys.add("anna")
    with pytest.raises(KeysError, match="no key named 'bob'"):
        keys.remove("bob")
    assert keys.remove("anna").keys == ()


def test_a_failed_write_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add(path, "anna")
    before = path.read_bytes()

    def no_replace(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", no_replace)
    with pytest.raises(OSError, match="disk full"):
        add(path, "bob")
    assert path.read_bytes() == before
    assert len(list(path.parent.iterdir())) == 1


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"keys": 5}',
        '{"keyz": []}',
        '{"keys":[{"name":"a","salt":"zz","sha256":"' + "0" * 64 + '","created_at":""}]}',
        '{"keys":[{"name":"a","salt":"00","sha256":"0","created_at":""}]}',
    ],
)
def test_a_damaged_file_is_refused_at_the_start(path: Path, content: str) -> None:
    path.write_text(content)
    with pytest.raises(KeysError, match=r"keys\.json"):
        KeyRing(path)


# key ring


def owner(ring: KeyRing, key: str) -> str | None:
    found = ring.find(key)
    return found.tenant if found is not None else None


def test_ring_tells_whose_key_it_is(path: Path) -> None:
    anna, bob = add(path, "anna"), add(path, "bob")
    ring = KeyRing(path)
    assert owner(ring, anna) == "anna"
    assert owner(ring, bob) == "bob"
    for wrong in ("", "rt_", anna[:-1], anna + "x", anna.upper(), "ключ", "\ud800"):
        assert ring.find(wrong) is None


def test_ring_follows_the_file(path: Path) -> None:
    anna = add(path, "anna")
    ring = KeyRing(path)
    bob = add(path, "bob")
    assert owner(ring, bob) == "bob"
    write_keys(path, read_keys(path).remove("anna"))
    assert ring.find(anna) is None
    assert owner(ring, bob) == "bob"


@pytest.mark.parametrize("damage", ["garbage", None])
def test_ring_keeps_its_keys_when_the_file_breaks(
    path: Path, damage: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    anna = add(path, "anna")
    ring = KeyRing(path)
    if damage is None:
        path.unlink()
    else:
        path.write_text(damage)
    assert owner(ring, anna) == "anna"
    assert ring.find("wrong") is None
    assert [record.levelname for record in caplog.records] == ["ERROR"], "said once, not at every handshake"
    assert anna not in caplog.text
    caplog.clear()  # this error was provoked
    bob = add(path, "bob") if damage is None else None
    assert bob is None or owner(ring, bob) == "bob"


def test_ring_without_a_file(path: Path) -> None:
    with pytest.raises(KeysError, match="keys add"):
        KeyRing(path)


def test_records_compare_without_early_exit(path: Path) -> None:
    """Every record is looked at, also after a match: the time must not tell which one it was."""
    seen: list[str] = []

    class Spy(msgspec.Struct, frozen=True):
        name: str

        def matches(self, key: str) -> bool:
            seen.append(self.name)
            return True

    KeyFile(keys=(Spy("a"), Spy("b"))).find("x")  # type: ignore[arg-type]
    assert seen == ["a", "b"]
