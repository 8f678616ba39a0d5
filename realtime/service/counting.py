"""Counting a prompt's tokens: everything that a create does before its response starts."""

from __future__ import annotations

import time

from realtime.context.turns import history
from realtime.dialects.base import PromptTooLong, RenderError
from realtime.runs.endings import too_long
from realtime.runs.renderer import Renderer
from realtime.wire.calls import check_calls
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.requests import ResponseCreate

from .checks import check_history, check_request
from .intake import Asked, Intake
from .lookups import Lookups
from .patience import Patience
from .principal import Principal
from .servings import Servings


class Counting:
    """Counter of the tokens that a request's prompt would have."""

    def __init__(self, servings: Servings, lookups: Lookups, intake: Intake, patience: Patience) -> None:
        self._servings = servings
        self._lookups = lookups
        self._intake = intake
        self._patience = patience

    async def count(self, principal: Principal, request: ResponseCreate) -> int:
        """Count the tokens of this request's prompt. Raises WireError."""
        principal.check_owner()
        serving = self._servings.now()
        check_request(request, serving.model, serving.dialect)
        check_history(request)
        async with self._patience.bound():
            found = await self._lookups.find(principal.tenant, request, None, time.time())
        asked = Asked(principal.tenant, request)
        prepared = self._intake.prepare(asked, found, serving.model, serving.dialect.holds)
        request, parent = prepared.request, found.continued
        items = history(parent, request.items)
        check_calls(items)
        tools = prepared.tools
        if prepared.mcp is not None:  # no server is asked for its tools
            tools = prepared.mcp.known_tools(items) or tools
        if serving.images is not None:
            await serving.images.load(principal.tenant, items, request.own_items)
        renderer = Renderer(serving, principal.tenant, self._intake.cache_salt(principal.tenant, request.cache_salt))
        try:
            prompt = await renderer.render(request, tools, items, parent)
        except PromptTooLong as error:
            failed = too_long(error.more_than, serving.model.max_model_len, more=True)
            raise WireError(ErrorCode.CONTEXT_LENGTH_EXCEEDED, failed.message, param=error.param) from None
        except RenderError as error:
            raise WireError(ErrorCode.INVALID_REQUEST, str(error), param=error.param) from None
        return prompt.num_tokens
