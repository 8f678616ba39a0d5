"""Who may come in, what the handshake answers, and that no secret gets out."""

from __future__ import annotations

import io
import logging
import os
from pathlib import Path

import msgspec
import pytest

from realtime.server.auth import (
    AuthFailure,
    AuthProblem,
    KeyRing,
    ScrubbingFormatter,
    authenticate,
    exposure_warning,
    origin_allowed,
    scrub,
    scrub_handlers,
)
from realtime.server.keys import KeyFile, KeysError, read_keys, write_keys
from realtime.service.principal import Principal
from realtime.settings.fields import ServerSettings, Settings

KEY_TOKEN = "openai-insecure-api-key."


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


def test_ring_tells_whose_key_it_is(path: Path) -> None:
    anna, bob = add(path, "anna"), add(path, "bob")
    ring = KeyRing(path)
    assert ring.find(anna) == Principal("anna")
    assert ring.find(bob) == Principal("bob")
    for wrong in ("", "rt_", anna[:-1], anna + "x", anna.upper(), "ключ", "\ud800"):
        assert ring.find(wrong) is None


def test_ring_follows_the_file(path: Path) -> None:
    anna = add(path, "anna")
    ring = KeyRing(path)
    bob = add(path, "bob")
    assert ring.find(bob) == Principal("bob")
    write_keys(path, read_keys(path).remove("anna"))
    assert ring.find(anna) is None
    assert ring.find(bob) == Principal("bob")


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
    assert ring.find(anna) == Principal("anna")
    assert ring.find("wrong") is None
    assert [record.levelname for record in caplog.records] == ["ERROR"], "said once, not at every handshake"
    assert anna not in caplog.text
    caplog.clear()  # this error was provoked
    bob = add(path, "bob") if damage is None else None
    assert bob is None or ring.find(bob) == Principal("bob")


def test_ring_without_a_file(path: Path) -> None:
    with pytest.raises(KeysError, match="keys add"):
        KeyRing(path)


def test_no_key_in_any_repr(path: Path) -> None:
    key = add(path, "anna")
    ring = KeyRing(path)
    failure = authenticate(ring, {"authorization": f"Bearer {key}x"})
    for thing in (ring, failure, read_keys(path), authenticate(ring, {"api-key": key})):
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
        assert authenticate(ring, headers, subprotocols) == Principal("anna"), (headers, subprotocols)


def test_wrong_missing_and_conflicting_keys(path: Path) -> None:
    key, other = add(path, "anna"), add(path, "bob")
    ring = KeyRing(path)
    cases: list[tuple[dict[str, str], list[str], AuthProblem]] = [
        ({}, [], AuthProblem.MISSING),
        ({}, ["realtime.v1"], AuthProblem.MISSING),
        ({"authorization": key}, [], AuthProblem.MISSING),
        ({"authorization": f"Basic {key}"}, [], AuthProblem.MISSING),
        ({"authorization": "Bearer"}, [], AuthProblem.INVALID),
        ({"authorization": "Bearer wrong"}, [], AuthProblem.INVALID),
        ({}, [KEY_TOKEN], AuthProblem.INVALID),
        ({"authorization": f"Bearer {key}"}, [KEY_TOKEN + other], AuthProblem.INVALID),
        ({"authorization": f"Bearer {key}", "api-key": "wrong"}, [], AuthProblem.INVALID),
    ]
    for headers, subprotocols, problem in cases:
        answer = authenticate(ring, headers, subprotocols)
        assert isinstance(answer, AuthFailure), (headers, subprotocols)
        assert answer.problem is problem, (headers, subprotocols)


# origins


@pytest.mark.parametrize(
    ("origin", "host", "allowed", "has_keys", "expected"),
    [
        (None, "anything", [], False, True),  # not a browser
        ("http://localhost:3000", "127.0.0.1:8000", [], False, True),
        ("http://127.0.0.1:8000", "127.0.0.1:8000", [], False, True),
        ("http://[::1]:3000", "[::1]:8000", [], False, True),
        ("http://app.localhost:3000", "127.0.0.1:8000", [], False, True),
        ("https://evil.example", "127.0.0.1:8000", [], True, False),
        ("https://evil.example", "gpu.example", [], True, False),
        ("https://gpu.example", "gpu.example", [], True, True),
        ("https://gpu.example", "gpu.example:443", [], True, True),
        ("https://gpu.example:444", "gpu.example", [], True, False),
        ("https://GPU.example", "gpu.EXAMPLE", [], True, True),
        ("http://rebound.example:8000", "rebound.example:8000", [], False, False),  # DNS rebinding
        ("http://192.168.1.5:8000", "192.168.1.5:8000", [], False, True),
        ("http://192.168.1.5:8000", "192.168.1.6:8000", [], False, False),
        ("http://localhost.evil.example", "127.0.0.1:8000", [], False, False),
        ("http://127.0.0.1.evil.example", "127.0.0.1:8000", [], False, False),
        ("http://localhost@evil.example", "127.0.0.1:8000", [], False, False),
        ("null", "127.0.0.1:8000", [], False, False),
        ("null", "127.0.0.1:8000", ["null"], False, True),
        ("file://", "127.0.0.1:8000", [], False, False),
        ("http://[bad", "127.0.0.1:8000", [], False, False),
        ("http://a:99999", "a:99999", [], True, False),
        ("https://a.example", None, [], True, False),
        ("https://a.example", "b.example", ["https://a.example/"], False, True),
        ("https://A.example", "b.example", ["https://a.example"], False, True),
        ("https://sub.a.example", "b.example", ["https://a.example"], False, False),
        ("http://localhost:3000", "b.example", ["https://a.example"], False, False),  # a list is the whole answer
        ("https://anything.example", "b.example", ["*"], False, True),
    ],
)
def test_origin_allowed(
    origin: str | None, host: str | None, allowed: list[str], has_keys: bool, expected: bool
) -> None:
    assert origin_allowed(origin, host, allowed, has_keys=has_keys) is expected


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


# the log


SECRET = "rt_" + "aB3-_" * 8 + "xyz"


@pytest.mark.parametrize(
    "line",
    [
        f"GET /v1/responses?api_key={SECRET} HTTP/1.1",
        "GET /v1/responses?model=m&key=hunter2-hunter2&x=1 HTTP/1.1",
        "GET /v1/responses?access_token=hunter2-hunter2",
        "Authorization: Bearer hunter2-hunter2",
        "authorization: basic hunter2-hunter2",
        "b'api-key', b'hunter2-hunter2'",
        "api-key: hunter2-hunter2",
        "{'api-key': 'hunter2-hunter2'}",
        "sec-websocket-protocol: realtime, openai-insecure-api-key.hunter2-hunter2",
        "subprotocols=['realtime', 'openai-insecure-api-key.hunter2-hunter2']",
        f"no context at all {SECRET}",
        "sk-proj-abcdefghijklmnopqrstuvwxyz",
        "ek_abcdefghijklmnopqrstuvwxyz",
    ],
)
def test_scrub_leaves_no_secret(line: str) -> None:
    scrubbed = scrub(line)
    assert "***" in scrubbed
    for part in ("hunter2", SECRET, SECRET[3:], "abcdefghijklm"):
        assert part not in scrubbed


@pytest.mark.parametrize(
    "line",
    [
        '127.0.0.1:5000 - "WebSocket /v1/responses?model=starter" [accepted]',
        "response_id=resp_0123456789abcdef0123456789abcdef tokens=12",
        "the key word is not a secret, nor is a bearer",
        "risk_assessment_of_something_long start_of_everything_else",
        "GET /v1/responses?model=m&monkey=5",
    ],
)
def test_scrub_leaves_the_rest_alone(line: str) -> None:
    assert scrub(line) == line


def test_scrubbing_formatter_covers_arguments_and_tracebacks() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    scrub_handlers([handler])
    once = handler.formatter
    scrub_handlers([handler])
    assert isinstance(once, ScrubbingFormatter)
    assert handler.formatter is once
    logger = logging.Logger("test")
    logger.addHandler(handler)
    logger.info('%s - "%s"', "1.2.3.4", f"/v1/responses?key={SECRET}")
    try:
        raise ValueError(f"Bearer {SECRET}")
    except ValueError:
        logger.exception("failed")
    text = stream.getvalue()
    assert SECRET not in text
    assert text.startswith('INFO 1.2.3.4 - "/v1/responses?key=***"')
    assert "Traceback" in text


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
