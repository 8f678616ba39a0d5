"""Who may come in, and what the handshake answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from realtime.server.auth import authenticate, exposure_warning
from realtime.server.keys import KeyFile, KeyRing, read_keys, write_keys
from realtime.service.principal import Principal
from realtime.settings.fields import ServerSettings, Settings
from realtime.wire.errors import ErrorCode, WireError

KEY_TOKEN = "openai-insecure-api-key."


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def add(path: Path, name: str) -> str:
    keys, key = (read_keys(path) if path.exists() else KeyFile()).add(name)
    write_keys(path, keys)
    return key


def test_no_key_in_any_repr(path: Path) -> None:
    key = add(path, "anna")
    ring = KeyRing(path)
    with pytest.raises(WireError) as failure:
        authenticate(ring, {"authorization": f"Bearer {key}x"})
    for thing in (ring, failure.value, read_keys(path), authenticate(ring, {"api-key": key})):
        assert key not in repr(thing)
        assert key not in str(thing)


# credentials


def test_without_a_ring_everybody_is_local() -> None:
    assert authenticate(None, {}) == Principal("local")
    assert authenticate(None, {"authorization": "Bearer whatever"}) == Principal("local")


def test_three_ways_to_show_a_key(path: Path) -> None:
    key = add(path, "anna")
    ring = KeyRing(path)
    ways: list[tuple[dict[str, str], list[str]]] = [
        ({"authorization": f"Bearer {key}"}, []),
        ({"authorization": f"bearer   {key} "}, []),
        ({"api-key": key}, []),
        ({}, ["realtime", KEY_TOKEN + key]),
        ({"authorization": f"Bearer {key}"}, [KEY_TOKEN + key]),
    ]
    for headers, subprotocols in ways:
        assert authenticate(ring, headers, subprotocols).tenant == "anna", (headers, subprotocols)


def test_wrong_missing_and_conflicting_keys(path: Path) -> None:
    key, other = add(path, "anna"), add(path, "bob")
    ring = KeyRing(path)
    cases: list[tuple[dict[str, str], list[str], ErrorCode]] = [
        ({}, [], ErrorCode.MISSING_API_KEY),
        ({}, ["realtime.v1"], ErrorCode.MISSING_API_KEY),
        ({"authorization": key}, [], ErrorCode.MISSING_API_KEY),
        ({"authorization": f"Basic {key}"}, [], ErrorCode.MISSING_API_KEY),
        ({"authorization": "Bearer"}, [], ErrorCode.INVALID_API_KEY),
        ({"authorization": "Bearer wrong"}, [], ErrorCode.INVALID_API_KEY),
        ({}, [KEY_TOKEN], ErrorCode.INVALID_API_KEY),
        ({"authorization": f"Bearer {key}"}, [KEY_TOKEN + other], ErrorCode.INVALID_API_KEY),
        ({"authorization": f"Bearer {key}", "api-key": "wrong"}, [], ErrorCode.INVALID_API_KEY),
    ]
    for headers, subprotocols, code in cases:
        with pytest.raises(WireError) as refusal:
            authenticate(ring, headers, subprotocols)
        assert refusal.value.code is code, (headers, subprotocols)


# exposure


@pytest.mark.parametrize(
    ("host", "keys", "warns"),
    [
        ("127.0.0.1", None, False),
        ("127.0.0.2", None, False),
        ("::1", None, False),
        ("localhost", None, False),
        ("0.0.0.0", None, True),
        ("::", None, True),
        ("192.168.1.5", None, True),
        ("gpu.example", None, True),
        ("0.0.0.0", "keys.json", False),
    ],
)
def test_exposure_warning(host: str, keys: str | None, warns: bool) -> None:
    text = exposure_warning(Settings(server=ServerSettings(host=host, api_keys_file=keys)))
    assert (text is not None) is warns
    assert text is None or (host in text and "--api-keys-file" in text)
