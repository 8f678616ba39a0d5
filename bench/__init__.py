"""Benchmarks: `python -m bench`. Each target prints a table; one JSON line with everything comes last.

Who calls whom: a target (`engine`, `cancel`, `stack`) starts servers with `servers`, asks the client process (`load`,
with the connections of `peer`) or the bare engine (`bare`) over `worker` to run something, and makes figures of the
answers with `measure`. `floor` is a raw writer of the same frames. `path` measures the pure part of the server inside
one process, `scenarios/` what happens besides steady streams. `plots` draws the figures.

Nothing is asserted, and no figure is worth anything without the machine and the baseline beside it.
"""
