"""The nodes of a cluster to each other: one connection for all that one asks of another. Open `nodes.py` first, which
is what the service sees of it all.

`messages.py` is what is said, `handshake.py` proves who says it, `link.py` asks, `door.py` answers, `copies.py` keeps
copies of logs that are written elsewhere and read here, and `forwarding.py` hands HTTP requests on.
"""
