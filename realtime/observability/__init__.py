"""Observability: what the server says of itself while it works: metrics, traces, and one line for each thing that ends.

Whoever does something tells the `Observer`, once for each response, connection, request or engine step and never for a
token. It decides nothing and stops nothing: what fails in here is logged and forgotten. It knows no other wing but
`wire`, so all others may tell it. Open `observer.py` first.
"""
