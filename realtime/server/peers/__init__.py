"""The connections between the nodes of a cluster: one for everything that a node asks of another. Open `nodes.py`
first, which is all that the service sees of them.

`messages.py` defines the messages, `handshake.py` proves who sends them and `strangers.py` lets in who has, `link.py`
asks, `door.py` answers, `copies.py` keeps local copies of logs that other nodes write, and `forwarding.py` forwards
HTTP requests, which `answering.py` answers.
"""
