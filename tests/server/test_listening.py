"""The listening socket: why there is none, and where a person finds the server."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from realtime.server import listening
from realtime.server.listening import CannotListen, announcement, listen


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["/usr/bin/realtime", "serve"])


def test_a_port_in_use_is_named_with_what_to_do(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    other = taken + 1 if taken < 65535 else 8000
    with pytest.raises(CannotListen, match=rf"port {taken} of 127\.0\.0\.1 is in use.*--port {other}"):
        listen("127.0.0.1", taken)
    monkeypatch.chdir(listening._CHECKOUT)
    with pytest.raises(CannotListen, match=f"make serve PORT={other}"):
        listen("127.0.0.1", taken)


def test_who_holds_a_port_is_said_where_it_can_be_known(taken: int) -> None:
    assert listening._holder(taken) is None, "not this process"
    asks = f"from realtime.server import listening; print(listening._holder({taken}))"
    environ = {**os.environ, "PYTHONPATH": str(listening._CHECKOUT)}
    said = subprocess.run([sys.executable, "-c", asks], env=environ, capture_output=True, text=True, check=True).stdout
    assert said.strip().endswith(f"(process {os.getpid()})")


@pytest.mark.parametrize(
    ("host", "port", "reason"),
    [
        ("no-such-host.invalid", 0, "there is no host 'no-such-host.invalid'"),
        ("192.0.2.1", 0, "192.0.2.1 is no address of this machine"),
    ],
)
def test_a_host_that_is_not_ours(host: str, port: int, reason: str) -> None:
    with pytest.raises(CannotListen, match=reason):
        listen(host, port)


def test_a_forbidden_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for a user that is not root."""

    class Forbidden(socket.socket):
        def bind(self, address: object) -> None:
            raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket, "socket", Forbidden)
    with pytest.raises(CannotListen, match=r"port 80 of 127\.0\.0\.1 is not allowed: .*--port 8000"):
        listen("127.0.0.1", 80)


def test_a_second_server_can_not_listen_on_the_same_port() -> None:
    with listen("127.0.0.1", 0) as first, pytest.raises(CannotListen, match="is in use"):
        listen("127.0.0.1", first.getsockname()[1])


@pytest.mark.parametrize(
    ("host", "address", "elsewhere", "in_checkout"),
    [
        ("127.0.0.1", "127.0.0.1:8000", "realtime chat  ", "make chat  "),
        ("127.0.0.1", "127.0.0.1:9000", "realtime chat --url ws://127.0.0.1:9000/v1/responses", "make chat PORT=9000"),
        ("0.0.0.0", "127.0.0.1:8000", "realtime chat  ", "make chat  "),
        (
            "::",
            "[::1]:8000",
            "realtime chat --url ws://[::1]:8000/v1/responses",
            "make chat URL=ws://[::1]:8000/v1/responses",
        ),
        (
            "::1",
            "[::1]:8000",
            "realtime chat --url ws://[::1]:8000/v1/responses",
            "make chat URL=ws://[::1]:8000/v1/responses",
        ),
        (
            "10.0.0.7",
            "10.0.0.7:80",
            "realtime chat --url ws://10.0.0.7:80/v1/",
            "make chat URL=ws://10.0.0.7:80/v1/responses",
        ),
        (
            "gpu-box",
            "gpu-box:8000",
            "realtime chat --url ws://gpu-box:8000/v1/",
            "make chat URL=ws://gpu-box:8000/v1/responses",
        ),
    ],
)
def test_the_announcement_leads_to_the_server(
    host: str, address: str, elsewhere: str, in_checkout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = int(address.rpartition(":")[2])
    text = announcement("starter", host, port, 1.0, asks_for_keys=False)
    assert f"ws://{address}/v1/responses\n" in text
    assert f"http://{address}/v1 " in text
    assert f"Talk to it:  {elsewhere}" in text
    assert "key" not in text
    monkeypatch.chdir(listening._CHECKOUT)
    assert f"Talk to it:  {in_checkout}" in announcement("starter", host, port, 1.0, asks_for_keys=False)
    assert "REALTIME_API_KEY" in announcement("starter", host, port, 1.0, asks_for_keys=True)
