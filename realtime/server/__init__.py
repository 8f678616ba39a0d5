"""Server: the process, admission, and the doors: WebSocket here, HTTP in `http/`, other APIs in `chat/` and
`messages/`.

`__main__` calls it, and uvicorn calls its ASGI application. It owns sockets, timers, signals and keys, and it
translates: bytes to calls of `service`, refusals to answers. It never decides anything about a response or a
conversation; a rule that would hold at one door only is in the wrong place here. Open `gateway.py` first: it assembles
the parts.
"""
