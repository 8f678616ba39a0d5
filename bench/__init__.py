"""Benchmarks: `python -m bench`. Each target prints a table; one JSON line with everything comes last.

A target (`engine`, `cancel`, `stack`) starts servers with `servers`, asks the client process (`load`, with the
connections of `peer`) or the bare engine (`bare`) over `worker` to run something, and computes figures from the answers
with `measure`. `floor` is a raw writer of the same frames. `path` measures the pure part of the server inside one
process, `scenarios/` everything but steady streams. `plots` draws the figures.

Nothing is asserted, and no figure means anything without the machine and the baseline next to it.
"""
