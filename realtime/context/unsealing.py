"""What clients keep sealed for us, in items: opened before anything reads them. Pure.

A reasoning item that can't be opened (another server's, or this one's from before a restart without a key) has no text,
and templates do without. A compaction that can't be opened is refused: without it the model would know nothing of
what was before.
"""

from __future__ import annotations

import msgspec

from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.items import Compaction, InputItem, Reasoning, ReasoningText

from . import compaction
from .encrypted import NotOurs, Sealer

REASONING = "reasoning"
COMPACTION = "compaction"


def unsealed(sealer: Sealer, tenant: str, item: InputItem, path: str) -> InputItem:
    """The item, opened if there is something to open. Raises WireError; `path` is where the item is."""
    match item:
        case Reasoning(encrypted_content=str() as blob) if not item.content:
            try:
                text = sealer.open(REASONING, tenant, blob)
            except NotOurs:
                return item
            return msgspec.structs.replace(item, content=[ReasoningText(text=text)])
        case Compaction() if item.encrypted_content:  # an empty one was cut before it stood for anything
            return _opened(sealer, tenant, item, path)
        case _:
            return item


def _opened(sealer: Sealer, tenant: str, item: Compaction, path: str) -> InputItem:
    try:
        return compaction.opened(item, sealer.open(COMPACTION, tenant, item.encrypted_content))
    except (NotOurs, ValueError):
        text = (
            "This compaction can't be opened: it was changed, made by another server or for another key, or before "
            "this server's sealing key was replaced. Send the items that it stands for instead."
        )
        raise WireError(ErrorCode.INVALID_ENCRYPTED_CONTENT, text, param=f"{path}.encrypted_content") from None
