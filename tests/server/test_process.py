"""The server as a process, in this one: what it holds is given back, however it ends."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import msgspec
import pytest

from realtime.server import process
from realtime.server.gateway import Gateway
from realtime.server.listening import listen
from realtime.settings.fields import Settings
from realtime.store.cluster.membership import CannotJoin
from realtime.wire.errors import store_unavailable
from tests.support.logs import logging_restored


@pytest.mark.parametrize("error", [CannotJoin("the name is in use"), store_unavailable()], ids=["join", "read"])
def test_a_server_that_its_store_refuses_leaves_no_socket_open(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def refuse(gateway: Gateway) -> None:
        raise error

    sockets = list[socket.socket]()

    def note(*arguments: Any, **more: Any) -> socket.socket:
        sockets.append(listen(*arguments, **more))
        return sockets[-1]

    monkeypatch.setattr(Gateway, "recover", refuse)
    monkeypatch.setattr("realtime.server.process.listen", note)
    monkeypatch.setattr("realtime.server.process.handle_signals", lambda signalled: None)
    settings = Settings(engine="scripted")
    server = msgspec.structs.replace(settings.server, port=0, metrics_port=0)
    store = msgspec.structs.replace(settings.store, store=f"sqlite:{tmp_path / 'store.db'}")
    with logging_restored():
        assert process.serve(msgspec.structs.replace(settings, server=server, store=store)) == 1
    assert "\nrealtime: the" in capsys.readouterr().err
    assert [one.fileno() for one in sockets] == [-1, -1]
