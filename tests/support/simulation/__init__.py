"""Whole servers in one process and in a time of their own, which follow from a seed: an event loop whose clock jumps to
what comes next (`loop.py`), a network in memory that can be cut (`network.py`), a store that nodes reach by it
(`store.py`), and nodes that are started, stopped, killed and drained as processes are (`node.py`).

What runs in it is the code that runs in production, from uvicorn's protocols to the leases; nothing waits in real time.
"""
