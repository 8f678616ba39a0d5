"""Wire: the messages between client and server, and their order.

Every other wing imports it, and it imports none of ours: the types of requests, items, responses and events, the codec
between bytes and types, the grammar of a response's events, and the one registry of errors. It never knows how a
message travels or what anybody does about it. Open `events.py` first, next to `docs/protocol.md`.
"""
