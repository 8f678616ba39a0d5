"""Connection: one client's socket as a state machine that does no I/O.

The WebSocket shell in `server` feeds it messages, carries out its commands, and writes its frames. It decides what a
frame means, which lane it belongs to, what may be sent next and how much. It never reads a clock, waits, or calls the
service: time comes in as `now`, and requests go out as commands. Open `protocol.py` first.
"""
