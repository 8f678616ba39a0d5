"""The pace of a machine: how long it takes for what servers do most, beside a fast one whose figures are known."""

from __future__ import annotations

import json
import socket
import time

import msgspec

MACHINE = "two fast cores"
_ITS_SECONDS = 7.5e-6  # of CPU time for one unit on the machine of docs/lab-notes.md, 2026-11-29: a bench that ends
_SECONDS = 1.0  # to measure for
_BATCH = 1_000  # units


class Pace(msgspec.Struct, frozen=True):
    """The pace of a machine, as a multiple of the time that a fast one takes. cpu: of one core. wall: of what a
    process gets of it beside other work.
    """

    cpu: float
    wall: float

    @property
    def is_busy(self) -> bool:
        """Return whether other work takes a good part of the machine."""
        return self.wall > 1.5 * self.cpu


def measure(seconds: float = _SECONDS) -> Pace:
    """Measure for so long."""
    number, cpu, began = 0, time.thread_time(), time.perf_counter()
    while time.perf_counter() < began + seconds:
        _work(_BATCH)
        number += _BATCH
    cpu, wall = time.thread_time() - cpu, time.perf_counter() - began
    return Pace(*(float(f"{spent / number / _ITS_SECONDS:.3g}") for spent in (cpu, wall)))


def _work(number: int) -> None:
    """Encode events, write them to a socket, read and decode them, keep them."""
    one, other = socket.socketpair()
    with one, other:
        kept = {}
        for n in range(number):
            event = {"type": "response.output_text.delta", "sequence_number": n, "delta": f" {n}"}
            one.send(json.dumps(event).encode())
            read = json.loads(other.recv(4096))
            kept[read["delta"]] = read
