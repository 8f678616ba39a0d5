"""Benchmarks: `python -m bench`. Each target prints a table; one JSON line with everything comes last.

A target (`engine`, `cancel`, `stack`) starts servers with `servers`, asks the client process (`load`, with the
connections of `peer`) or the bare engine (`bare`) over `worker` to run something, and computes figures from the answers
with `measure`. `floor` is a raw writer of the same frames. `path` measures the pure part of the server inside one
process, `scenarios/` everything but steady streams. `plots` draws the figures.

`plan` decides in which size each target runs, from the `pace` of the machine, so that a run ends in time. `goals` has
what the server is to reach beside what was found, `report` the JSON. Only what must hold in any size and on any machine
fails a run; no other figure means anything without the machine and the baseline next to it.
"""
