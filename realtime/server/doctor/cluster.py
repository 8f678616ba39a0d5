"""The cluster: the nodes' store and secret, this node's name and address, and whether the other nodes are reached."""

from __future__ import annotations

import asyncio
import socket
import ssl
import stat
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from realtime.server.cluster_settings import Node, configured_node
from realtime.server.origins import is_loopback
from realtime.server.peers.link import Link, reason_of
from realtime.settings.fields import MIB, Settings
from realtime.settings.sources import SettingsError
from realtime.store.cluster.backend import Away, Refused
from realtime.store.cluster.facts import StoreFacts
from realtime.store.cluster.forms import FORM, check_form
from realtime.store.cluster.membership import Peer
from realtime.store.cluster.node import peer_of
from realtime.store.cluster.stores import make_backend
from realtime.store.cluster.urls import shown
from realtime.store.packed.bounds import bounds_of

from .finding import Finding

_SECONDS = 20.0  # for the store to answer
_MAX_DIFFERENCE = 5.0  # seconds between two clocks
_SLOW = 0.1  # seconds of a round trip
_ROOM = 2 / 3  # of a store's memory that answers may take
_MIN_LETTERS = 12  # different ones in a secret
_MAX_PEERS = 32  # that are visited
_LOOPBACK_ADVICE = "--advertise ws://HOST:PORT with an address of this machine that the others reach"

_CERTIFICATE_ADVICE = (
    "a certificate for the host in that address, from an authority that this machine trusts, or one that SSL_CERT_FILE "
    "names"
)


def look_at_cluster(settings: Settings) -> Iterator[Finding]:
    """Look at all of it; at nothing without a cluster. Nothing is left changed, in the store neither."""
    url = settings.cluster.cluster
    if url is None:
        return
    try:
        node = configured_node(settings.cluster, settings.server, settings.server.port)
    except SettingsError as error:
        yield Finding("cluster", "error", str(error))
        node = None
    if node is not None:
        yield _secret(settings, node)
    yield from asyncio.run(_all(settings, url, node))


def _secret(settings: Settings, node: Node) -> Finding:
    name, given = "cluster secret", settings.cluster
    if not node.shared:
        text = "none: all is on this machine, and everybody who has an account on it is let in as a node"
        return Finding(name, "note", text, "where others have one: --cluster-secret-file")
    path, text = given.cluster_secret_file, given.cluster_secret or ""
    if path is not None:
        mode, text = Path(path).stat().st_mode, Path(path).read_text("utf-8").strip()
        if mode & (stat.S_IROTH | stat.S_IWOTH | stat.S_IWGRP):
            what = "written" if mode & (stat.S_IWOTH | stat.S_IWGRP) else "read"
            return Finding(
                name, "warning", f"{path} can be {what} by others, who can ask as any tenant", f"chmod 600 {path}"
            )
    if len(set(text)) < _MIN_LETTERS:
        text = "it can be guessed: it has few different letters"
        return Finding(name, "warning", text, "`openssl rand -base64 32` makes one")
    return Finding(name, "ok", f"in {path}" if path is not None else "given")


async def _all(settings: Settings, url: str, node: Node | None) -> list[Finding]:
    try:
        async with asyncio.timeout(_SECONDS):
            facts = await _facts(url)
    except (Away, Refused, TimeoutError) as error:
        text = f"{shown(url)}: {error or 'it does not answer'}"
        advice = "does it run, and is its address right? the password and options of the URL are not shown"
        return [Finding("cluster store", "error", text, advice)]
    found = [*_store(facts, url, settings)]
    if node is not None:
        peers = [peer_of(lease) for lease in facts.leases]
        found += [_name(node, peers), *_address(node, url, peers)]
        found += [one async for one in _visits(node, peers)]
    return found


async def _facts(url: str) -> StoreFacts:
    backend = make_backend(url)
    try:
        return await backend.facts()
    finally:
        await backend.close()


# -- the store


def _store(facts: StoreFacts, url: str, settings: Settings) -> Iterator[Finding]:
    name = "cluster store"
    for concern in facts.concerns:
        yield Finding(name, "error" if concern.fatal else "warning", concern.text, concern.advice)
    wanted, room = bounds_of(settings.responses).max_bytes, facts.max_bytes
    if room is not None and wanted > room * _ROOM:
        text = f"max_store_bytes is {wanted / MIB:.0f} MiB, and its maxmemory {room / MIB:.0f} MiB"
        advice = f"--max-store-bytes {int(room * _ROOM / MIB)}MiB at most: when it is full it refuses every commit"
        yield Finding(name, "warning", text, advice)
    try:
        if facts.form is not None:
            check_form(facts.form, FORM)
    except Refused as error:
        yield Finding(name, "error", str(error))
        return
    if facts.seconds > _SLOW:
        text = (
            f"a round trip takes {facts.seconds * 1e3:.0f} ms: each flush waits for one, and above 1 s leases are lost"
        )
        yield Finding(name, "warning", text, "put it near the nodes")
    holds = "empty" if facts.form is None else f"form {facts.form}"
    yield Finding(name, "ok", f"{facts.product} {facts.version} at {shown(url)}, {holds}")
    yield _clock(facts)


def _clock(facts: StoreFacts) -> Finding:
    difference = time.time() - facts.clock
    text = f"{abs(difference):.1f} s {'before' if difference > 0 else 'behind'} that of the store"
    if abs(difference) > _MAX_DIFFERENCE + facts.seconds:
        advice = "leases do not mind, but retention and the order of lists go by it: synchronize it (NTP)"
        return Finding("clock", "warning", f"this machine's is {text}", advice)
    return Finding("clock", "ok", text)


# -- this node


def _name(node: Node, peers: Sequence[Peer]) -> Finding:
    for peer in peers:
        if peer.node == node.name:
            if peer.url == node.url:
                text = f"{node.name} is held by the server at {node.url}: it runs, or ended less than 6 seconds ago"
                return Finding("node", "note", text)
            text = f"{node.name} is held by another server that lives, at {_printable(peer.url)}"
            return Finding("node", "error", text, "--node NAME gives this one another name")
    return Finding("node", "ok", f"{node.name} is free")


def _address(node: Node, store: str, peers: Sequence[Peer]) -> Iterator[Finding]:
    host = urlsplit(node.url).hostname or ""
    if not is_loopback(host):
        return
    elsewhere = [peer.node for peer in peers if not is_loopback(urlsplit(peer.url).hostname or "")]
    store_host = urlsplit(store).hostname
    if elsewhere or (store_host is not None and not is_loopback(store_host)):
        text = f"{node.url} leads every other machine to itself, and there are nodes or a store elsewhere"
        yield Finding("advertise", "error", text, _LOOPBACK_ADVICE)


async def _visits(node: Node, peers: Sequence[Peer]) -> AsyncIterator[Finding]:
    others = [peer for peer in peers if peer.node != node.name and peer.url][:_MAX_PEERS]
    runs = any((peer.node, peer.url) == (node.name, node.url) for peer in peers)
    me = Peer(node.name, 0, node.url, "serving", 0)
    own, *found = await asyncio.gather(_visit(node, me), *(_visit(node, peer) for peer in others))
    yield _own(node, own, runs=runs)
    for peer, error in zip(others, found, strict=True):
        if error is None:
            yield Finding("other node", "ok", f"{peer.node} at {_printable(peer.url)} answers, and has the same secret")
        else:
            text = f"{peer.node} at {_printable(peer.url)} is not reached: {_why(error)}"
            advice = "its --advertise, a firewall, or TLS (wss://); and the same secret on both"
            yield Finding("other node", "error", text, _advice(error, advice))


def _own(node: Node, error: Exception | None, *, runs: bool) -> Finding:
    name, url = "advertise", node.url
    if error is None:
        return Finding(name, "ok", f"{url} leads to this node")
    if isinstance(error, socket.gaierror):
        return Finding(name, "error", f"{url}: there is no such host", _LOOPBACK_ADVICE)
    if isinstance(error, ConnectionRefusedError) and not runs:
        return Finding(name, "note", f"nothing listens at {url} yet: look again when the server runs")
    advice = "it has to lead to this server's own port, past every proxy that does not pass /cluster/ on"
    text = f"{url} does not lead to this node: {_why(error)}"
    return Finding(name, "error" if runs else "warning", text, _advice(error, advice))


def _advice(error: Exception, otherwise: str) -> str:
    return _CERTIFICATE_ADVICE if isinstance(error, ssl.SSLCertVerificationError) else otherwise


async def _visit(node: Node, peer: Peer) -> Exception | None:
    """Return why there is no connection to a node; None: there was one, and both have proved the secret."""
    return await Link(node, lambda: 0, peer, MIB).why_unreachable()


def _why(error: Exception) -> str:
    return _printable(reason_of(error))


def _printable(text: str) -> str:
    """Take out of what a stranger says what a terminal would obey."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:200])
