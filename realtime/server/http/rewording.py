"""The errors of the service in the words of another API, which has other names for what a request has. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from realtime.wire.errors import WireError

Place = TypeVar("Place")


class Words(NamedTuple):
    """The words of an API. `item`: finds the path of an item, whose index is its first group. `names`: what else is to
    be found in a path or a message, and what stands there instead.
    """

    item: re.Pattern[str]
    names: Sequence[tuple[re.Pattern[str], str]]

    def reword(
        self, error: WireError, places: Sequence[Place], say: Callable[[Place, re.Match[str]], str]
    ) -> WireError:
        """Return the same error in these words. `places`: where each item of the create comes from. `say`: returns the
        path of what was found, in the item of this place.
        """

        def place(match: re.Match[str]) -> str:
            index = int(match[1])
            return say(places[index], match) if index < len(places) else match[0]

        def word(text: str) -> str:
            text = self.item.sub(place, text)
            for pattern, name in self.names:
                text = pattern.sub(name, text)
            return text

        error.message = word(error.message)
        if error.param is not None:
            error.param = "messages" if error.param == "input" else word(error.param)
        return error
