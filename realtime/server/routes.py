"""The table of operations over HTTP, of which each door has its rows: the routes and the OpenAPI document are both made
from it.
"""

from __future__ import annotations

from .chat.routes import CHAT
from .http.conversation_routes import CONVERSATIONS
from .http.info_routes import INFO
from .http.response_routes import RESPONSES
from .messages.routes import MESSAGES

OPERATIONS = (*RESPONSES, *CHAT, *MESSAGES, *CONVERSATIONS, *INFO)
