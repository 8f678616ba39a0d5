"""The door of Chat Completions: `POST /v1/chat/completions`, translated to a create and back.

Nothing is decided here. `requests.py` has the form of a request, `history.py` and `translation.py` make a create of it,
`chunks.py` makes chunks of a response's events, and `completions.py` a completion of the whole response. Open `door.py`
first: it connects them.
"""
