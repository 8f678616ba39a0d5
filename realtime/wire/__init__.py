"""Wire: what is said between client and server, and in which order.

Everything above imports it, and it imports nothing of ours: the types of requests, items, responses and events, bytes
to types and back, the grammar of a response's events, and the one registry of errors. It never knows how a message
travels or what anybody does about it. Open `events.py` first, beside `docs/protocol.md`.
"""
