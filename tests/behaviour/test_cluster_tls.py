"""Two server processes that reach each other by `wss://` only, through a HAProxy that ends TLS before each."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support import node_processes
from tests.support.node_processes import SCRIPTED, Node, processes, rest_of, stored, watch
from tests.support.process import ROOT
from tests.support.programs import find_program
from tests.support.steps import begin, resume
from tests.support.store_servers import StoreServers
from tests.support.tls import authority
from tests.support.transcript import assert_error, text_of

ASKED: dict[str, Any] = {
    "seed": 1, "ignore_eos": True, "max_output_tokens": 1500, "on_disconnect": {"policy": "continue"},
}  # fmt: skip
HAPROXY = """
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout tunnel 1h
    option forwardfor
"""
WAY = """
listen {name}
    bind 127.0.0.1:{outside} ssl crt {folder}/both.pem
    server {name} 127.0.0.1:{inside}
"""


class Ways:
    """The ports of each node: where it listens, and where its proxy does."""

    def __init__(self, *names: str) -> None:
        with contextlib.ExitStack() as stack:
            free = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2 * len(names))]
            ports = [one.getsockname()[1] for one in free]
        self.inside = dict(zip(names, ports, strict=False))
        self.outside = dict(zip(names, ports[len(names) :], strict=True))

    def flags(self, name: str) -> list[str]:
        """Return what a node is started with."""
        return [*SCRIPTED, "--port", str(self.inside[name]), "--advertise", f"wss://localhost:{self.outside[name]}"]


@contextlib.asynccontextmanager
async def proxies(ways: Ways, folder: Path) -> AsyncIterator[None]:
    """Run HAProxy before the nodes, with the certificate of this folder."""
    program = find_program("haproxy", "haproxy")
    (folder / "both.pem").write_bytes((folder / "server.pem").read_bytes() + (folder / "key.pem").read_bytes())
    both: Mapping[str, tuple[int, int]] = {one: (ways.outside[one], port) for one, port in ways.inside.items()}
    text = "".join(WAY.format(name=name, outside=o, inside=i, folder=folder) for name, (o, i) in both.items())
    (folder / "haproxy.cfg").write_text(HAPROXY + text)
    process = await asyncio.create_subprocess_exec(program, "-db", "-f", str(folder / "haproxy.cfg"))
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


@contextlib.asynccontextmanager
async def two_nodes(url: str, folder: Path, host: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[Node]]:
    """Start them behind a certificate for this host, from an authority that they trust."""
    authority(folder, host)
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "ca.pem"))
    ways = Ways("a", "b")
    async with proxies(ways, folder), processes(url, {name: ways.flags(name) for name in "ab"}) as found:
        yield found


async def test_all_that_nodes_ask_each_other_goes_over_tls(
    store_servers: StoreServers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = store_servers["redis"].url()
    async with (
        two_nodes(url, tmp_path, "localhost", monkeypatch) as (a, b),
        a.client() as client, b.client() as reader, b.client() as canceller,
    ):  # fmt: skip
        whole = text_of(await reader.create("go on", **ASKED))
        cancelled = await begin(client, "and on", **ASKED)
        events = await watch(canceller, cancelled)
        await canceller.send("response.cancel", response_id=cancelled)
        last = (await rest_of(canceller, cancelled, events))[-1]
        assert last["response"]["status"] == "cancelled"
        assert last["response"]["cancel"]["tokens_generated"] > 0
        response_id = await begin(client, "go on", **ASKED)
        events = await watch(reader, response_id)
        await stored(url, response_id)
        a.process.send(signal.SIGKILL)
        events = await rest_of(reader, response_id, events)
        assert text_of(events) == whole
        assert events[-1]["response"]["recovery"]["kind"] == "exact"


async def test_a_certificate_for_another_name_is_refused_and_the_log_and_the_doctor_say_so(
    store_servers: StoreServers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = store_servers["redis"].url()
    async with two_nodes(url, tmp_path, "elsewhere.example", monkeypatch) as (a, b):
        async with a.client() as client, b.client() as reader:
            response_id = await begin(client, "go on", **{**ASKED, "max_output_tokens": 30_000})  # runs until the end
            assert_error(await resume(reader, response_id), "node_unavailable")
        refusal = "its certificate is not accepted: Hostname mismatch, certificate is not valid for 'localhost'"
        await b.process.says(f"node=a not reached: {refusal}")
        found = await asyncio.to_thread(doctor, url)
    assert refusal in found
    assert "a certificate for the host in that address" in found


def doctor(url: str) -> str:
    """Return what it says at a third node's place."""
    environ = {**os.environ, "REALTIME_CLUSTER_SECRET": node_processes._SECRET}
    command = ("doctor", "--engine", "scripted", "--cluster", url, "--node", "c", "--port", "0")
    return subprocess.run(
        [sys.executable, "-m", "realtime", *command], cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    ).stdout
