"""Which pages may connect."""

from __future__ import annotations

import pytest

from realtime.server.origins import origin_allowed


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
