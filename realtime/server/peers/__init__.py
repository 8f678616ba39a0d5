"""The nodes of a cluster to each other: one connection for what one asks of another, and what is done with it here.

`messages` is what is said, `handshake` proves who says it, `door` answers, `link` asks, `copies` keeps the copies of
logs that are followed elsewhere, and `nodes` is what the service sees of it all.
"""
