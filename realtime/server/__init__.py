"""Server: the process, who may come in, and the doors: WebSocket here, HTTP in `http/`, other APIs in `chat/` and
`messages/`.

`__main__` calls it, uvicorn calls its ASGI application. It owns sockets, timers, signals and keys, and it translates:
from bytes to calls on `service`, from refusals to answers. It never decides anything about a response or a
conversation; a rule that would hold at one door only is in the wrong place here. Open `gateway.py` first: it puts the
parts together.
"""
