"""The HTTP door: the Responses and Conversations APIs, models, health, and server-sent events.

Rows of one table of operations (`server/routes.py` joins it) make the routes, in `app`, and the OpenAPI document.
Handlers decode, call `service` and encode. They never have a rule of their own: whatever holds here holds on a
WebSocket too. Open `response_routes.py` first: it lists the operations on responses.
"""
