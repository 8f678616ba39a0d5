"""The HTTP door: the Responses and Conversations APIs, models, health, and server-sent events.

One table of operations makes the routes, in `app`, and the OpenAPI document. Handlers decode, call `service` and
encode. They never have a rule of their own: whatever holds here holds on a WebSocket too. Open `routes.py` first: it
lists all operations.
"""
