"""Observability: metrics, traces, and one line of the log for each thing that ends.

The other wings report to the `Observer`, once per response, connection, request or engine step, and never per token.
Observability decides nothing and stops nothing: its failures are logged and forgotten. It imports no wing but `wire`,
so that all others may import it. Open `observer.py` first.
"""
