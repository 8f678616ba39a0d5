"""A WebSocket-first streaming server for open-weight language models on vLLM.

Each folder answers one question. A request passes through them from the top down and its answer comes back up: `server`
lets a client in, `service` decides what to start, `runs` lives one response's life, `dialects` turns the conversation
that `context` prepares into a prompt, `engine` generates. The generated events go into a log in `store`, and
`connection` sends them from there. `settings` lists the options, and `wire` is the ground that all of them stand on:
the types and rules of the protocol. Imports run downward only; `tests/house/test_layers.py` enforces the order. To
follow one request, open `service/service.py` first; docs/architecture.md has the map.
"""
